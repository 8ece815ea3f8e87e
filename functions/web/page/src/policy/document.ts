// A policy's text as a tree: reading and changing one key of it, and telling two of them apart.

import type { Json, JsonObject } from "../types";

export type Path = (string | number)[];

export const isObject = (value: Json | undefined): value is JsonObject => typeof value === "object" && value !== null && !Array.isArray(value);

/** `scaling.steps[0].above`, as the server names keys. */
export const keyOf = (path: Path): string => path.map((part, i) => (typeof part === "number" ? `[${part}]` : i === 0 ? part : `.${part}`)).join("");

/** The document that a text holds; none when it is no JSON object. */
export function parsed(text: string): JsonObject | null {
  try {
    const value = JSON.parse(text) as Json;
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

export const written = (document: JsonObject): string => `${JSON.stringify(document, null, 2)}\n`;

export function at(document: Json | undefined, path: Path): Json | undefined {
  let value = document;
  for (const part of path) {
    if (Array.isArray(value) && typeof part === "number") value = value[part];
    else if (isObject(value) && typeof part === "string") value = Object.hasOwn(value, part) ? value[part] : undefined;
    else return undefined;
  }
  return value;
}

/** `document` with another value at `path`; undefined takes the key away, and objects that are empty then. */
export function changed(document: Json | undefined, path: Path, value: Json | undefined): Json | undefined {
  const [part, ...rest] = path;
  if (part === undefined) return value;
  if (typeof part === "number") {
    const list = Array.isArray(document) ? [...document] : [];
    const item = changed(list[part], rest, value);
    if (item === undefined) list.splice(part, 1);
    else list[part] = item;
    return list;
  }
  const object: JsonObject = isObject(document) ? { ...document } : {};
  const item = changed(object[part], rest, value);
  if (item === undefined || (rest.length > 0 && value === undefined && isObject(item) && Object.keys(item).length === 0)) delete object[part];
  else Object.defineProperty(object, part, { value: item, enumerable: true, configurable: true, writable: true });
  return object;
}

/** The defaults, with what a document says in their place. */
export function filled(defaults: Json | undefined, document: Json | undefined): Json | undefined {
  if (document === undefined) return defaults;
  if (!isObject(defaults) || !isObject(document)) return document;
  const all = new Set([...Object.keys(defaults), ...Object.keys(document)]);
  return Object.fromEntries([...all].map((key) => [key, filled(defaults[key], at(document, [key])) ?? null]));
}

/** What of `scaling` belongs to which kind of rule. */
export const OF_KIND: Record<string, string[]> = {
  threshold: ["cpu_up_threshold", "cpu_down_threshold", "scale_up_factor", "scale_down_factor"],
  target: ["target", "tolerance"],
  step: ["steps"],
  auto: ["price"],
};

/** The kind of rule that a document means: the one that it names, or else the one whose settings it has. */
export function kindOf(document: JsonObject | null): string {
  const scaling = document?.["scaling"];
  if (!isObject(scaling)) return "auto";
  const named = scaling["kind"];
  if (typeof named === "string" && Object.hasOwn(OF_KIND, named)) return named;
  return Object.entries(OF_KIND).find(([, own]) => own.some((key) => Object.hasOwn(scaling, key)))?.[0] ?? "auto";
}

export const same = (a: Json | undefined, b: Json | undefined): boolean => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));

function sorted(value: Json | undefined): Json | undefined {
  if (Array.isArray(value)) return value.map((item) => sorted(item) ?? null);
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key]) ?? null]));
}

export interface Change {
  key: string;
  before: Json | undefined;
  after: Json | undefined;
}

/** The keys in which two documents differ. Lists are told as a whole. */
export function changes(before: Json | undefined, after: Json | undefined, path: Path = []): Change[] {
  if (same(before, after)) return [];
  if (isObject(before) && isObject(after)) {
    const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return keys.flatMap((key) => changes(at(before, [key]), at(after, [key]), [...path, key]));
  }
  return [{ key: keyOf(path), before, after }];
}
