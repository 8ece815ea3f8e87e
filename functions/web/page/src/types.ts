// The shapes of the API, as the server serialises them. Times are milliseconds since 1970, loads are per cent.

/** Milliseconds since 1970, or, inside a report, RFC 3339. */
export type Instant = number | string;

/** How a group is, in one word: `look` wants to be looked at, `bad` needs somebody. */
export type Attention = "fine" | "look" | "bad";

export interface GroupRow {
  group: string;
  attention: Attention;
  why: string | null;
  mode: string;
  desired: number;
  actual: number;
  serving: number;
  min: number | null;
  max: number | null;
  mean: number | null;
  headline: string | null;
  last_slot: number | null;
  period_ms: number;
}

export interface GroupList {
  place: string;
  groups: GroupRow[];
  /** Groups whose record cannot be understood. */
  unreadable: { group: string; why: string }[];
}

export interface Counts {
  pending: number;
  warming: number;
  in_service: number;
  suspect: number;
  draining: number;
  terminating: number;
  actual: number;
  serving: number;
  missing: number;
}

export interface Remark {
  rule: string;
  text: string;
}

export interface Stage {
  stage: string;
  desired: number;
  rule: string;
  text: string;
}

export interface Report {
  at: Instant;
  slot: Instant | null;
  policy: number | null;
  mode: string;
  headline: string;
  rule: string;
  desired: { before: number; after: number };
  bounds: [number, number];
  window?: ScheduleWindow | null;
  counts: Counts;
  load: { mean: number; at_most: number; at_least: number } | null;
  stages: Stage[];
  remarks: Remark[];
  waits: Remark[];
  actions: string[];
  withheld: string[];
}

export interface ScheduleWindow {
  name: string;
  since: Instant;
  until?: Instant | null;
  closes?: string;
}

export interface Decision {
  id: string;
  at: number;
  since: number;
  count: number;
  version: number;
  report: Report;
}

export interface Explained extends Decision {
  explained: { headline: string; sentences: string[]; stages: Stage[]; would: string[] };
}

export interface Wait {
  rule: string;
  text: string;
  until: number | null;
}

export interface Fault {
  what: string;
  text: string;
  since: number | null;
}

export interface Intent {
  id: string;
  at: number;
  kind: string;
  cause: string;
  place: string | null;
  attempt: number;
  instance: string | null;
}

export interface Sweep {
  slot: number;
  finished_at: number;
  period_ms: number;
  members: number;
  answered: number;
  silent: number;
  unknown: number;
  mean: number | null;
  p90: number | null;
  blind: string | null;
}

/** What the loop has before it, and what it has turned away. */
export interface Queue {
  sweeps: number;
  calls: number;
  rejected: { records: number; last_at: number; reason: string } | null;
}

export interface Now {
  group: string;
  place: string;
  attention: Attention;
  why: string | null;
  mode: string;
  pause: { reason: string; until: number | null } | null;
  /** None while no policy is in force. */
  bounds: { min: number; max: number } | null;
  window: ScheduleWindow | null;
  desired: number;
  counts: Counts | null;
  policy: { version: number | null; kind: string | null; notice: string | null };
  thresholds: { low: number | null; high: number | null };
  sweep: Sweep | null;
  decision: Decision | null;
  waits_until: Wait[];
  boot_time_ms: number | null;
  intents: Intent[];
  faults: Fault[];
  queue: Queue;
  dashboard: string | null;
}

export interface Member {
  id: string;
  zone: string;
  shard: number;
  phase: string;
  load: number | null;
  signals: Record<string, number>;
  last_answer: number | null;
  silent_since: number | null;
  detail: string;
  agent: string | null;
  agent_version: string;
  marked_since: number | null;
  protected: boolean;
  protected_by_agent: boolean;
  leaving: { since: number; cause: string; timeout_ms: number | null; unregistered_at: number | null } | null;
  replaces: string | null;
  template: string | null;
  template_version: number | null;
  launched_at: number | null;
  first_answer: number | null;
  spark: (number | null)[];
  hot: boolean;
}

/** A page of a group's members, and what is known of all of them. */
export interface Members {
  total: number;
  phases: Record<string, number>;
  /** The hottest first; no more than sixty are named. */
  hot: { count: number; ids: string[] };
  matching: number;
  page: number;
  members: Member[];
}

export interface LoadPoint {
  at: number;
  mean: number | null;
  p90: number | null;
  members: number;
  answered: number;
  silent: number;
  blind: boolean;
}

export interface SizeStep {
  at: number;
  desired: number;
  actual: number;
  min: number;
  max: number;
}

export interface Mark {
  id: string;
  at: number;
  kind: string;
  headline: string;
  rule: string;
  before: number;
  after: number;
}

export interface Load {
  from: number;
  until: number;
  step_ms: number;
  points: LoadPoint[];
  sizes: SizeStep[];
  marks: Mark[];
  /** From when on sizes and marks are whole; before it there were more than are told. */
  whole_from?: number | null;
}

export interface MembersLoad {
  from: number;
  until: number;
  at: number[];
  members: Record<string, (number | null)[]>;
}

export interface Happening {
  id: string;
  at: number;
  since: number;
  count: number;
  kind: string;
  text: string;
  instance: string | null;
  cause: string | null;
  decision: string | null;
  rule: string | null;
}

export interface Activity {
  items: Happening[];
  next_until: number | null;
}

export interface Problem {
  key: string;
  value: string;
  message: string;
  line: number;
  column: number;
}

/** A value of JSON: what a policy is made of before anybody has judged it. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonObject = { [key: string]: Json };

export interface PolicyNow {
  text: string | null;
  revision: string | null;
  version: number | null;
  valid: boolean;
  problems: Problem[];
  document: JsonObject | null;
  in_force: { version: number; since: number | null; text: string } | null;
  notice: string | null;
}

export interface Checked {
  valid: boolean;
  problems: Problem[];
  document: JsonObject | null;
}

export interface Put {
  version: number | null;
  revision: string | null;
  /** Another's edit that came between and was overwritten. */
  overwrote?: number | null;
}

/** The policy that is there instead of the one that was to be replaced. */
export interface Found {
  text: string | null;
  revision: string | null;
  version: number | null;
}

export interface PolicyVersion {
  version: number;
  since: number;
  text: string;
  changes: { key: string; before: Json; after: Json }[];
}

export interface PolicyHistory {
  versions: PolicyVersion[];
  refusals: { at: number; reason: string }[];
}

/** How one did in a backtest. */
export interface PreviewRow {
  name: string;
  kind: "policy" | "against" | "peer" | "oracle";
  bounds: [number, number];
  over_percent: number;
  avoidable_percent: number;
  lost_percent: number;
  instance_hours: number;
  cost: number;
  changes_per_hour: number;
  minutes_at_max: number;
  /** Above the threshold of the outcome. */
  minutes_above: number | null;
  instances_mean: number;
  instances_most: number;
  launches: number;
  cost_per_month: number | null;
  policy_differs: { over_points: number; cost_percent: number; cost_per_month: number | null } | null;
  instances: number[];
  overloaded: number[];
}

export interface Preview {
  looks: number;
  start_unix_seconds: number;
  hours: number;
  boot: { seconds: number; from: string };
  price_per_hour: number | null;
  /** Where the policy in force scales out, in percent. */
  threshold_percent: number | null;
  load_mean: number;
  load_most: number;
  rows: PreviewRow[];
  series: { step_seconds: number; load_mean: number[]; load_most: number[] };
  notes: string[];
}
