// The only way to the server: typed requests, conditional ones for what is polled, errors as the server words them.

import { noteDate } from "./clock";
import type { Listing } from "./listing";
import { PAGE } from "./listing";
import type {
  Activity, Checked, Explained, Found, GroupList, JsonObject, Load, Member, Members, MembersLoad, Now, PolicyHistory, PolicyNow, Preview, Problem, Put,
} from "./types";

/** A request waits no longer than this for its answer. The server's own deadline is 10 s, a preview's 20 s. */
const DEADLINE_MS = 12_000;
const PREVIEW_DEADLINE_MS = 25_000;

/** What the server refuses, or cannot do; `status` 0 is a server that did not answer. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly body: JsonObject = {},
  ) {
    super(message);
  }

  /** What is wrong with a policy that was refused. */
  get problems(): Problem[] {
    const nested = this.body["error"];
    const found = isObject(nested) ? nested["problems"] : undefined;
    return Array.isArray(found) ? (found as unknown as Problem[]) : [];
  }

  /** The policy that somebody else has saved meanwhile. */
  get found(): Found | null {
    const nested = this.body["error"];
    const found = isObject(nested) ? nested["found"] : undefined;
    return isObject(found) ? (found as unknown as Found) : null;
  }
}

/** An answer to a conditional request: no data when nothing has changed. */
export interface Answer<T> {
  data: T | null;
  etag: string | null;
}

const isObject = (value: unknown): value is JsonObject => typeof value === "object" && value !== null && !Array.isArray(value);

async function answered(path: string, init: RequestInit, deadlineMs: number): Promise<Response> {
  const sent = Date.now();
  let response: Response;
  try {
    response = await fetch(new URL(path, document.baseURI), {
      ...init,
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(deadlineMs),
    });
  } catch (error) {
    const late = error instanceof DOMException && error.name === "TimeoutError";
    throw new ApiError(0, "no-answer", late ? `no answer within ${deadlineMs / 1000} s` : "the server cannot be reached");
  }
  noteDate(response.headers.get("date"), sent, Date.now());
  if (!response.ok && response.status !== 304) throw await refusal(response);
  return response;
}

async function refusal(response: Response): Promise<ApiError> {
  let body: unknown = null;
  try {
    body = await response.json();
  } catch {
    // Whatever stands between us and the server may answer something else than JSON.
  }
  const error = isObject(body) && isObject(body["error"]) ? body["error"] : {};
  const code = typeof error["code"] === "string" ? error["code"] : "unavailable";
  const message = typeof error["message"] === "string" ? error["message"] : `the server answered ${response.status}`;
  return new ApiError(response.status, code, message, isObject(body) ? body : {});
}

/** Reads `path` when it is not what `etag` says. */
export async function read<T>(path: string, etag: string | null = null): Promise<Answer<T>> {
  const response = await answered(path, { headers: etag ? { "if-none-match": etag } : {} }, DEADLINE_MS);
  if (response.status === 304) return { data: null, etag };
  return { data: (await response.json()) as T, etag: response.headers.get("etag") };
}

async function send<T>(method: "POST" | "PUT", path: string, body: unknown, deadlineMs = DEADLINE_MS): Promise<T> {
  const headers = { "content-type": "application/json" };
  const response = await answered(path, { method, headers, body: JSON.stringify(body) }, deadlineMs);
  return (await response.json()) as T;
}

async function once<T>(path: string): Promise<T> {
  const { data } = await read<T>(path);
  if (data === null) throw new ApiError(304, "unavailable", "the server answered that nothing has changed");
  return data;
}

const of = (group: string): string => `api/groups/${encodeURIComponent(group)}`;

/** What is asked for over a span of time. */
export interface Span {
  from: number;
  until: number;
  points: number;
}

const query = (parts: Record<string, string | number | undefined>): string => {
  const given = Object.entries(parts).filter(([, value]) => value !== undefined && value !== "");
  return given.length === 0 ? "" : `?${given.map(([key, value]) => `${key}=${encodeURIComponent(String(value))}`).join("&")}`;
};

/** Where everything that is read stands. Two equal paths are the same answer. */
export const paths = {
  groups: (): string => "api/groups",
  now: (group: string): string => of(group),
  members: (group: string, { sort, down, only, find, page }: Listing): string =>
    `${of(group)}/members${query({ sort, order: down ? "down" : "up", ...(only === "hot" ? { hot: "true" } : { phase: only }), find, page, limit: PAGE })}`,
  member: (group: string, id: string): string => `${of(group)}/members/${encodeURIComponent(id)}`,
  load: (group: string, span: Span, since?: number): string => `${of(group)}/load${query({ ...span, since })}`,
  memberLoad: (group: string, id: string, span: Span): string => `${of(group)}/members/${encodeURIComponent(id)}/load${query({ ...span })}`,
  membersLoad: (group: string, span: Span): string => `${of(group)}/members/load${query({ ...span })}`,
  activity: (group: string, kinds: string[], until?: number): string =>
    `${of(group)}/activity${query({ limit: 50, kind: kinds.join(","), until })}`,
  decision: (group: string, id: string): string => `${of(group)}/decisions/${encodeURIComponent(id)}`,
  policy: (group: string): string => `${of(group)}/policy`,
  history: (group: string): string => `${of(group)}/policy/history`,
};

export type Read = {
  groups: GroupList;
  now: Now;
  members: Members;
  member: Member;
  load: Load;
  membersLoad: MembersLoad;
  activity: Activity;
  decision: Explained;
  policy: PolicyNow;
  history: PolicyHistory;
};

export const load = (group: string, span: Span, since?: number): Promise<Load> => once(paths.load(group, span, since));
export const activity = (group: string, kinds: string[], until: number): Promise<Activity> => once(paths.activity(group, kinds, until));
export const policy = (group: string): Promise<PolicyNow> => once(paths.policy(group));
export const schema = (): Promise<JsonObject> => once("api/policy/schema");
export const defaults = (kind: string): Promise<JsonObject> => once(`api/policy/defaults${query({ kind })}`);

export const check = (text: string): Promise<Checked> => send("POST", "api/policy/check", { text });
export const preview = (group: string, text: string, since_ms: number): Promise<Preview> =>
  send("POST", `${of(group)}/policy/preview`, { text, since_ms }, PREVIEW_DEADLINE_MS);
export const put = (group: string, text: string, revision: string | null): Promise<Put> =>
  send("PUT", `${of(group)}/policy`, { text, revision });
export const pause = (group: string, reason: string, until: number | null): Promise<Put> =>
  send("POST", `${of(group)}/pause`, { reason, until });
export const resume = (group: string): Promise<Put> => send("POST", `${of(group)}/resume`, {});
export const mark = (group: string, instance: string, what: "protect" | "drain", on: boolean): Promise<JsonObject> =>
  send("POST", `${of(group)}/members/${encodeURIComponent(instance)}/${what}`, { on });
