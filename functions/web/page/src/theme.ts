// Light, dark, or as the system has it. The choice is the one thing that this page remembers by itself.

import { useEffect, useState } from "preact/hooks";

export type Theme = "auto" | "light" | "dark";

const KEY = "muster-theme";
const system = matchMedia("(prefers-color-scheme: dark)");
const watchers = new Set<() => void>();

function stored(): Theme {
  try {
    const theme = localStorage.getItem(KEY);
    return theme === "light" || theme === "dark" ? theme : "auto";
  } catch {
    return "auto";
  }
}

let theme: Theme = stored();

function apply(): void {
  if (theme === "auto") delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
  watchers.forEach((tell) => tell());
}
apply();
system.addEventListener("change", apply);

export function setTheme(next: Theme): void {
  theme = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // A browser that keeps nothing: the choice ends with the page.
  }
  apply();
}

/** The choice, and what it comes to at the moment: canvases have to be drawn anew when that changes. */
export function useTheme(): { theme: Theme; dark: boolean } {
  const read = (): { theme: Theme; dark: boolean } => ({ theme, dark: theme === "dark" || (theme === "auto" && system.matches) });
  const [state, setState] = useState(read);
  useEffect(() => {
    const tell = (): void => setState(read());
    watchers.add(tell);
    return () => void watchers.delete(tell);
  }, []);
  return state;
}

/** The colours that canvases are drawn with, as the style sheet has them at the moment. */
export function colours<K extends string>(...names: K[]): Record<K, string> {
  const probe = document.createElement("span");
  probe.hidden = true;
  document.body.append(probe);
  const found = {} as Record<K, string>;
  for (const name of names) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}
