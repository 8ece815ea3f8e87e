// Which of the members are looked at, in which order, page by page: a large group is never read whole. Needed before anything is drawn: no Preact here.

import type { Route } from "./route";

/** Members on a page. */
export const PAGE = 50;

const SORTS = ["id", "phase", "zone", "age", "load", "answer", "agent"] as const;
export type Sort = (typeof SORTS)[number];

const PHASES = ["suspect", "terminating", "draining", "pending", "warming", "in-service"];
/** Longer texts are cut: nothing that is found has so many letters. */
const LONGEST_FIND = 200;

export interface Listing {
  sort: Sort;
  down: boolean;
  /** A phase, `hot`, or nothing: all of them. */
  only: string;
  find: string;
  page: number;
}

/** What the address says of it; what makes no sense is not said. */
export function listing({ query }: Route): Listing {
  const only = query.get("phase") ?? "";
  return {
    sort: SORTS.find((sort) => sort === query.get("sort")) ?? "load",
    down: query.get("order") !== "up",
    only: only === "hot" || PHASES.includes(only) ? only : "",
    // By characters: half of one cannot be asked for.
    find: [...(query.get("find") ?? "")].slice(0, LONGEST_FIND).join(""),
    page: Math.min(1e6, Math.max(0, Math.floor(Number(query.get("page") ?? 0)) || 0)),
  };
}
