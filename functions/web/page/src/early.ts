// What a view reads is asked for before it is there: the first of it when this module is loaded, which is before anything is drawn and before the
// modules behind it have run. So the answer comes while the page is being made.

import type { Answer } from "./api";
import { paths, read } from "./api";
import { listing } from "./listing";
import type { Route } from "./route";
import { parse } from "./route";

const asked = new Map<string, Promise<Answer<unknown>>>();

/** Asks for `path`, unless that is under way: whoever shows it takes the answer. */
function ask(path: string): void {
  if (asked.has(path)) return;
  const begun = read(path);
  asked.set(path, begun);
  // Who takes it hears of its failure.
  begun.catch(() => undefined);
}

/** Asks for what a view shows, as far as it is not `known` yet. */
export function askFor(route: Route, known: (path: string) => boolean): void {
  const { view, group } = route;
  const wanted = [paths.groups()];
  if (view !== "groups") wanted.push(paths.now(group));
  if (view === "members") wanted.push(paths.members(group, listing(route)));
  if (view === "policy") wanted.push(paths.policy(group));
  wanted.filter((path) => !known(path)).forEach(ask);
}

/** Hands on what has been asked for and is answered within `ms` milliseconds; comes when all of it is, or then. */
export async function soon(ms: number, hand: (path: string, answer: Answer<unknown>) => void): Promise<void> {
  const answers = [...asked].map(([path, answer]) => answer.then((found) => hand(path, found)));
  const late = new Promise<void>((come) => void setTimeout(come, ms));
  await Promise.race([Promise.allSettled(answers), late]);
}

/** The answer that was asked for, once. */
export function taken<T>(path: string): Promise<Answer<T>> | undefined {
  const found = asked.get(path);
  asked.delete(path);
  return found as Promise<Answer<T>> | undefined;
}

askFor(parse(location.hash), () => false);
