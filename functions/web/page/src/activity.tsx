// What has happened: by kind, each with its cause and the decision behind it; and what is wrong with the loop itself.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { activity, paths } from "./api";
import type { ViewProps } from "./app";
import { among, count, label, plural, words } from "./format";
import { usePoll } from "./poll";
import { href, replace, withQuery } from "./route";
import type { Route } from "./route";
import type { Activity, Happening, Now } from "./types";
import { Absent, Badge, Notice, Rule, Stale, Time } from "./ui";

const KINDS = ["decision", "launched", "joined", "draining", "taken-back", "terminated", "lost", "disowned", "abandoned", "policy-accepted", "policy-refused"];
const TONE: Record<string, string> = {
  launched: "good", joined: "good", draining: "look", terminated: "look", lost: "bad", disowned: "bad", abandoned: "bad", "policy-refused": "bad",
};

export function ActivityView({ route, now, period }: ViewProps): JSX.Element {
  const kinds = (route.query.get("kind") ?? "").split(",").filter((kind) => kind !== "");
  const path = paths.activity(now.group, kinds);
  const { data, error } = usePoll<Activity>(path, period);
  const older = useOlder(now.group, kinds, path, data);
  const items = data ? joined(data.items, older.items) : [];
  const toggle = (kind: string): void => {
    const next = kinds.includes(kind) ? kinds.filter((other) => other !== kind) : [...kinds, kind];
    replace(withQuery(route, { kind: next.join(",") }));
  };
  return (
    <>
      <Loop now={now} />
      <section class="panel" aria-labelledby="activity">
        <h1 id="activity">Activity</h1>
        <div class="chips" role="group" aria-label="Kinds that are shown">
          <button type="button" aria-pressed={kinds.length === 0} onClick={() => replace(withQuery(route, { kind: null }))}>everything</button>
          {KINDS.map((kind) => <button type="button" key={kind} aria-pressed={kinds.includes(kind)} onClick={() => toggle(kind)}>{words(kind)}</button>)}
        </div>
        {data === null ? <Absent error={error} what="activity" tall /> : items.length === 0 ? <p class="muted">{older.until === null ? "Nothing of that kind has happened." : "Nothing of that kind is among the newest."}</p> : (
          <ol class="happenings">{items.map((item) => <Line key={item.id} item={item} route={route} />)}</ol>
        )}
        {data !== null && <Stale error={error} what="activity" />}
        {older.failed && <Notice kind="look" live>{older.failed}</Notice>}
        {older.until !== null && <button type="button" disabled={older.busy} onClick={older.more}>{older.busy ? "Reading …" : "Older"}</button>}
      </section>
    </>
  );
}

interface Older {
  items: Happening[];
  until: number | null;
  busy: boolean;
  failed: string | null;
  more: () => void;
}

/** What is new, and what was there before it. */
function joined(fresh: Happening[], known: Happening[]): Happening[] {
  const ids = new Set(fresh.map((item) => item.id));
  return [...fresh, ...known.filter((item) => !ids.has(item.id))];
}

/** The pages behind the first one, read when they are asked for. From then on what falls out of the first one is kept, too. */
function useOlder(group: string, kinds: string[], path: string, first: Activity | null): Older {
  const [state, setState] = useState<{ items: Happening[]; until: number | null | undefined; busy: boolean; failed: string | null }>({ items: [], until: undefined, busy: false, failed: null });
  const latest = useRef(path);
  latest.current = path;
  useEffect(() => setState({ items: [], until: undefined, busy: false, failed: null }), [path]);
  useEffect(() => setState((old) => (old.until === undefined || first === null ? old : { ...old, items: joined(first.items, old.items) })), [first]);
  const until = state.until === undefined ? (first?.next_until ?? null) : state.until;
  const more = async (): Promise<void> => {
    if (until === null) return;
    setState((old) => ({ ...old, busy: true, failed: null }));
    try {
      const page = await activity(group, kinds, until);
      if (latest.current === path) setState((old) => ({ items: joined(joined(first?.items ?? [], old.items), page.items), until: page.next_until, busy: false, failed: null }));
    } catch (error) {
      if (latest.current === path) setState((old) => ({ ...old, busy: false, failed: error instanceof Error ? error.message : String(error) }));
    }
  };
  return { items: state.items, until, busy: state.busy, failed: state.failed, more: () => void more() };
}

function Line({ item, route }: { item: Happening; route: Route }): JSX.Element {
  return (
    <li class="happening">
      <span class="when"><Time at={item.at} /></span>
      <span class="kind"><Badge kind={among(TONE, item.kind) ?? ""}>{words(item.kind)}</Badge></span>
      <span class="text">
        {item.text}{item.rule && <> <Rule id={item.rule} /></>}
        {item.cause && !item.text.includes(item.cause) && <span class="muted"> ({words(item.cause)})</span>}
        {item.count > 1 && <span class="muted"> – {plural(item.count, "time")} since <Time at={item.since} /></span>}
      </span>
      <span class="links">
        {item.instance && <a href={href({ ...route, member: item.instance })}>{item.instance}</a>}
        {item.decision && <a href={href({ ...route, decision: item.decision })}>why</a>}
      </span>
    </li>
  );
}

/** Sweeps that the server counts at most. */
const SWEEPS_COUNTED = 100;

/** What the loop has before it and has turned away, its faults, and refused edits. */
function Loop({ now }: { now: Now }): JSX.Element {
  const { sweeps, calls, rejected } = now.queue;
  return (
    <section class="panel" aria-labelledby="loop">
      <h2 id="loop">The loop itself</h2>
      <dl class="loopfigures">
        <div><dt>Sweeps to decide on</dt><dd><b>{count(sweeps)}</b>{sweeps >= SWEEPS_COUNTED && " or more"}</dd></div>
        <div><dt>Calls to EC2 under way</dt><dd><b>{count(calls)}</b></dd></div>
        <div><dt title="Records of the stack's stream that were no sweep: counted, and passed over">Rejected records</dt><dd>{rejected === null ? "none" : <><b>{count(rejected.records)}</b> <span class="muted">the last <Time at={rejected.last_at} />: {rejected.reason}</span></>}</dd></div>
      </dl>
      {now.policy.notice !== null && <Notice kind="look">{now.policy.notice}</Notice>}
      {now.faults.map((fault) => (
        <Notice key={fault.what + fault.text} kind="look"><b>{label(fault.what)}</b>: {fault.text}{fault.since !== null && <> <span class="muted">since <Time at={fault.since} /></span></>}</Notice>
      ))}
    </section>
  );
}
