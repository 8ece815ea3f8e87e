// uPlot as a component: it is made once for its options, and told of new data and of a new range afterwards. It comes as a script of its own, once
// the first words and numbers of a view are drawn: nothing else may import it.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import type uPlot from "uplot";

import { clock, day } from "../format";

/** Width of the axis on the left, and what is kept free on the right: the same in all charts, so that they stand in line. */
export const LEFT = 44;
export const RIGHT = 14;

/** A series as uPlot has it, or drawn as steps. */
type Series = uPlot.Series & { steps?: true };
export type PlotOptions = Omit<uPlot.Options, "width" | "height" | "series"> & { series: Series[] };

type Library = typeof uPlot;
let library: Library | null = null;
let coming: Promise<Library> | null = null;

/** The library, fetched once; what failed is tried again. */
export function bring(): Promise<Library> {
  coming ??= import("uplot").then(
    (found) => (library = found.default),
    (error: unknown) => {
      coming = null;
      throw error;
    },
  );
  return coming;
}

function useLibrary(): { uplot: Library | null; failed: boolean } {
  const [state, setState] = useState({ uplot: library, failed: false });
  useEffect(() => {
    let gone = false;
    const come = (uplot: Library | null): void => void (gone || setState({ uplot, failed: uplot === null }));
    if (state.uplot === null) bring().then(come, () => come(null));
    return () => void (gone = true);
  }, []);
  return state;
}

export interface PlotProps {
  /** Kept as it is for as long as the chart may stay the same. */
  options: PlotOptions;
  data: uPlot.AlignedData;
  /** What is shown, in milliseconds since 1970. */
  range: [number, number];
  height: number;
  label: string;
  /** Told where the cursor is: the index of the nearest point, and its time; nulls when it is gone. */
  onCursor?: (index: number | null, at: number | null) => void;
  onZoom?: (from: number, until: number) => void;
  onPress?: (plot: uPlot) => void;
}

export function Plot(props: PlotProps): JSX.Element {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const latest = useRef(props);
  latest.current = props;
  /** The data that are drawn: no chart is drawn twice for the same ones. */
  const drawn = useRef<unknown[]>([]);
  const [from, until] = props.range;
  const { uplot, failed } = useLibrary();
  useEffect(() => {
    const element = box.current;
    if (!element || !uplot) return;
    const paths = uplot.paths.stepped?.({ align: 1 });
    const series = props.options.series.map(({ steps, ...rest }) => (steps && paths ? { ...rest, paths } : rest));
    const scales = { ...props.options.scales, x: { ...props.options.scales?.["x"], min: from, max: until } };
    const options = { ...props.options, ...dimensions(element, props.height), scales, series, hooks: hooked(props.options.hooks ?? {}, latest) };
    const made = new uplot(options, props.data, element);
    drawn.current = [props.data, from, until];
    made.over.addEventListener("click", () => latest.current.onPress?.(made));
    plot.current = made;
    const observer = new ResizeObserver(() => {
      const { width, height } = dimensions(element, latest.current.height);
      if (width !== made.width || height !== made.height) made.setSize({ width, height });
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [uplot, props.options, props.height]);
  useEffect(() => {
    const made = plot.current;
    const wanted = [props.data, from, until];
    if (wanted.every((one, i) => one === drawn.current[i])) return;
    drawn.current = wanted;
    made?.batch(() => {
      made.setData(props.data, false);
      made.setScale("x", { min: from, max: until });
    });
  }, [uplot, props.options, props.height, props.data, from, until]);
  return <div ref={box} class="plot" role="img" aria-label={props.label} style={{ height: `${props.height}px` }}>{failed && <p class="muted">The chart cannot be drawn: its script has not come. Load the page again.</p>}</div>;
}

const dimensions = (element: HTMLElement, height: number): { width: number; height: number } => ({
  width: Math.max(120, element.clientWidth),
  height,
});

type Hooks = NonNullable<uPlot.Options["hooks"]>;

function hooked(own: Hooks, latest: { current: PlotProps }): Hooks {
  const cursor = (u: uPlot): void => {
    const { idx, left } = u.cursor;
    const there = idx !== null && idx !== undefined && left !== undefined && left >= 0;
    latest.current.onCursor?.(there ? idx : null, there ? u.posToVal(left, "x") : null);
  };
  const select = (u: uPlot): void => {
    const { left, width } = u.select;
    if (width < 8) return;
    const [from, until] = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    latest.current.onZoom?.(Math.round(from), Math.round(until));
  };
  return { ...own, setCursor: [...(own.setCursor ?? []), cursor], setSelect: [...(own.setSelect ?? []), select] };
}

/** What all charts over time have in common: one axis of time in the viewer's zone, a cursor that others follow, zooming by drag. */
export function common(color: { muted: string; grid: string }, sync: string | null): Pick<PlotOptions, "ms" | "legend" | "cursor" | "padding"> & { time: uPlot.Axis; values: uPlot.Axis } {
  const axis: uPlot.Axis = {
    stroke: color.muted,
    font: "11px system-ui, sans-serif",
    grid: { stroke: color.grid, width: 1 },
    ticks: { stroke: color.grid, width: 1, size: 4 },
  };
  return {
    ms: 1,
    legend: { show: false },
    padding: [8, RIGHT, 0, 0],
    cursor: {
      drag: { x: true, y: false, setScale: false },
      points: { size: 6 },
      ...(sync === null ? {} : { sync: { key: sync, setSeries: false } }),
    },
    time: { ...axis, size: 26, gap: 4, space: 70, values: (_, splits, __, ___, step) => splits.map((at, i) => tick(at, splits[i - 1], step)) },
    values: { ...axis, size: LEFT, gap: 6, space: 34 },
  };
}

/** The label of a tick: the time of day, and the day where it is another one. */
function tick(at: number, before: number | undefined, step: number): string {
  const [then, last] = [new Date(at), before === undefined ? null : new Date(before)];
  const midnight = then.getHours() === 0 && then.getMinutes() === 0 && then.getSeconds() === 0;
  if (midnight || step >= 86_400_000 || (last !== null && last.getDate() !== then.getDate())) return day(then);
  return clock(then, step < 60_000);
}
