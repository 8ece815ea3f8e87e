// Reading the same thing again and again: one request at a time, only while the page is seen, and what was read is never
// thrown away because a later read failed.

import { useCallback, useEffect, useRef, useState } from "preact/hooks";

import { ApiError, read } from "./api";
import { serverNow } from "./clock";
import { askFor, soon, taken } from "./early";
import type { Route } from "./route";

/** No view asks more often than the first, and none less often than the second. */
const SOONEST_MS = 2_000;
const LATEST_MS = 15_000;

export const paced = (period: number): number => Math.min(LATEST_MS, Math.max(SOONEST_MS, period));

/** Since when nobody answers; null while somebody does. */
let lostSince: number | null = null;
const connection = new Set<(since: number | null) => void>();

function connected(yes: boolean): void {
  const since = yes ? null : (lostSince ?? serverNow());
  if (since === lostSince) return;
  lostSince = since;
  connection.forEach((tell) => tell(since));
}

/** Since when the server has not answered, by the server's clock. */
export function useLost(): number | null {
  const [since, setSince] = useState(lostSince);
  useEffect(() => {
    connection.add(setSince);
    setSince(lostSince);
    return () => void connection.delete(setSince);
  }, []);
  return since;
}

/** Whether an error says that nobody is there, rather than that something was refused. */
const isAbsence = (error: unknown): boolean =>
  error instanceof ApiError && (error.status === 0 || error.status === 502 || error.status === 504);

/** Runs `work`, then again `every` milliseconds after it has ended, as long as the page is seen; slower while it fails. */
export function repeat(work: () => Promise<void>, every: () => number): { stop: () => void; now: () => void } {
  let timer: number | undefined;
  let busy = false;
  let again = false;
  let stopped = false;
  let failures = 0;
  const run = async (): Promise<void> => {
    clearTimeout(timer);
    if (busy) {
      again = true;
      return;
    }
    busy = true;
    again = false;
    try {
      await work();
      failures = 0;
      connected(true);
    } catch (error) {
      failures += 1;
      if (isAbsence(error)) connected(false);
    }
    busy = false;
    if (stopped || document.hidden) return;
    const pause = failures === 0 ? every() : Math.min(LATEST_MS, every() * Math.min(failures + 1, 4));
    timer = window.setTimeout(() => void run(), again ? 0 : pause);
  };
  const seen = (): void => {
    if (document.hidden) clearTimeout(timer);
    else void run();
  };
  document.addEventListener("visibilitychange", seen);
  void run();
  return {
    stop: () => {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    },
    now: () => void run(),
  };
}

export interface Resource<T> {
  /** The last that was read of this path. */
  data: T | null;
  /** Why the last read failed; none after one that did not. */
  error: ApiError | null;
  /** Reads at once. */
  refresh: () => void;
}

interface Kept {
  data: unknown;
  etag: string | null;
}

/** What was read of each path, so that going back shows it at once. */
const kept = new Map<string, Kept>();
const MOST_KEPT = 24;

function keep(path: string, entry: Kept): void {
  kept.delete(path);
  kept.set(path, entry);
  const oldest = kept.keys().next().value;
  if (kept.size > MOST_KEPT && oldest !== undefined) kept.delete(oldest);
}

/** What is known of all paths that begin with `start`, the oldest first. */
export const keptOf = <T,>(start: string): T[] => [...kept].filter(([path]) => path.startsWith(start)).map(([, { data }]) => data as T);

/** The page is first drawn with what is answered by then: an empty one in between would delay what it is opened for. */
const DRAWN_AFTER_MS = 150;

/** Waits for the first answers, though not long. */
export const first = (): Promise<void> => soon(DRAWN_AFTER_MS, (path, { data, etag }) => keep(path, { data, etag }));

/** Begins to read what a view is going to ask for as soon as it is there. */
export const prefetch = (route: Route): void => askFor(route, (path) => kept.has(path));

/** `data`; until it has come, what was there before. */
export function useLast<T>(data: T | null): T | null {
  const last = useRef(data);
  last.current = data ?? last.current;
  return last.current;
}

interface Shown<T> {
  path: string | null;
  data: T | null;
  error: ApiError | null;
}

/** What is known of `path` before it is read. */
const known = <T,>(path: string | null): Shown<T> => ({ path, data: ((path !== null && kept.get(path)?.data) as T) || null, error: null });

/** Reads `path` now and every `period` milliseconds; null reads nothing. */
export function usePoll<T>(path: string | null, period: number): Resource<T> {
  const [state, setState] = useState(() => known<T>(path));
  const control = useRef<{ now: () => void } | null>(null);
  // Another period counts from the next read on: it is no reason to read at once.
  const pause = useRef(period);
  pause.current = period;
  useEffect(() => {
    if (path === null) return;
    setState((old) => (old.path === path ? old : known(path)));
    let gone = false;
    const loop = repeat(async () => {
      try {
        const before = kept.get(path);
        const answer = await (taken<T>(path) ?? read<T>(path, before?.etag ?? null));
        if (answer.data !== null) keep(path, { data: answer.data, etag: answer.etag });
        if (gone) return;
        const data = answer.data ?? (before?.data as T | undefined) ?? null;
        setState((old) => (old.path === path && old.data === data && old.error === null ? old : { path, data, error: null }));
      } catch (error) {
        const told = error instanceof ApiError ? error : new ApiError(0, "no-answer", String(error));
        if (!gone) setState((old) => ({ path, data: old.path === path ? old.data : null, error: told }));
        throw told;
      }
    }, () => pause.current);
    control.current = loop;
    return () => {
      gone = true;
      control.current = null;
      loop.stop();
    };
  }, [path]);
  const { data, error } = state.path === path ? state : known<T>(path);
  return { data, error, refresh: useCallback(() => control.current?.now(), []) };
}
