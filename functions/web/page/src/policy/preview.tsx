// What an edit would have done to the load that was: old and new on one chart, and in numbers.

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import type uPlot from "uplot";

import { ApiError, preview } from "../api";
import { Plot, common } from "../charts/plot";
import { count, decimal, money, plural, signed, span } from "../format";
import { colours, useTheme } from "../theme";
import type { Preview, PreviewRow } from "../types";
import { Choice, Notice } from "../ui";

type Since = "21600000" | "86400000" | "604800000";
const SINCE: [Since, string][] = [["21600000", "6 h"], ["86400000", "24 h"], ["604800000", "7 d"]];
const HEIGHT = 220;

export function PreviewPanel({ group, text, valid }: { group: string; text: string; valid: boolean }): JSX.Element {
  const [since, setSince] = useState<Since>("86400000");
  const [state, setState] = useState<{ of: string; outcome: Preview | null; failed: string | null; busy: boolean }>({ of: "", outcome: null, failed: null, busy: false });
  const run = async (span_: Since): Promise<void> => {
    setSince(span_);
    setState((old) => ({ ...old, busy: true, failed: null }));
    try {
      const outcome = await preview(group, text, Number(span_));
      setState({ of: text, outcome, failed: null, busy: false });
    } catch (error) {
      setState((old) => ({ ...old, busy: false, failed: error instanceof ApiError ? error.message : String(error) }));
    }
  };
  return (
    <section class="panel preview" id="preview" aria-labelledby="preview-title">
      <div class="panel-head">
        <h2 id="preview-title">What it would have done</h2>
        <Choice label="How far back" value={since} options={SINCE} choose={(value) => void run(value)} />
        <button type="button" disabled={state.busy || !valid} onClick={() => void run(since)}>{state.busy ? "Playing …" : "Play the recorded load"}</button>
      </div>
      {!valid && <p class="muted">Once the policy is valid it can be played over the recorded load.</p>}
      {state.failed && <Notice kind="look" live>It cannot be played: {state.failed}</Notice>}
      {state.outcome === null ? valid && !state.failed && <p class="muted">The recorded load is played against the policy in force and against your edit; nothing is changed by it.</p> : (
        <div class={state.of !== text ? "old" : ""}>
          {state.of !== text && <Notice kind="look">This is of an earlier text: play it again.</Notice>}
          <Shown outcome={state.outcome} />
        </div>
      )}
    </section>
  );
}

function Shown({ outcome }: { outcome: Preview }): JSX.Element {
  const now = outcome.rows.find((row) => row.kind === "policy");
  const before = outcome.rows.find((row) => row.kind === "against");
  if (!now) return <Notice kind="look">There is nothing to play: no load is recorded in that span.</Notice>;
  return (
    <>
      <p class="muted" role="status">{span(outcome.hours * 3_600_000)} of load, {plural(outcome.looks, "sweep")} read. Booting takes {span(outcome.boot.seconds * 1000)} ({outcome.boot.from}).{outcome.price_per_hour !== null && ` An instance costs ${money(outcome.price_per_hour)} an hour.`}</p>
      <PreviewChart outcome={outcome} now={now} before={before} />
      <div class="scroll" tabIndex={0} role="region" aria-label="Old and new in numbers"><Numbers outcome={outcome} now={now} before={before} /></div>
      <details><summary>What this cannot know</summary><ul>{outcome.notes.map((note) => <li key={note}>{note}</li>)}</ul></details>
    </>
  );
}

function PreviewChart({ outcome, now, before }: { outcome: Preview; now: PreviewRow; before: PreviewRow | undefined }): JSX.Element {
  const { dark } = useTheme();
  const options = useMemo(previewChart, [dark]);
  const start = outcome.start_unix_seconds * 1000;
  const step = outcome.series.step_seconds * 1000;
  const data = useMemo(() => {
    const at = outcome.series.load_mean.map((_, i) => start + i * step);
    return [at, outcome.series.load_mean, before?.instances ?? at.map(() => null), now.instances] as uPlot.AlignedData;
  }, [outcome]);
  return (
    <>
      <div class="legend"><b>Instances</b><span class="key key-load">load, in instances fully used</span><span class="key key-actual">in force now</span><span class="key key-desired">your edit</span></div>
      <Plot options={options} data={data} range={[start, start + outcome.series.load_mean.length * step]} height={HEIGHT} label="Instances that both policies would have had, over the load. The table below has the sums." />
    </>
  );
}

function previewChart(): import("../charts/plot").PlotOptions {
  const color = colours("muted", "grid", "load", "desired", "actual");
  const base = common(color, null);
  return {
    ...base,
    cursor: { ...base.cursor, drag: { x: false, y: false, setScale: false } },
    scales: { x: { time: true }, y: { range: (_, __, most) => [0, Math.max(2, Math.ceil((most ?? 1) * 1.1))] } },
    axes: [base.time, base.values],
    series: [
      {},
      { label: "load", stroke: color.load, width: 1, fill: color.load.replace(/^rgb\((.*)\)$/, "rgba($1, 0.25)"), points: { show: false } },
      { label: "in force", stroke: color.actual, width: 1.5, dash: [5, 3], points: { show: false }, steps: true },
      { label: "edit", stroke: color.desired, width: 2, points: { show: false }, steps: true },
    ],
  };
}

interface Figure {
  name: string;
  value: (row: PreviewRow) => number | null;
  text: (value: number) => string;
  /** Whether more of it is worse. */
  bad: boolean;
}

function Numbers({ outcome, now, before }: { outcome: Preview; now: PreviewRow; before: PreviewRow | undefined }): JSX.Element {
  const oracle = outcome.rows.find((row) => row.kind === "oracle");
  const minutes = outcome.series.step_seconds / 60;
  const per = (unit: string) => (value: number): string => `${decimal(value)}${unit}`;
  const figures: Figure[] = [
    { name: "Instance-hours", value: (row) => row.instance_hours, text: decimal, bad: true },
    { name: "Money a month", value: (row) => row.cost_per_month, text: money, bad: true },
    { name: "Overloaded requests", value: (row) => row.over_percent, text: per(" %"), bad: true },
    ...(outcome.threshold_percent === null ? [] : [{ name: `Minutes above the threshold, ${decimal(outcome.threshold_percent)} %`, value: (row: PreviewRow) => row.minutes_above, text: decimal, bad: true }]),
    // The threshold of the backtest (`OVERLOADED`): not every rule has one of its own.
    { name: "Minutes overloaded, above 90 %", value: (row) => (row.overloaded.reduce((a, b) => a + b, 0) / 100) * minutes, text: decimal, bad: true },
    { name: "Lost requests", value: (row) => row.lost_percent, text: per(" %"), bad: true },
    { name: "Size changes", value: (row) => row.changes_per_hour * outcome.hours, text: (value) => count(Math.round(value)), bad: true },
    { name: "Instances, mean", value: (row) => row.instances_mean, text: decimal, bad: false },
    { name: "Instances, most", value: (row) => row.instances_most, text: count, bad: false },
    { name: "Minutes at max", value: (row) => row.minutes_at_max, text: decimal, bad: true },
    { name: "Launches", value: (row) => row.launches, text: count, bad: false },
  ];
  return (
    <table class="plain numbers">
      <thead><tr><th scope="col">Over {span(outcome.hours * 3_600_000)}</th><th scope="col">In force</th><th scope="col">Your edit</th><th scope="col">Difference</th><th scope="col" class="wide-only">Who knew the load</th></tr></thead>
      <tbody>
        {figures.filter((figure) => figure.value(now) !== null).map((figure) => {
          const [old, new_, best] = [before ? figure.value(before) : null, figure.value(now), oracle ? figure.value(oracle) : null];
          const more = old !== null && new_ !== null ? new_ - old : null;
          const tone = more === null || !figure.bad || Math.abs(more) < 1e-9 ? "" : more > 0 ? "worse" : "better";
          return (
            <tr key={figure.name}>
              <th scope="row">{figure.name}</th><td>{old === null ? "–" : figure.text(old)}</td><td><b>{new_ === null ? "–" : figure.text(new_)}</b></td>
              <td class={tone}>{more === null ? "–" : signed(more, figure.text)}{tone && <span class="unseen"> {tone}</span>}</td><td class="wide-only muted">{best === null ? "–" : figure.text(best)}</td>
            </tr>
          );
        })}
      </tbody>
    </table>
  );
}
