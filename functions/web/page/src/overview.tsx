// The group now: is it fine, what size, why, and what it waits for. Below it how it came to that.

import type { JSX } from "preact";
import { useCallback } from "preact/hooks";

import type { ViewProps } from "./app";
import { LoadCharts } from "./charts/load";
import { MarkList, Marks } from "./charts/marks";
import { RANGES, rangeOf, useLoad } from "./charts/range";
import { LoadTable } from "./charts/table";
import { count, label, percent, plural, span, words } from "./format";
import { href, replace, withQuery } from "./route";
import type { Counts, Now } from "./types";
import { Absent, Age, Badge, Choice, Left, Notice, Rule, Stale, State, Time } from "./ui";

/** Marks that are listed beside the charts. */
const RECENT = 6;

export function Overview({ route, now, period }: ViewProps): JSX.Element {
  const range = rangeOf(route);
  const shown = useLoad(now.group, range, period);
  const zoom = useCallback((from: number, until: number) => {
    replace(withQuery(route, { range: null, from: String(from), until: String(until) }));
  }, [route]);
  const marks = shown.load?.marks.filter((mark) => mark.kind !== "held").slice(-RECENT).reverse() ?? [];
  return (
    <>
      <Hero now={now} />
      <div class="columns">
        <section class="panel chartpanel" aria-labelledby="over-time">
          <div class="panel-head">
            <h2 id="over-time">Over time</h2>
            <Choice label="Range" value={range.live} options={RANGES} choose={(name) => replace(withQuery(route, { range: name, from: null, until: null }))} />
            {range.live === null && (
              <span class="zoomed"><Time at={range.from} /> – <Time at={range.until} />{" "}
                <button type="button" onClick={() => replace(withQuery(route, { from: null, until: null }))}>Back to live</button>
              </span>
            )}
          </div>
          <div class={`chartbox${shown.old ? " old" : ""}`}>
            {shown.load === null ? <Absent error={shown.error} what="load" tall /> : (
              <>
                <LoadCharts load={shown.load} thresholds={now.thresholds} onZoom={zoom}><Marks load={shown.load} route={route} /></LoadCharts>
                <Stale error={shown.error} what="load" />
              </>
            )}
          </div>
          {shown.load?.whole_from && <p class="muted">Sizes and marks are whole from <Time at={shown.load.whole_from} /> on; before that there were more than are shown.</p>}
          {shown.load && <LoadTable load={shown.load} />}
        </section>
        <aside class="aside">
          <Waits now={now} />
          <MembersByPhase now={now} />
          <section class="panel" aria-labelledby="recent">
            <div class="panel-head"><h2 id="recent">What changed</h2><a href={href({ view: "activity", group: now.group })}>All activity</a></div>
            {marks.length === 0 ? <p class="muted">Nothing in this span of time.</p> : <MarkList marks={marks} route={route} />}
          </section>
          <Trouble now={now} />
        </aside>
      </div>
    </>
  );
}

function Hero({ now }: { now: Now }): JSX.Element {
  const { counts, sweep, decision } = now;
  const version = now.policy.version;
  return (
    <section class={`panel hero hero-${now.mode === "paused" && now.attention === "fine" ? "paused" : now.attention}`} aria-labelledby="now">
      <div class="hero-head">
        <h1 id="now" class="unseen">{now.group}</h1>
        <State attention={now.attention} paused={now.mode === "paused"} />
        <Badge kind={now.mode === "active" ? "" : "look"}>{words(now.mode)}</Badge>
        {now.policy.kind && <Badge>{now.policy.kind}</Badge>}
        <a class="quietlink" href={href({ view: "policy", group: now.group })}>policy{version === null ? "" : ` v${version}`}</a>
        {now.window && <Badge>window {now.window.name}</Badge>}
        <span class="grow" />
        {sweep ? (
          <span class="muted">{count(sweep.answered)} of {count(sweep.members)} answered <Age at={sweep.slot} />, every {span(sweep.period_ms)}</span>
        ) : <span class="muted">never swept yet</span>}
      </div>
      <p class="headline">
        {decision ? <a href={href({ view: "overview", group: now.group, decision: decision.id })}>{decision.report.headline}</a> : "Nothing has been decided yet."}
      </p>
      {now.why && <p class="why">{now.why}</p>}
      <dl class="figures">
        <Figure name="Desired" value={count(now.desired)} note={now.bounds ? `min ${count(now.bounds.min)}, max ${count(now.bounds.max)}` : "no policy yet"} strong />
        <Figure name="Actual" value={counts ? count(counts.actual) : "–"} note={counts ? onTheWay(counts) : ""} />
        <Figure name="Serving" value={counts ? count(counts.serving) : "–"} note={counts && counts.missing > 0 ? `${count(counts.missing)} missing` : ""} />
        <Figure name="Mean load" value={percent(sweep?.mean)} note={boundsOfLoad(now)} />
        <Figure name="p90" value={percent(sweep?.p90)} note={now.boot_time_ms === null ? "" : `boots in ${span(now.boot_time_ms)}`} />
      </dl>
      <Scale now={now} />
      {sweep?.blind && <Notice kind="look">The last sweep is not trusted: {sweep.blind}</Notice>}
    </section>
  );
}

function Figure({ name, value, note, strong = false }: { name: string; value: string; note: string; strong?: boolean }): JSX.Element {
  return (
    <div class={strong ? "figure figure-strong" : "figure"}>
      <dt>{name}</dt>
      <dd><b>{value}</b><small>{note || " "}</small></dd>
    </div>
  );
}

const onTheWay = (counts: Counts): string => {
  const coming = counts.pending + counts.warming;
  const going = counts.draining + counts.terminating;
  return [coming > 0 ? `${count(coming)} coming` : "", going > 0 ? `${count(going)} going` : ""].filter(Boolean).join(", ");
};

const boundsOfLoad = ({ thresholds: { low, high } }: Now): string =>
  [low === null ? "" : `in below ${low} %`, high === null ? "" : `out above ${high} %`].filter(Boolean).join(", ");

/** Where desired and serving stand between min and max. */
function Scale({ now }: { now: Now }): JSX.Element {
  const { min, max } = now.bounds ?? { min: 0, max: 0 };
  const most = Math.max(max, now.desired, now.counts?.actual ?? 0, 1);
  const at = (size: number): string => `${Math.min(100, (100 * size) / most).toFixed(2)}%`;
  const serving = now.counts?.serving ?? 0;
  return (
    <div class="scale" role="img" aria-label={`${serving} of ${now.desired} desired instances serve; between ${min} and ${max} are allowed`}>
      <span class="scale-allowed" style={{ left: at(min), right: `calc(100% - ${at(max)})` }} />
      <span class="scale-actual" style={{ width: at(now.counts?.actual ?? 0) }} />
      <span class="scale-serving" style={{ width: at(serving) }} />
      <span class="scale-desired" style={{ left: at(now.desired) }} />
    </div>
  );
}

function Waits({ now }: { now: Now }): JSX.Element {
  return (
    <section class="panel" aria-labelledby="waits">
      <h2 id="waits">It waits for</h2>
      {now.waits_until.length === 0 ? <p class="muted">Nothing: the next sweep decides.</p> : (
        <ul class="waits">
          {now.waits_until.map((wait) => (
            <li key={wait.rule + wait.text}><span>{wait.text}</span> <Rule id={wait.rule} />{wait.until !== null && <b class="left"><Left until={wait.until} /></b>}</li>
          ))}
        </ul>
      )}
    </section>
  );
}

const PHASES: [keyof Counts, string][] = [
  ["in_service", "in-service"], ["warming", "warming"], ["pending", "pending"], ["suspect", "suspect"], ["draining", "draining"], ["terminating", "terminating"],
];

function MembersByPhase({ now }: { now: Now }): JSX.Element | null {
  const { counts } = now;
  if (!counts) return null;
  const all = PHASES.reduce((sum, [key]) => sum + counts[key], 0);
  return (
    <section class="panel" aria-labelledby="phases">
      <div class="panel-head"><h2 id="phases">{plural(all, "member")}</h2><a href={href({ view: "members", group: now.group })}>Each of them</a></div>
      <div class="phases" aria-hidden="true">
        {PHASES.filter(([key]) => counts[key] > 0).map(([key, phase]) => <span key={key} class={`phase-${phase}`} style={{ flexGrow: counts[key] }} />)}
      </div>
      <ul class="phasekeys">
        {PHASES.filter(([key]) => counts[key] > 0 || key === "in_service").map(([key, phase]) => (
          <li key={key}><i class={`dot phase-${phase}`} /> {count(counts[key])} {words(phase)}</li>
        ))}
      </ul>
    </section>
  );
}

function Trouble({ now }: { now: Now }): JSX.Element | null {
  const { faults, intents } = now;
  if (faults.length === 0 && intents.length === 0 && !now.policy.notice) return null;
  return (
    <section class="panel" aria-labelledby="trouble">
      <h2 id="trouble">Under way</h2>
      {now.policy.notice && <Notice kind="look">{now.policy.notice}</Notice>}
      {faults.map((fault) => (
        <Notice key={fault.what + fault.text} kind="look"><b>{label(fault.what)}</b>: {fault.text}{fault.since !== null && <> <span class="muted">since <Time at={fault.since} /></span></>}</Notice>
      ))}
      {intents.length > 0 && (
        <ul class="intents">
          {intents.map((intent) => (
            <li key={intent.id}>
              {label(intent.kind)} {intent.instance ?? ""} {intent.place ? `in ${intent.place} ` : ""}<span class="muted">({words(intent.cause)}, {intent.attempt === 0 ? "not tried yet" : `attempt ${intent.attempt}`}, <Age at={intent.at} />)</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}
