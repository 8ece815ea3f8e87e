// Numbers, spans and times in words. All text of the page that is not the server's comes through here or stands in a component.

import type { Instant, Json } from "./types";

/** With at most so many decimals, at least so many, and commas between thousands. By hand: an `Intl.NumberFormat` takes longer to make than a view to draw. */
function figures(value: number, most: number, least = most): string {
  const [whole = "", part = ""] = value.toFixed(most).split(".");
  const decimals = part.slice(0, least) + part.slice(least).replace(/0+$/, "");
  return whole.replace(/\B(?=(\d{3})+$)/g, ",") + (decimals && `.${decimals}`);
}

/** Milliseconds since 1970 of either form of a time. */
export const ms = (at: Instant): number => (typeof at === "number" ? at : Date.parse(at));

export const count = (value: number): string => figures(value, 0);
export const decimal = (value: number): string => Math.abs(value) >= 1000 ? count(value) : Math.abs(value) >= 10 && !Number.isInteger(value) ? figures(value, 1) : figures(value, 2, 0);
export const percent = (value: number | null | undefined): string => (value === null || value === undefined ? "–" : `${figures(value, 1)} %`);
/** US dollars: cents up to a hundred, a price of an instance as exact as it is. */
export const money = (value: number): string => {
  const sum = Math.abs(value);
  const text = sum >= 100 ? count(sum) : sum >= 1 || sum === 0 ? figures(sum, 2) : figures(sum, 4, 0);
  return `${value < 0 ? "−" : ""}$${text}`;
};
export const signed = (value: number, text: (value: number) => string = decimal): string =>
  value > 0 ? `+${text(value)}` : value < 0 ? `−${text(-value)}` : "±0";
export const plural = (n: number, one: string, many = `${one}s`): string => `${count(n)} ${n === 1 ? one : many}`;

/** A span as a person says it: `45 s`, `1 m 12 s`, `3 h 5 m`, `2 d 4 h`. */
export function span(millis: number): string {
  const s = Math.max(0, Math.round(millis / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return s % 60 === 0 ? `${s / 60} m` : `${Math.floor(s / 60)} m ${s % 60} s`;
  const m = Math.floor(s / 60);
  if (m < 60 * 24) return m % 60 === 0 ? `${m / 60} h` : `${Math.floor(m / 60)} h ${m % 60} m`;
  const h = Math.floor(m / 60);
  return h % 24 === 0 ? `${h / 24} d` : `${Math.floor(h / 24)} d ${h % 24} h`;
}

const two = (value: number): string => String(value).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

export const clock = (at: Date, seconds = true): string =>
  `${two(at.getHours())}:${two(at.getMinutes())}${seconds ? `:${two(at.getSeconds())}` : ""}`;
export const day = (at: Date): string => `${at.getDate()} ${MONTHS[at.getMonth()] ?? ""}`;

/** A time in the viewer's zone; the day is said when it is not today's. */
export function local(at: number, now: number): string {
  const then = new Date(at);
  const today = then.toDateString() === new Date(now).toDateString();
  return today ? clock(then) : `${day(then)} ${clock(then)}`;
}

/** The same in UTC, complete. */
export const utc = (at: number): string => {
  const then = new Date(at);
  return Number.isNaN(then.getTime()) ? "" : `${then.toISOString().slice(0, 19).replace("T", " ")} UTC`;
};

export const iso = (at: number): string => {
  const then = new Date(at);
  return Number.isNaN(then.getTime()) ? "" : then.toISOString();
};

/** What a time input wants: local time without a zone. */
export const inputTime = (at: number): string => {
  const then = new Date(at);
  return `${then.getFullYear()}-${two(then.getMonth() + 1)}-${two(then.getDate())}T${clock(then, false)}`;
};

/** A value of a policy, on one line. */
export const shown = (value: Json | undefined): string =>
  value === undefined || value === null ? "not set" : typeof value === "string" ? value : JSON.stringify(value);

/** What stands under a name that came from outside: never what every object inherits, such as `constructor`. */
export const among = <T>(known: Record<string, T>, name: string): T | undefined => (Object.hasOwn(known, name) ? known[name] : undefined);

const WORDS: Record<string, string> = {
  active: "active", "out-only": "out only", observe: "observing", paused: "paused",
  "in-service": "in service", "taken-back": "drain taken back", "policy-accepted": "policy accepted", "policy-refused": "policy refused",
};

/** A name of the API's, as words. */
export const words = (name: string): string => among(WORDS, name) ?? name.replaceAll("-", " ").replaceAll("_", " ");

/** The same as the beginning of a sentence or a label. */
export const label = (name: string): string => {
  const said = words(name);
  return said.charAt(0).toUpperCase() + said.slice(1);
};
