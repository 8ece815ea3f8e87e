// The decisions that changed something, as marks on the axis of time. Each is a button: a click, or Enter, opens its report.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

import { Dialog } from "../dialog";
import { among, count, local, utc } from "../format";
import { href } from "../route";
import type { Route } from "../route";
import type { Load, Mark } from "../types";
import { Rule, Time } from "../ui";

/** Marks closer to each other than this are one. */
const APART_PX = 16;
/** Of several that are one, the first of these kinds is shown. */
const ORDER = ["out", "in", "replace", "bounds", "held", "other"];
const SHAPES: Record<string, string> = {
  out: "M6 1.500 11 10H1Z", in: "M6 10.500 1 2h10Z", replace: "M6 .8 11.200 6 6 11.200.8 6Z",
  bounds: "M1.500 1.500h9v9h-9Z", held: "M6 2.500a3.500 3.500 0 1 1 0 7 3.500 3.500 0 0 1 0-7Z", other: "M6 4a2 2 0 1 1 0 4 2 2 0 0 1 0-4Z",
};

export function MarkShape({ kind }: { kind: string }): JSX.Element {
  return <svg class={`mark-shape mark-${among(SHAPES, kind) ? kind : "other"}`} viewBox="0 0 12 12" aria-hidden="true"><path d={among(SHAPES, kind) ?? SHAPES["other"] ?? ""} /></svg>;
}

interface Cluster {
  left: number;
  kind: string;
  marks: Mark[];
}

function clusters(load: Load, width: number): Cluster[] {
  const found: Cluster[] = [];
  for (const mark of load.marks) {
    const left = ((mark.at - load.from) / (load.until - load.from)) * width;
    if (left < 0 || left > width) continue;
    const last = found.at(-1);
    if (last && left - last.left < APART_PX) {
      last.marks.push(mark);
      if (rank(mark.kind) < rank(last.kind)) last.kind = mark.kind;
    } else {
      found.push({ left, kind: mark.kind, marks: [mark] });
    }
  }
  return found;
}

const rank = (kind: string): number => (ORDER.indexOf(kind) + ORDER.length + 1) % (ORDER.length + 1);

export function Marks({ load, route }: { load: Load; route: Route }): JSX.Element {
  const strip = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [open, setOpen] = useState<Mark[] | null>(null);
  useEffect(() => {
    const element = strip.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  const all = clusters(load, width);
  const press = (cluster: Cluster): void => {
    const [mark] = cluster.marks;
    if (cluster.marks.length === 1 && mark) location.hash = href({ ...route, decision: mark.id });
    else setOpen(cluster.marks);
  };
  return (
    <>
      <div class="marks" ref={strip} role="toolbar" aria-label="Decisions, oldest first; arrow keys move" onKeyDown={moved}>
        {all.map((cluster, i) => (
          <button
            type="button" key={cluster.marks[0]?.id} class="markbutton" tabIndex={i === all.length - 1 ? 0 : -1} title={titled(cluster)} aria-label={titled(cluster)}
            style={{ left: `${cluster.left}px` }} onClick={() => press(cluster)}
          >
            <MarkShape kind={cluster.kind} />{cluster.marks.length > 1 && <sup>{count(cluster.marks.length)}</sup>}
          </button>
        ))}
      </div>
      {open && (
        <Dialog title={`${open.length} decisions`} close={() => setOpen(null)}>
          <MarkList marks={[...open].reverse()} route={route} onOpen={() => setOpen(null)} />
        </Dialog>
      )}
    </>
  );
}

export function MarkList({ marks, route, onOpen }: { marks: Mark[]; route: Route; onOpen?: () => void }): JSX.Element {
  return (
    <ol class="marklist">
      {marks.map((mark) => (
        <li key={mark.id}>
          <a href={href({ ...route, decision: mark.id })} onClick={onOpen}>
            <MarkShape kind={mark.kind} /><span>{mark.headline}</span> <Rule id={mark.rule} /><span class="when"><Time at={mark.at} /></span>
          </a>
        </li>
      ))}
    </ol>
  );
}

function titled(cluster: Cluster): string {
  const [mark] = cluster.marks;
  const when = mark ? `${local(mark.at, Date.now())} (${utc(mark.at)})` : "";
  if (cluster.marks.length > 1 || !mark) return `${cluster.marks.length} decisions from ${when}`;
  return `${when}: ${mark.headline} (${mark.rule})`;
}

/** The arrow keys move among the marks, Home and End to the first and the last. */
function moved(event: KeyboardEvent): void {
  const buttons = [...(event.currentTarget as HTMLElement).querySelectorAll("button")];
  const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
  const to = { ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: buttons.length - 1 }[event.key];
  if (to === undefined) return;
  event.preventDefault();
  buttons[Math.max(0, Math.min(buttons.length - 1, to))]?.focus();
}
