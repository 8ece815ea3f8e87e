// The load of all members in one chart. A few are lines of their own; many are drawn as a density, pixel by pixel, with
// the hot ones as lines on top: a thousand lines cost a few milliseconds, and show where most of them are.

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";

import { paths } from "../api";
import { serverNow } from "../clock";
import { percent } from "../format";
import { useLast, usePoll } from "../poll";
import { go } from "../route";
import type { Route } from "../route";
import { colours, useTheme } from "../theme";
import type { MembersLoad } from "../types";
import { Absent, Stale, Time } from "../ui";
import { thresholdBands } from "./bands";
import { density } from "./density";
import { Plot, common } from "./plot";
import type { PlotOptions } from "./plot";
import type { Range } from "./range";
import { spanOf } from "./range";

const HEIGHT = 240;
/** More members than these are drawn as a density. */
const LINES = 60;
/** Lines on top of a density. */
const HOT_LINES = 12;
const POINTS = 120;
const POINTS_MANY = 60;
/** A line is meant when the cursor is this near, in per cent of load. */
const NEAR = 6;
/** A live range moves on no sooner than after the first, and the same range is read again after the second. */
const SOONEST_MS = 5_000;
const LATEST_MS = 60_000;

interface Props {
  route: Route;
  range: Range;
  hot: Set<string>;
  members: number;
  thresholds: { low: number | null; high: number | null };
}

export function MembersChart({ route, range, hot, members, thresholds }: Props): JSX.Element {
  const points = members > 200 ? POINTS_MANY : POINTS;
  const key = range.live ?? `${range.from}-${range.until}`;
  const [tick, setTick] = useState(0);
  const asked = useMemo(() => spanOf(range, points), [key, points, tick]);
  const { data, error } = usePoll<MembersLoad>(paths.membersLoad(route.group, asked), LATEST_MS);
  const shown = useLast(data);
  // A live range moves on once its last part has passed.
  useEffect(() => {
    if (range.live === null) return;
    const timer = setTimeout(() => setTick((n) => n + 1), Math.max(SOONEST_MS, asked.until - serverNow()));
    return () => clearTimeout(timer);
  }, [asked]);
  return (
    <div class={`chartbox chartbox-members${data === null && shown !== null ? " old" : ""}`}>
      {shown !== null && <Stale error={error} what="load of each member" />}
      {shown === null ? <Absent error={error} what="load of each member" tall /> : <Drawn load={shown} hot={hot} route={route} thresholds={thresholds} />}
    </div>
  );
}

interface Near {
  id: string;
  value: number;
  at: number;
}

function Drawn({ load, hot, route, thresholds: { low, high } }: { load: MembersLoad; hot: Set<string>; route: Route; thresholds: Props["thresholds"] }): JSX.Element {
  const { dark } = useTheme();
  const [near, setNear] = useState<Near | null>(null);
  const latest = useRef({ load, hot });
  latest.current = { load, hot };
  const options = useMemo(() => membersChart(latest, low, high), [dark, low, high]);
  const data = useMemo(() => [load.at, load.at.map(() => null)] as uPlot.AlignedData, [load, hot]);
  const ids = Object.keys(load.members);
  const find = (plot: uPlot): Near | null => {
    const { idx, top } = plot.cursor;
    if (idx === null || idx === undefined || top === undefined || top < 0) return null;
    return nearest(load, idx, plot.posToVal(top, "y"));
  };
  const plot = useRef<uPlot | null>(null);
  const withCursor = useMemo(() => ({ ...options, hooks: { ...options.hooks, setCursor: [(u: uPlot) => void (plot.current = u)] } }), [options]);
  return (
    <>
      <div class="legend">
        <b>{ids.length > LINES ? "All members, the hot ones as lines" : "A line for each member"}</b>
        {near ? <span><b class="mono">{near.id}</b> {percent(near.value)} <span class="muted"><Time at={near.at} /></span></span> : <span class="muted wide-only">point at a line, click to open it</span>}
      </div>
      <Plot
        options={withCursor} data={data} range={[load.from, load.until]} height={HEIGHT} label={`Load of ${ids.length} members over time. The table below has the latest of each.`}
        onCursor={(index) => setNear(index === null || plot.current === null ? null : find(plot.current))}
        onPress={(u) => {
          const found = find(u);
          if (found) go({ ...route, member: found.id });
        }}
      />
    </>
  );
}

function nearest(load: MembersLoad, index: number, value: number): Near | null {
  let best: Near | null = null;
  for (const [id, values] of Object.entries(load.members)) {
    const there = values[index];
    if (there === null || there === undefined) continue;
    if (Math.abs(there - value) < Math.abs((best?.value ?? Infinity) - value)) best = { id, value: there, at: load.at[index] ?? 0 };
  }
  return best && Math.abs(best.value - value) <= NEAR ? best : null;
}

function membersChart(latest: { current: { load: MembersLoad; hot: Set<string> } }, low: number | null, high: number | null): PlotOptions {
  const color = colours("muted", "grid", "line", "hot", "over", "under", "bound", "panel");
  const base = common(color, null);
  const draw = (u: uPlot): void => {
    const { load, hot } = latest.current;
    const all = Object.entries(load.members);
    const { ctx, bbox } = u;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    const x = load.at.map((at) => u.valToPos(at, "x", true));
    const y = (value: number): number => u.valToPos(value, "y", true);
    const many = all.length > LINES;
    if (many) ctx.drawImage(density(all.map(([, values]) => values), x.map((at) => at - bbox.left), bbox.width, bbox.height, color.line), bbox.left, bbox.top);
    const lines = many ? all.filter(([id]) => hot.has(id)).slice(0, HOT_LINES) : all;
    ctx.lineJoin = "round";
    for (const [id, values] of lines) {
      const isHot = hot.has(id);
      ctx.strokeStyle = isHot ? color.hot : color.line;
      ctx.globalAlpha = isHot ? 1 : 0.45;
      ctx.lineWidth = (isHot ? (many ? 1.25 : 1.75) : 1) * devicePixelRatio;
      trace(ctx, values, x, y);
    }
    ctx.restore();
  };
  return {
    ...base,
    plugins: [{ hooks: { draw } }, thresholdBands(low, high, color)],
    scales: { x: { time: true }, y: { range: [0, 100] } },
    axes: [base.time, { ...base.values, values: (_, splits) => splits.map((value) => `${value} %`) }],
    cursor: { ...base.cursor, points: { show: false }, drag: { x: false, y: false, setScale: false } },
    series: [{}, { label: "members", points: { show: false } }],
  };
}

function trace(ctx: CanvasRenderingContext2D, values: (number | null)[], x: number[], y: (value: number) => number): void {
  ctx.beginPath();
  let down = false;
  values.forEach((value, i) => {
    if (value === null) {
      down = false;
      return;
    }
    if (down) ctx.lineTo(x[i] ?? 0, y(value));
    else ctx.moveTo(x[i] ?? 0, y(value));
    down = true;
  });
  ctx.stroke();
}
