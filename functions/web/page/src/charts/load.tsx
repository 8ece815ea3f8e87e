// Average load over the thresholds' bands, and desired and actual as steps below it, on one axis of time.

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import type uPlot from "uplot";

import { count, percent } from "../format";
import { colours, useTheme } from "../theme";
import type { Load } from "../types";
import { Time } from "../ui";
import { blindSpans, thresholdBands } from "./bands";
import { Plot, common } from "./plot";
import type { PlotOptions } from "./plot";

const LOAD_HEIGHT = 230;
const SIZE_HEIGHT = 130;
const SYNC = "load";

interface Props {
  load: Load;
  thresholds: { low: number | null; high: number | null };
  onZoom: (from: number, until: number) => void;
}

/** Both charts; `between` stands between them: the marks of the decisions. */
export function LoadCharts({ load, thresholds, onZoom, children }: Props & { children: JSX.Element }): JSX.Element {
  const [at, setAt] = useState<number | null>(null);
  const { dark } = useTheme();
  const { low, high } = thresholds;
  const loadOptions = useMemo(() => loadChart(low, high), [low, high, dark]);
  const sizeOptions = useMemo(sizeChart, [dark]);
  const loadData = useMemo(() => [load.points.map((point) => point.at), load.points.map((point) => point.mean), load.points.map((point) => point.p90), load.points.map((point) => (point.blind ? 1 : 0))] as uPlot.AlignedData, [load]);
  const sizeData = useMemo(() => stepped(load), [load]);
  const range: [number, number] = [load.from, load.until];
  const cursor = (_: number | null, time: number | null): void => setAt(time);
  return (
    <div class="charts">
      <LoadLegend load={load} at={at} />
      <Plot options={loadOptions} data={loadData} range={range} height={LOAD_HEIGHT} label="Average load over time. The table below says the same." onCursor={cursor} onZoom={onZoom} />
      {children}
      <SizeLegend load={load} at={at} />
      <Plot options={sizeOptions} data={sizeData} range={range} height={SIZE_HEIGHT} label="Desired and actual size over time. The table below says the same." onCursor={cursor} onZoom={onZoom} />
    </div>
  );
}

function loadChart(low: number | null, high: number | null): PlotOptions {
  const color = colours("muted", "grid", "line", "line-soft", "over", "under", "bound", "blind", "fill", "panel");
  const base = common(color, SYNC);
  return {
    ...base,
    plugins: [thresholdBands(low, high, color), blindSpans(3, color.blind)],
    scales: { x: { time: true }, y: { range: [0, 100] } },
    axes: [base.time, { ...base.values, values: (_, splits) => splits.map((value) => `${value} %`) }],
    series: [
      {},
      { label: "mean", stroke: color.line, width: 2, fill: color.fill, points: { show: false } },
      { label: "p90", stroke: color["line-soft"], width: 1.25, dash: [4, 3], points: { show: false } },
      { label: "blind", show: false },
    ],
  };
}

function sizeChart(): PlotOptions {
  const color = colours("muted", "grid", "line", "desired", "actual", "bound");
  const base = common(color, SYNC);
  return {
    ...base,
    scales: { x: { time: true }, y: { range: (u) => [0, top(u.data)] } },
    axes: [base.time, { ...base.values, space: 26, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000] }],
    series: [
      {},
      { label: "actual", stroke: color.actual, width: 1.5, fill: withAlpha(color.actual, 0.14), points: { show: false }, steps: true },
      { label: "desired", stroke: color.desired, width: 2, points: { show: false }, steps: true },
      { label: "min", stroke: color.bound, width: 1, dash: [2, 4], points: { show: false }, steps: true },
      { label: "max", stroke: color.bound, width: 1, dash: [2, 4], points: { show: false }, steps: true },
    ],
  };
}

/** As high as the size was; as high as `max`, too, when that is not far above. */
function top([, actual = [], desired = [], , most = []]: uPlot.AlignedData): number {
  const largest = (values: ArrayLike<number | null | undefined>): number => Array.from(values).reduce<number>((a, b) => Math.max(a, b ?? 0), 0);
  const [size, max] = [Math.max(largest(actual), largest(desired), 1), largest(most)];
  return Math.max(2, Math.ceil((max <= 2 * size ? Math.max(max, size) : size) * 1.12));
}

const withAlpha = (color: string, alpha: number): string => color.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`);

/** The steps, from the first to the end of the range: the last size holds on. */
function stepped(load: Load): uPlot.AlignedData {
  const last = load.sizes.at(-1);
  const latest = load.points.at(-1)?.at ?? load.until;
  const sizes = last && last.at < latest ? [...load.sizes, { ...last, at: latest }] : load.sizes;
  const at = sizes.map((step) => Math.max(step.at, load.from));
  return [at, sizes.map((step) => step.actual), sizes.map((step) => step.desired), sizes.map((step) => step.min), sizes.map((step) => step.max)];
}

/** The last entry that is not after `at`, none when all are; the last of all without one. */
export function lastAt<T extends { at: number }>(entries: T[], at: number | null): T | undefined {
  if (at === null) return entries.at(-1);
  let [from, until] = [0, entries.length];
  while (from < until) {
    const middle = (from + until) >> 1;
    if ((entries[middle]?.at ?? Infinity) <= at) from = middle + 1;
    else until = middle;
  }
  return entries[from - 1];
}

function LoadLegend({ load, at }: { load: Load; at: number | null }): JSX.Element {
  const point = lastAt(load.points, at);
  return (
    <div class="legend">
      <b>Average load</b>
      {point ? (
        <>
          <span class="key key-line">mean {percent(point.mean)}</span>
          <span class="key key-soft">p90 {percent(point.p90)}</span>
          <span class="muted wide-only">{count(point.answered)} of {count(point.members)} answered{point.blind && ", not trusted"}</span>
          <span class="muted when"><Time at={point.at} /></span>
        </>
      ) : <span class="muted">{at === null ? "no sweep in this span" : "no sweep as early as that"}</span>}
    </div>
  );
}

function SizeLegend({ load, at }: { load: Load; at: number | null }): JSX.Element {
  const step = lastAt(load.sizes, at);
  return (
    <div class="legend">
      <b>Size</b>
      {step === undefined ? at !== null && <span class="muted">not known as early as that</span> : (
        <>
          <span class="key key-desired">desired {count(step.desired)}</span>
          <span class="key key-actual">actual {count(step.actual)}</span>
          <span class="key key-bound">min {count(step.min)}, max {count(step.max)}</span>
        </>
      )}
    </div>
  );
}
