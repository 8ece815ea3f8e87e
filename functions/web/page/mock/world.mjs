// A small world in memory: groups with a day of history, that go on while one looks. The same seed gives the same world.

const PERIOD_MS = 2_000;
const DAY_MS = 86_400_000;
/** History is kept in steps of this length, the present in sweeps. */
const STEP_MS = 20_000;

export const DEFAULT_POLICY = {
  min_instances: 2, max_instances: 20,
  scaling: { kind: "threshold", cpu_up_threshold: 70, cpu_down_threshold: 30, scale_up_factor: 1.5, scale_down_factor: 0.25 },
  sweep_interval: "2s", cooldown_in: "120s",
};

/** A number of 0 to 1 that depends on nothing but its arguments. */
export function chance(...parts) {
  let h = 2166136261;
  for (const part of parts) {
    for (const char of String(part)) h = Math.imul(h ^ char.codePointAt(0), 16777619);
  }
  h = Math.imul(h ^ (h >>> 15), 0x2c1b3c6d);
  h = Math.imul(h ^ (h >>> 12), 0x297a2d39);
  return ((h ^ (h >>> 15)) >>> 0) / 4294967296;
}

const revision = (text) => Math.floor(chance("revision", text) * 2 ** 48).toString(16).padStart(12, "0");
const wave = (at, period, phase = 0) => Math.sin((2 * Math.PI * at) / period + phase);

export class Group {
  constructor(name, options = {}) {
    this.name = name;
    this.options = options;
    this.text = `${JSON.stringify({ ...DEFAULT_POLICY, ...options.policy }, null, 2)}\n`;
    this.versions = [{ version: 1, since: Date.now() - DAY_MS, text: this.text, changes: [] }];
    this.refusals = options.refusals ?? [];
    this.activities = [];
    this.decisions = new Map();
    this.marks = [];
    this.sizes = [];
    this.members = [];
    this.serial = 0;
    this.slot = 0;
    this.born = Date.now();
    this.live(this.born);
  }

  get policy() {
    const own = JSON.parse(this.text);
    return { ...DEFAULT_POLICY, ...own, scaling: { ...DEFAULT_POLICY.scaling, ...own.scaling } };
  }

  get mode() {
    const { pause, mode } = this.policy;
    const holds = pause && (!pause.until || Date.parse(pause.until) > Date.now());
    return holds ? "paused" : (mode ?? "active");
  }

  /** How many fully used instances the load keeps busy at a time. */
  demand(at) {
    const size = this.options.size ?? 6;
    // Counted from the world's beginning, so that it is the same one at every hour.
    const since = at - this.born;
    const noise = chance(this.name, Math.floor(since / STEP_MS)) - 0.5;
    return Math.max(0.3, size * (0.55 + 0.28 * wave(since, DAY_MS / 4) + 0.12 * wave(since, 3_600_000, 1) + 0.06 * noise));
  }

  /** The past day, then what has happened since one last looked. */
  live(now) {
    if (this.slot === 0) {
      const start = Math.floor((now - DAY_MS) / STEP_MS) * STEP_MS;
      this.desired = this.options.start ?? Math.min(this.policy.max_instances, Math.max(this.policy.min_instances, Math.round((this.options.size ?? 6) * 0.9)));
      for (let i = 0; i < this.desired; i += 1) this.launch(start - 3_600_000 - i * 60_000);
      this.size(start);
      for (let at = start; at < now - STEP_MS; at += STEP_MS) this.decide(at);
      this.slot = Math.floor(now / PERIOD_MS) * PERIOD_MS;
    }
    while (this.slot + PERIOD_MS <= now) {
      this.slot += PERIOD_MS;
      if (!this.options.frozen) this.decide(this.slot);
    }
  }

  launch(at) {
    const id = this.options.names?.[this.serial] ?? `i-${(0x0a10000 + this.serial).toString(16).padStart(8, "0")}${Math.floor(chance(this.name, this.serial) * 16 ** 9).toString(16).padStart(9, "0")}`;
    this.serial += 1;
    this.members.push({ id, zone: `eu-central-1${"abc"[this.serial % 3]}`, launched_at: at, drain: null, protected: this.serial % 40 === 4 });
    return id;
  }

  size(at) {
    const { min_instances: min, max_instances: max } = this.policy;
    const step = { at, desired: this.desired, actual: this.members.filter((m) => !m.drain).length, min, max };
    const last = this.sizes.at(-1);
    if (!last || last.desired !== step.desired || last.actual !== step.actual || last.min !== min || last.max !== max) this.sizes.push(step);
  }

  decide(at) {
    const { min_instances: min, max_instances: max, scaling } = this.policy;
    const before = this.desired;
    const mean = Math.min(100, (100 * this.demand(at)) / Math.max(1, before));
    this.members = this.members.filter((member) => !member.drain || member.drain.since + 20_000 > at);
    let [raw, kind, rule] = [before, null, "Z1"];
    if (mean > scaling.cpu_up_threshold) [raw, kind, rule] = [Math.max(before + 1, Math.round(before * scaling.scale_up_factor)), "out", "Z2"];
    else if (mean < scaling.cpu_down_threshold) [raw, kind, rule] = [Math.min(before - 1, Math.ceil(before * (1 - scaling.scale_down_factor))), "in", "Z2"];
    let limited = raw;
    const held = kind === "in" && at - (this.inAt ?? 0) < 120_000;
    if (held) [limited, rule] = [before, "F2"];
    let after = Math.min(max, Math.max(min, limited));
    if (after !== limited) rule = "Z5";
    if (this.mode === "paused") after = before;
    const report = this.report(at, { before, raw, limited, after, mean, rule, held });
    const changed = after !== before;
    if (changed) {
      this.desired = after;
      if (after < before) this.inAt = at;
      for (let i = before; i < after; i += 1) this.did("launched", at + i, `launched ${this.launch(at)} (load)`, "load");
      for (const member of this.members.filter((m) => !m.drain && !m.protected).slice(0, Math.max(0, before - after))) {
        member.drain = { since: at, cause: "load" };
        this.did("draining", at, `draining ${member.id} (load)`, "load", member.id);
      }
    }
    this.record(at, report, changed ? (rule === "Z5" && Math.abs(after - before) > 0 && kind === null ? "bounds" : after > before ? "out" : "in") : held && !this.wasHeld ? "held" : null);
    this.wasHeld = held;
    this.size(at);
  }

  record(at, report, kind) {
    const last = this.last;
    const fold = `${report.rule}${report.desired.before}>${report.desired.after}${report.mode}`;
    if (last && last.fold === fold && kind === null) {
      Object.assign(last, { at, report, count: last.count + 1 });
      return;
    }
    this.last = { id: `decision-${this.name.length}-${this.decisions.size}`, at, since: at, count: 1, version: this.decisions.size + 1, report, fold };
    this.decisions.set(this.last.id, this.last);
    this.activities.push({ id: this.last.id, at, since: at, count: 1, kind: "decision", text: report.headline, instance: null, cause: null, decision: this.last.id, rule: report.rule, live: this.last });
    if (kind) this.marks.push({ id: this.last.id, at, kind, headline: report.headline, rule: report.rule, before: report.desired.before, after: report.desired.after });
  }

  did(kind, at, text, cause = null, instance = null) {
    this.activities.push({ id: `${kind}-${this.activities.length}`, at, since: at, count: 1, kind, text, instance, cause, decision: this.last?.id ?? null, rule: null });
  }

  report(at, { before, raw, limited, after, mean, rule, held }) {
    const { min_instances: min, max_instances: max, scaling } = this.policy;
    const m = `mean load ${mean.toFixed(2)} %`;
    const within = `${m} is within ${scaling.cpu_down_threshold} % and ${scaling.cpu_up_threshold} %`;
    const beyond = raw > before ? `${m} is above ${scaling.cpu_up_threshold} %` : raw < before ? `${m} is below ${scaling.cpu_down_threshold} %` : within;
    const headline = after !== before ? `Scale ${after > before ? "out" : "in"} ${before} -> ${after}: ${beyond}${rule === "Z5" ? `, and max_instances is ${max}` : ""}.`
      : held ? `Hold at ${before}: ${beyond}, but the last scale-in was less than 2 m ago.` : `No change at ${before}: ${within}.`;
    const counts = this.counts(at);
    return {
      at: new Date(at).toISOString(), slot: new Date(at).toISOString(), policy: this.versions[0].version, mode: this.mode, headline: this.options.headline ?? headline, rule,
      desired: { before, after }, bounds: [min, max], counts, load: { mean, at_most: Math.min(100, mean + 4), at_least: Math.max(0, mean - 3) },
      stages: [
        { stage: "raw", desired: raw, rule: "Z2", text: beyond }, { stage: "filled", desired: raw, rule: "M2", text: "nobody is missing" },
        { stage: "stabilised", desired: raw, rule: "F1", text: "" }, { stage: "limited", desired: limited, rule: held ? "F2" : "F8", text: held ? "the cooldown of scaling in still runs" : "" },
        { stage: "bounded", desired: after, rule: "Z5", text: `between ${min} and ${max}` },
      ],
      remarks: this.options.remark ? [{ rule: "M2", text: this.options.remark }] : [],
      waits: held ? [{ rule: "F2", text: "the cooldown after the last scale-in" }] : [], actions: [], withheld: [],
    };
  }

  phase(member, at) {
    if (member.drain) return member.drain.since + 15_000 > at ? "draining" : "terminating";
    if (this.options.silent?.includes(this.members.indexOf(member))) return "suspect";
    const age = at - member.launched_at;
    return age < 8_000 ? "pending" : age < 20_000 ? "warming" : "in-service";
  }

  counts(at) {
    const counts = { pending: 0, warming: 0, in_service: 0, suspect: 0, draining: 0, terminating: 0, actual: 0, serving: 0, missing: 0 };
    for (const member of this.members) counts[this.phase(member, at).replace("-", "_")] += 1;
    counts.actual = counts.pending + counts.warming + counts.in_service + counts.suspect;
    return { ...counts, serving: counts.in_service, missing: counts.suspect };
  }

  /** The load of one member: about the group's, each with its own bent, and a few that are hot. */
  loadOf(member, at) {
    if (this.phase(member, Date.now()) === "suspect" && at > Date.now() - 300_000) return null;
    if (at < member.launched_at + 10_000) return null;
    const size = this.sizeAt(at);
    const mean = (100 * this.demand(at)) / Math.max(1, size);
    const bent = (chance(member.id) - 0.5) * 24 + (chance(member.id, "hot") < (this.options.hot ?? 0.08) ? 28 : 0);
    return Math.round(100 * Math.min(100, Math.max(0, mean + bent + (chance(member.id, Math.floor(at / PERIOD_MS)) - 0.5) * 8))) / 100;
  }

  sizeAt(at) {
    let [from, until] = [0, this.sizes.length];
    while (from < until) {
      const middle = (from + until) >> 1;
      if (this.sizes[middle].at <= at) from = middle + 1;
      else until = middle;
    }
    return this.sizes[Math.max(0, from - 1)]?.desired ?? this.desired;
  }

  meanAt(at) {
    return Math.round(100 * Math.min(100, (100 * this.demand(at)) / Math.max(1, this.sizeAt(at)))) / 100;
  }

  put(text, at = Date.now()) {
    const [before, after] = [JSON.parse(this.text), JSON.parse(text)];
    const flat = (value, path = "") => (value && typeof value === "object" && !Array.isArray(value) ? Object.assign({}, ...Object.entries(value).map(([key, inner]) => flat(inner, path ? `${path}.${key}` : key))) : { [path]: value });
    const [a, b] = [flat(before), flat(after)];
    const changes = [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((key) => JSON.stringify(a[key]) !== JSON.stringify(b[key])).map((key) => ({ key, before: a[key] ?? null, after: b[key] ?? null }));
    this.text = text;
    this.versions.unshift({ version: this.versions[0].version + 1, since: at, text, changes });
    this.did("policy-accepted", at, `policy version ${this.versions[0].version} is in force`);
    return { version: this.versions[0].version, revision: this.revision };
  }

  get revision() {
    return revision(this.text);
  }
}

export const constants = { PERIOD_MS, DAY_MS, STEP_MS };
