// The API's answers, from the world in memory. `check` knows a few rules of a policy, enough to show errors at their fields.

import { readFileSync } from "node:fs";

import { DEFAULT_POLICY, chance, constants } from "./world.mjs";

export const schema = JSON.parse(readFileSync(new URL("./schema.json", import.meta.url), "utf8"));

const fail = (status, code, message, more = {}) => Object.assign(new Error(message), { status, body: { error: { code, message, ...more } } });
export const refuse = fail;

const merge = (a, b) => (b === undefined ? a : a && b && typeof a === "object" && typeof b === "object" && !Array.isArray(a) && !Array.isArray(b)
  ? Object.fromEntries([...new Set([...Object.keys(a), ...Object.keys(b)])].map((key) => [key, merge(a[key], b[key])])) : b);

const resolve = (node) => (node.$ref ? { ...schema.$defs[node.$ref.split("/").at(-1)], ...node } : node);
const presetOf = (node) => {
  const target = resolve(node);
  return target.default !== undefined ? target.default : Object.fromEntries(Object.entries(target.properties ?? {}).map(([key, inner]) => [key, presetOf(inner)]));
};
/** The order in which the server writes a document. */
const ORDER = ["mode", "min_instances", "max_instances", "scaling", "schedule", "signals", "sweep_interval", "max_sample_age", "min_available_percent", "warm_up", "cooldown_out", "cooldown_in",
  "stabilization_out", "stabilization_in", "out_window", "max_out_per_window", "in_window", "max_in_per_window", "launch", "health", "drain", "pause"];

export function defaults(kind = "auto") {
  const all = Object.fromEntries(Object.entries(schema.properties).map(([key, node]) => [key, presetOf(node)]));
  const { kind: _, cpu_up_threshold, cpu_down_threshold, scale_up_factor, scale_down_factor, target, tolerance, steps, price } = all.scaling;
  all.scaling = { kind, cpu_up_threshold, cpu_down_threshold, scale_up_factor, scale_down_factor, target, tolerance, steps, price };
  if (kind === "auto") Object.assign(all, { warm_up: "0s", cooldown_in: "0s", stabilization_in: "30s", in_window: "60s", max_in_per_window: { percent: 75, at_least: 1 } });
  return Object.fromEntries(ORDER.filter((key) => key in all).map((key) => [key, all[key]]));
}

const lineOf = (text, key) => Math.max(1, text.split("\n").findIndex((line) => line.includes(`"${key.split(".").at(-1)}"`)) + 1);

const OWN = { threshold: ["cpu_up_threshold", "cpu_down_threshold", "scale_up_factor", "scale_down_factor"], target: ["target", "tolerance"], step: ["steps"] };
/** The kind of rule that a document means, as the server finds it. */
const kindOf = (document) => document?.scaling?.kind ?? Object.keys(OWN).find((kind) => OWN[kind].some((key) => key in (document?.scaling ?? {}))) ?? "auto";

export function check(text) {
  let document;
  try {
    document = JSON.parse(text);
  } catch (error) {
    return { valid: false, problems: [{ key: "", value: "", message: `the policy is not JSON: ${error.message}`, line: 1, column: 1 }], document: null };
  }
  const problems = [];
  const say = (key, value, message) => problems.push({ key, value: JSON.stringify(value), message, line: lineOf(text, key), column: 3 });
  walk(document, schema, "", say);
  const whole = merge(defaults(kindOf(document)), document);
  if (problems.length === 0) {
    if (whole.min_instances > whole.max_instances) say("min_instances", whole.min_instances, `must not be above max_instances, which is ${whole.max_instances}`);
    if (whole.scaling.cpu_up_threshold < whole.scaling.cpu_down_threshold + 10) say("scaling.cpu_up_threshold", whole.scaling.cpu_up_threshold, `must be at least 10 above cpu_down_threshold, which is ${whole.scaling.cpu_down_threshold}`);
  }
  return { valid: problems.length === 0, problems, document: problems.length === 0 ? whole : null };
}

function walk(value, node, key, say) {
  const target = resolve(node);
  if (target.properties && value && typeof value === "object") {
    for (const [name, inner] of Object.entries(value)) {
      const path = key ? `${key}.${name}` : name;
      if (path === "pause") continue;
      if (!(name in target.properties)) say(path, inner, "is not a key of the policy");
      else walk(inner, target.properties[name], path, say);
    }
    return;
  }
  if (Array.isArray(value) && target.items) return value.forEach((item, i) => walk(item, target.items, `${key}[${i}]`, say));
  const types = [target.type].flat();
  if ((types.includes("integer") || types.includes("number")) && value !== null) {
    if (typeof value !== "number") return say(key, value, "must be a number");
    if (types.includes("integer") && !Number.isInteger(value)) return say(key, value, "must be a whole number");
    if (value < (target.minimum ?? -Infinity) || value > (target.maximum ?? Infinity)) say(key, value, `must be within ${target.minimum ?? "any"} and ${target.maximum ?? "any"}`);
    if (value <= (target.exclusiveMinimum ?? -Infinity)) say(key, value, `must be above ${target.exclusiveMinimum}; percentages are 0-100: 0.7 means 70`);
    if (value >= (target.exclusiveMaximum ?? Infinity)) say(key, value, `must be below ${target.exclusiveMaximum}`);
  }
  if (target.format === "span" && value !== null && !/^(\d+(ms|s|m|h) ?)+$/.test(String(value))) say(key, value, "must be a span with its unit, such as \"10s\", \"5m\" or \"1h\"");
}

const live = ({ live: decision, ...item }) => (decision ? { ...item, at: decision.at, count: decision.count, text: decision.report.headline } : item);
const decided = (decision) => decision && (({ fold, ...rest }) => rest)(decision);

export function line(group) {
  const counts = group.counts(Date.now());
  const { min_instances: min, max_instances: max } = group.policy;
  return {
    group: group.name, attention: group.options.attention ?? "fine", why: group.options.why ?? null, mode: group.mode, desired: group.desired, actual: counts.actual, serving: counts.serving,
    min, max, mean: group.meanAt(group.slot), headline: group.last?.report.headline ?? null, last_slot: group.slot, period_ms: constants.PERIOD_MS,
  };
}

export function now(group, place) {
  const counts = group.counts(group.slot);
  const { min_instances: min, max_instances: max, scaling, pause } = group.policy;
  const threshold = (scaling.kind ?? "threshold") === "threshold";
  const silent = counts.suspect;
  const members = group.members.length;
  const inUntil = (group.inAt ?? 0) + 120_000;
  return {
    group: group.name, place, attention: group.options.attention ?? "fine", why: group.options.why ?? null, mode: group.mode,
    pause: group.mode === "paused" ? { reason: pause?.reason ?? "", until: pause?.until ? Date.parse(pause.until) : null } : null, bounds: { min, max }, window: null,
    desired: group.desired, counts, policy: { version: group.versions[0].version, kind: scaling.kind ?? "threshold", notice: group.options.notice ?? null },
    thresholds: { low: threshold ? scaling.cpu_down_threshold : null, high: threshold ? scaling.cpu_up_threshold : null },
    sweep: { slot: group.slot, finished_at: group.slot + 40, period_ms: constants.PERIOD_MS, members, answered: members - silent, silent, unknown: 0, mean: group.meanAt(group.slot), p90: Math.min(100, group.meanAt(group.slot) + 11), blind: group.options.blind ?? null },
    decision: decided(group.last) ?? null,
    waits_until: [...(inUntil > Date.now() ? [{ rule: "F2", text: "the cooldown after the last scale-in", until: inUntil }] : []), ...(silent > 0 ? [{ rule: "M2", text: `${silent} agents silent: data too thin to scale in`, until: null }] : [])],
    boot_time_ms: 31_000, intents: group.members.filter((m) => group.phase(m, group.slot) === "pending").map((m) => ({ id: `launch-${m.id}`, at: m.launched_at, kind: "launch", cause: "load", place: m.zone, attempt: 1, instance: null })),
    faults: group.options.faults ?? [], queue: { sweeps: 0, calls: 0, rejected: null, ...group.options.queue }, dashboard: null,
  };
}

/** Every member, by id. */
export function members(group) {
  const at = group.slot;
  return group.members.map((member) => {
    const phase = group.phase(member, at);
    const load = group.loadOf(member, at);
    const silentSince = phase === "suspect" ? at - 240_000 : null;
    return {
      id: member.id, zone: member.zone, shard: 0, phase, load, signals: load === null ? {} : { memory: 40 + Math.round(chance(member.id, "memory") * 40), rate: Math.round(load * 1.7) },
      last_answer: silentSince ?? at, silent_since: silentSince, detail: member.detail ?? (phase === "suspect" ? "silent for 4 m: has not answered the last 24 sweeps" : ""), agent: member.drain ? "draining" : "serving",
      agent_version: "0.1.0", marked_since: member.marked ?? null,
      protected: member.protected, protected_by_agent: false, leaving: member.drain ? { since: member.drain.since, cause: member.drain.cause, timeout_ms: 20_000, unregistered_at: null } : null, replaces: null,
      template: "lt-0abc", template_version: 7, launched_at: member.launched_at, first_answer: member.launched_at + 9_000,
      spark: Array.from({ length: 30 }, (_, i) => group.loadOf(member, at - (29 - i) * constants.PERIOD_MS)), hot: load !== null && load > group.meanAt(at) + 20,
    };
  }).sort((a, b) => order(a.id, b.id));
}

const order = (x, y) => (x < y ? -1 : x > y ? 1 : 0);
const PHASES = ["suspect", "terminating", "draining", "pending", "warming", "in-service"];
const SORTS = {
  id: (member) => member.id, phase: (member) => PHASES.indexOf(member.phase), zone: (member) => member.zone, age: (member) => -member.launched_at, load: (member) => member.load ?? -1,
  answer: (member) => member.last_answer ?? 0, agent: (member) => member.agent_version,
};

/** The members that are asked for, as the server finds and orders them. */
export function page(group, query) {
  const all = members(group);
  const [key, sign] = [SORTS[query.get("sort") ?? "id"], query.get("order") === "down" ? -1 : 1];
  const find = (query.get("find") ?? "").trim().toLowerCase();
  const suits = (member) => (!query.has("phase") || member.phase === query.get("phase")) && (query.get("hot") !== "true" || member.hot)
    && [member.id, member.zone, member.template, member.agent_version, member.detail].some((text) => text.toLowerCase().includes(find));
  const found = all.filter(suits).sort((a, b) => sign * order(key(a), key(b)) || order(a.id, b.id));
  const limit = Number(query.get("limit") ?? Math.max(1, found.length));
  const nth = Math.min(Number(query.get("page") ?? 0), Math.floor(Math.max(0, found.length - 1) / limit));
  const hot = all.filter((member) => member.hot).sort((a, b) => b.load - a.load);
  const phases = {};
  for (const { phase } of all) phases[phase] = (phases[phase] ?? 0) + 1;
  return { total: all.length, phases, hot: { count: hot.length, ids: hot.slice(0, 60).map(({ id }) => id) }, matching: found.length, page: nth, members: found.slice(nth * limit, (nth + 1) * limit) };
}

export function member(group, id) {
  const found = members(group).find((other) => other.id === id);
  if (!found) throw fail(404, "not-found", `there is no member ${JSON.stringify(id)} of group ${group.name}`);
  return found;
}

function grid(query) {
  const until = Number(query.get("until") ?? Date.now());
  const from = Number(query.get("from") ?? until - 3_600_000);
  const points = Number(query.get("points") ?? 240);
  if (!(from < until)) throw fail(400, "bad-request", "from must be before until");
  const step = Math.max(constants.PERIOD_MS, Math.ceil((until - from) / points / constants.PERIOD_MS) * constants.PERIOD_MS);
  const since = query.get("since");
  const start = since === null ? Math.floor(from / step) * step : Math.max(Math.floor(from / step) * step, Math.floor(Number(since) / step) * step + step);
  return { from: start, until, step };
}

export function load(group, query) {
  const { from, until, step } = grid(query);
  const points = [];
  const oldest = group.sizes[0]?.at ?? 0;
  for (let at = Math.max(from, Math.ceil(oldest / step) * step); at < until && at <= group.slot; at += step) {
    const mean = group.meanAt(at);
    const all = group.sizeAt(at);
    points.push({ at, mean, p90: Math.min(100, Math.round((mean + 9 + 3 * Math.sin(at / 1e6)) * 100) / 100), members: all, answered: all, silent: 0, blind: group.options.blindAt?.(at) ?? false });
  }
  const before = group.sizes.filter((size) => size.at < from).slice(-1);
  return {
    from, until, step_ms: step, points, sizes: [...before, ...group.sizes.filter((size) => size.at >= from && size.at < until)],
    marks: group.marks.filter((mark) => mark.at >= from && mark.at < until), whole_from: null,
  };
}

/** Of all members, or of one. */
export function membersLoad(group, query, id = null) {
  const { from, until, step } = grid(query);
  const at = [];
  for (let slot = from; slot < until && slot <= group.slot; slot += step) at.push(slot);
  return { from, until, at, members: Object.fromEntries(group.members.filter((member) => (id ?? member.id) === member.id).map((member) => [member.id, at.map((slot) => group.loadOf(member, slot))])) };
}

export function activity(group, query) {
  const kinds = (query.get("kind") ?? "").split(",").filter(Boolean);
  const limit = Number(query.get("limit") ?? 50);
  const until = Number(query.get("until") ?? Infinity);
  const found = [...group.activities].reverse().filter((item) => item.since < until && (kinds.length === 0 || kinds.includes(item.kind)));
  const items = found.slice(0, limit).map(live);
  return { items, next_until: found.length > limit ? items.at(-1).since : null };
}

export function decision(group, id) {
  const found = decided(group.decisions.get(id));
  if (!found) throw fail(404, "not-found", `there is no decision ${id}`);
  const { report } = found;
  return {
    ...found,
    explained: {
      headline: report.headline, stages: report.stages,
      sentences: [`The mean over ${report.counts.serving} members was ${report.load.mean.toFixed(1)} %.`, report.stages[0].text],
      would: [`It would scale out if the mean load rose above ${group.policy.scaling.cpu_up_threshold} %.`, `It would scale in if the mean load fell below ${group.policy.scaling.cpu_down_threshold} %.`],
    },
  };
}

export function policy(group) {
  const { problems, valid, document } = check(group.text);
  const [version] = group.versions;
  return { text: group.text, revision: group.revision, version: version.version, valid, problems, document, in_force: { version: version.version, since: version.since, text: version.text }, notice: group.options.notice ?? null };
}

/** A backtest in miniature: the recorded demand against two policies, one step at a time. */
export function preview(group, text, since) {
  const checked = check(text);
  if (!checked.valid) throw fail(422, "invalid-policy", "the policy is not valid", { problems: checked.problems });
  const [start, step] = [Date.now() - since, Math.max(60_000, since / 360)];
  const demand = Array.from({ length: Math.floor(since / step) }, (_, i) => group.demand(start + i * step));
  const hours = (demand.length * step) / 3_600_000;
  const threshold = group.policy.scaling.cpu_up_threshold ?? 70;
  const play = (document, name, kind) => {
    const { min_instances: min, max_instances: max, scaling } = document;
    let [size, changes, launches] = [min, 0, 0];
    const instances = demand.map((load) => {
      const mean = (100 * load) / size;
      const next = Math.min(max, Math.max(min, mean > scaling.cpu_up_threshold ? Math.ceil(size * scaling.scale_up_factor) : mean < scaling.cpu_down_threshold ? Math.ceil(size * (1 - scaling.scale_down_factor)) : size));
      if (next !== size) [changes, launches] = [changes + 1, launches + Math.max(0, next - size)];
      size = next;
      return size;
    });
    const overloaded = demand.map((load, i) => (load / instances[i] > 0.9 ? 100 : 0));
    const instance_hours = (instances.reduce((a, b) => a + b, 0) * step) / 3_600_000;
    return {
      name, kind, bounds: [min, max], over_percent: overloaded.reduce((a, b) => a + b, 0) / overloaded.length, avoidable_percent: 0, lost_percent: 0.1, instance_hours, cost: 1.3, changes_per_hour: changes / hours,
      minutes_at_max: instances.filter((n) => n === max).length * (step / 60_000), instances_mean: instance_hours / hours, instances_most: Math.max(...instances), launches, cost_per_month: (instance_hours / hours) * 730 * 0.0416,
      minutes_above: demand.filter((load, i) => load / instances[i] > threshold / 100).length * (step / 60_000), policy_differs: null, instances, overloaded,
    };
  };
  const against = play(merge(defaults(kindOf(JSON.parse(group.text))), JSON.parse(group.text)), "in force", "against");
  const edit = play(checked.document, "your edit", "policy");
  const most = { ...checked.document, scaling: { ...checked.document.scaling, cpu_up_threshold: 85, cpu_down_threshold: 75 } };
  return {
    looks: demand.length, start_unix_seconds: start / 1000, hours, capacity: { from: "record" }, boot: { seconds: 31, from: "measured" }, price_per_hour: 0.0416, gaps: null, threshold_percent: threshold,
    load_mean: 3, load_most: 5, rows: [edit, against, play(most, "oracle", "oracle")], series: { step_seconds: step / 1000, load_mean: demand, load_most: demand },
    notes: ["The load is spread evenly and does not react: whoever waits neither leaves nor tries again."],
  };
}

export const history = (group) => ({ versions: group.versions.slice(0, 50), refusals: group.refusals });
export { DEFAULT_POLICY };
