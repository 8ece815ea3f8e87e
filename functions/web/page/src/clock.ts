// What time it is on the server, and a tick a second for what counts seconds.

import { useEffect, useState } from "preact/hooks";

/** The header `Date` has whole seconds, so a smaller difference than this is none. */
const UNSURE_MS = 1_500;

let offsetMs = 0;

/** Learns from an answer's header how far the server's clock is ahead of ours. */
export function noteDate(header: string | null, sent: number, received: number): void {
  const theirs = header === null ? NaN : Date.parse(header);
  if (Number.isNaN(theirs)) return;
  const apart = theirs + 500 - (sent + received) / 2;
  offsetMs = Math.abs(apart) < UNSURE_MS ? 0 : apart;
}

/** The server's time, in milliseconds since 1970. */
export const serverNow = (): number => Date.now() + offsetMs;

const watchers = new Set<() => void>();
let timer: number | undefined;

function restart(): void {
  clearInterval(timer);
  timer = undefined;
  if (watchers.size > 0 && !document.hidden) {
    timer = window.setInterval(() => watchers.forEach((watcher) => watcher()), 1_000);
    watchers.forEach((watcher) => watcher());
  }
}
document.addEventListener("visibilitychange", restart);

/** The server's time; whoever uses it is rendered again every second while the page is seen. */
export function useNow(): number {
  const [now, setNow] = useState(serverNow);
  useEffect(() => {
    const watcher = (): void => setNow(serverNow());
    watchers.add(watcher);
    if (timer === undefined) restart();
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0) restart();
    };
  }, []);
  return now;
}
