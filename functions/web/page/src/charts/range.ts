// Which span of time is shown, and reading its load: whole at first, then only what is new.

import { useEffect, useState } from "preact/hooks";

import type { Span } from "../api";
import { ApiError, load as readLoad } from "../api";
import { serverNow } from "../clock";
import { paced, repeat } from "../poll";
import type { Route } from "../route";
import type { Load } from "../types";

export type RangeName = "15m" | "1h" | "6h" | "24h" | "7d";

export const RANGES: [RangeName, string][] = [["15m", "15 min"], ["1h", "1 h"], ["6h", "6 h"], ["24h", "24 h"], ["7d", "7 d"]];
const LENGTH: Record<RangeName, number> = { "15m": 900_000, "1h": 3_600_000, "6h": 21_600_000, "24h": 86_400_000, "7d": 604_800_000 };
const POINTS = 240;
/** So often everything is read anew: a mark may have got another text, a late sweep may have come in. */
const WHOLE_MS = 60_000;

export type Range = { live: RangeName } | { live: null; from: number; until: number };

export function rangeOf(route: Route): Range {
  const [from, until] = [Number(route.query.get("from")), Number(route.query.get("until"))];
  if (Number.isFinite(from) && from > 0 && until > from) return { live: null, from, until };
  const name = RANGES.find(([known]) => known === route.query.get("range"))?.[0];
  return { live: name ?? "1h" };
}

/** The span of a range. A live one ends at a multiple of its step, so that its points stay where they are while time goes on. */
export function spanOf(range: Range, points = POINTS): Span {
  if (range.live === null) return { from: range.from, until: range.until, points };
  const length = LENGTH[range.live];
  const step = length / points;
  const until = Math.ceil(serverNow() / step) * step;
  return { from: until - length, until, points };
}

function merged(old: Load, more: Load, span: Span): Load {
  const known = new Set(more.points.map((point) => point.at));
  const points = [...old.points.filter((point) => point.at >= span.from && !known.has(point.at)), ...more.points].sort((a, b) => a.at - b.at);
  const steps = new Set(more.sizes.map((step) => step.at));
  const sizes = [...old.sizes.filter((step) => !steps.has(step.at)), ...more.sizes].sort((a, b) => a.at - b.at);
  const before = sizes.filter((step) => step.at < span.from).slice(-1);
  const ids = new Set(more.marks.map((mark) => mark.id));
  const marks = [...old.marks.filter((mark) => mark.at >= span.from && !ids.has(mark.id)), ...more.marks].sort((a, b) => a.at - b.at);
  return { ...more, step_ms: old.step_ms, whole_from: old.whole_from ?? null, from: span.from, until: span.until, points, sizes: [...before, ...sizes.filter((step) => step.at >= span.from)], marks };
}

export interface Shown {
  load: Load | null;
  error: ApiError | null;
  /** Whether it is of a range that was asked for before this one. */
  old: boolean;
}

/** The load of a range, kept up to date while it is live. */
export function useLoad(group: string, range: Range, period: number): Shown {
  const key = range.live ?? `${range.from}-${range.until}`;
  const [state, setState] = useState<{ key: string; load: Load | null; error: ApiError | null }>({ key: "", load: null, error: null });
  useEffect(() => {
    let gone = false;
    let known: Load | null = null;
    let wholeAt = 0;
    const past = range.live === null && range.until < serverNow();
    const work = async (): Promise<void> => {
      if (past && known !== null) return;
      const span = spanOf(range);
      // The last part is read once more, for what was decided in it meanwhile: the server answers from the next part after `since`.
      const last = known?.points.at(-1)?.at;
      const since = known === null || last === undefined ? undefined : Math.floor(last / known.step_ms) * known.step_ms - 1;
      try {
        if (known === null || since === undefined || range.live === null || Date.now() - wholeAt > WHOLE_MS) {
          known = { ...(await readLoad(group, span)), from: span.from, until: span.until };
          wholeAt = Date.now();
        } else {
          known = merged(known, await readLoad(group, span, since), span);
        }
        if (!gone) setState({ key, load: known, error: null });
      } catch (error) {
        const told = error instanceof ApiError ? error : new ApiError(0, "no-answer", String(error));
        if (!gone) setState((old) => ({ ...old, error: told }));
        throw told;
      }
    };
    const loop = repeat(work, () => paced(Math.max(period, past ? 15_000 : 0)));
    return () => {
      gone = true;
      loop.stop();
    };
  }, [group, key, period]);
  return { load: state.load, error: state.error, old: state.key !== key };
}
