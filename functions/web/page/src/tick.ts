// A tick a second for what counts seconds.

import { useEffect, useRef, useState } from "preact/hooks";

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

/** What `tell` says of the server's time; whoever uses it is rendered again when it says something else, asked every second while the page is seen. */
export function useTold(tell: (now: number) => string): string {
  const text = tell(serverNow());
  const last = useRef({ tell, text });
  last.current = { tell, text };
  const [, again] = useState(0);
  useEffect(() => {
    const watcher = (): void => {
      const { tell, text } = last.current;
      if (tell(serverNow()) !== text) again((n) => n + 1);
    };
    watchers.add(watcher);
    if (timer === undefined) restart();
    return () => {
      watchers.delete(watcher);
      if (watchers.size === 0) restart();
    };
  }, []);
  return text;
}
