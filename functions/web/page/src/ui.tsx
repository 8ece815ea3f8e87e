// Small parts that every view is made of.

import type { ComponentChildren, JSX } from "preact";

import type { ApiError } from "./api";
import { among, iso, label, local, ms, span, utc } from "./format";
import { useTold } from "./tick";
import type { Attention, Instant } from "./types";

/** A time in the viewer's zone, with UTC for whoever points at it. */
export function Time({ at }: { at: Instant }): JSX.Element {
  const millis = ms(at);
  if (Number.isNaN(millis)) return <span>{String(at)}</span>;
  return <time datetime={iso(millis)} title={utc(millis)}>{local(millis, Date.now())}</time>;
}

/** How long ago something was, counting. */
export function Age({ at, ago = true }: { at: number; ago?: boolean }): JSX.Element {
  const said = useTold((now) => span(now - at));
  return <time datetime={iso(at)} title={utc(at)}>{said}{ago ? " ago" : ""}</time>;
}

/** How long something still lasts, counting down. */
export function Left({ until }: { until: number }): JSX.Element {
  const said = useTold((now) => (until > now ? `${span(until - now)} left` : "due"));
  return <time datetime={iso(until)} title={utc(until)}>{said}</time>;
}

const SHAPES: Record<string, JSX.Element> = {
  fine: <><circle cx="8" cy="8" r="7" /><path class="stroke" d="m4.700 8.300 2.300 2.300 4.400-4.800" /></>,
  look: <><path d="M8 .9 15.600 14.600H.4Z" /><path class="stroke" d="M8 5.800v4M8 12.100v.1" /></>,
  bad: <><path d="M5 .8h6L15.200 5v6L11 15.200H5L.8 11V5Z" /><path class="stroke" d="m5.500 5.500 5 5m0-5-5 5" /></>,
  paused: <><circle cx="8" cy="8" r="7" /><path class="stroke" d="M6.200 5.300v5.400M9.800 5.300v5.400" /></>,
  hot: <path d="M8.600.8c.5 2.600 3.900 4 3.900 8a4.500 4.500 0 0 1-9 .3c0-2 1-2.900 1.600-4.300.8.600 1.200 1.300 1.300 2C7.900 5.500 8.700 3 8.600.8Z" />,
  shield: <path d="M8 .8 14 3v4.500c0 3.600-2.500 6.300-6 7.700-3.500-1.400-6-4.100-6-7.700V3Z" />,
};

/** A shape with a meaning: state is never told by colour alone. */
export function Icon({ name }: { name: string }): JSX.Element {
  return <svg class={`icon icon-${name}`} viewBox="0 0 16 16" aria-hidden="true">{among(SHAPES, name) ?? SHAPES["fine"]}</svg>;
}

const SAID: Record<Attention, string> = { fine: "Fine", look: "Needs a look", bad: "Needs somebody" };

export function State({ attention, paused = false }: { attention: Attention; paused?: boolean }): JSX.Element {
  const shape = paused && attention !== "bad" ? "paused" : attention;
  const calm = paused && attention === "fine";
  return <span class={`state state-${calm ? "paused" : attention}`}><Icon name={shape} /> {calm ? "Paused" : among(SAID, attention) ?? label(attention)}</span>;
}

export function Badge({ kind, children }: { kind?: string; children: ComponentChildren }): JSX.Element {
  return <span class={kind ? `badge badge-${kind}` : "badge"}>{children}</span>;
}

/** A rule's id, as reports name it. */
export const Rule = ({ id }: { id: string }): JSX.Element => <abbr class="rule" title={`rule ${id} of the contract`}>{id}</abbr>;

/** Says that what is shown is old: `what` cannot be read any more. That nobody answers at all is said once, at the top. */
export function Stale({ error, what }: { error: ApiError | null; what: string }): JSX.Element | null {
  if (error === null || error.status === 0) return null;
  return <Notice kind="look">The {what} cannot be read at the moment: {error.message}. This is what was last known.</Notice>;
}

export function Notice({ kind, children, live = false }: { kind: "look" | "bad" | "info"; children: ComponentChildren; live?: boolean }): JSX.Element {
  return (
    <div class={`notice notice-${kind}`} role={live ? "alert" : undefined}>
      {kind !== "info" && <Icon name={kind} />}
      <div>{children}</div>
    </div>
  );
}

/** What is shown in place of data that is not there. */
export function Absent({ error, what, tall = false }: { error: ApiError | null; what: string; tall?: boolean }): JSX.Element {
  if (error && error.status === 404) return <Notice kind="look">There is no {what} here: {error.message}.</Notice>;
  if (error) return <Notice kind="look">The {what} cannot be read: {error.message}. It is tried again.</Notice>;
  return <div class={tall ? "waiting waiting-tall" : "waiting"} role="status">Reading the {what} …</div>;
}

/** A row of choices of which one holds, such as a range of time. */
export function Choice<T extends string>(props: { label: string; value: T | null; options: [T, string][]; choose: (value: T) => void }): JSX.Element {
  return (
    <div class="choice" role="group" aria-label={props.label}>
      {props.options.map(([value, text]) => (
        <button type="button" key={value} aria-pressed={value === props.value} onClick={() => props.choose(value)}>{text}</button>
      ))}
    </div>
  );
}
