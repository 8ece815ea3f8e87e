// A tick a second for what counts seconds.

import { useEffect, useState } from "preact/hooks";

import { serverNow } from "./clock";

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
