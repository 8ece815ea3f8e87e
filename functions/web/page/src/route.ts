// Where the viewer is: everything that a link can say stands behind the `#`. Needed before anything is drawn: no Preact here.

export type View = "groups" | "overview" | "members" | "policy" | "activity";

export interface Route {
  view: View;
  group: string;
  /** A decision whose report is open. */
  decision: string | null;
  /** A member whose card is open. */
  member: string | null;
  /** What else a view needs: range, filters, sorting. */
  query: URLSearchParams;
}

const VIEWS: View[] = ["members", "policy", "activity"];

const decoded = (part: string): string => {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
};

/** Reads what stands behind the `#`; what makes no sense is the list of groups. */
export function parse(hash: string): Route {
  const [path = "", search = ""] = hash.replace(/^#/, "").split("?", 2);
  const [, first, group, view] = path.split("/");
  const query = new URLSearchParams(search);
  if (first !== "g" || !group) return { view: "groups", group: "", decision: null, member: null, query };
  const found = VIEWS.find((name) => name === view) ?? "overview";
  const [decision, member] = [query.get("decision"), query.get("member")];
  query.delete("decision");
  query.delete("member");
  return { view: found, group: decoded(group), decision, member, query };
}

/** The link to a place. */
export function href(route: Partial<Route>): string {
  if (!route.group) return "#/";
  const view = route.view && route.view !== "overview" && route.view !== "groups" ? `/${route.view}` : "";
  const query = new URLSearchParams(route.query);
  if (route.decision) query.set("decision", route.decision);
  if (route.member) query.set("member", route.member);
  const search = query.toString();
  return `#/g/${encodeURIComponent(route.group)}${view}${search ? `?${search}` : ""}`;
}

export const go = (route: Partial<Route>): void => {
  location.hash = href(route);
};

/** Goes there without a step back: for what changes often, such as a filter. */
export const replace = (route: Partial<Route>): void => {
  history.replaceState(null, "", href(route));
  window.dispatchEvent(new HashChangeEvent("hashchange"));
};

/** `route` with parts of its query changed; null takes one away. */
export function withQuery(route: Route, parts: Record<string, string | null>): Route {
  const query = new URLSearchParams(route.query);
  for (const [key, value] of Object.entries(parts)) {
    if (value === null || value === "") query.delete(key);
    else query.set(key, value);
  }
  return { ...route, query };
}
