// The JSON Schema of a policy, as far as a form needs it.

import type { Json, JsonObject } from "../types";
import { isObject } from "./document";

export interface Option {
  value: string;
  text: string;
}

/** What a value is, and so which input it gets. */
export type Field =
  | { kind: "number" | "span" | "text" | "flag"; text: string; limits: string }
  | { kind: "choice"; text: string; limits: string; options: Option[]; open: boolean }
  | { kind: "texts"; text: string; limits: string }
  | { kind: "list"; text: string; limits: string; item: Field }
  | { kind: "object"; text: string; limits: string; fields: [string, Field][] };

/** Deeper than this no policy goes; a schema that refers to itself ends here. */
const DEEPEST = 6;

const string = (value: Json | undefined): string => (typeof value === "string" ? value : "");
/** As a policy has it: without separators, so that it may be typed like that. */
const plainly = (value: number): string => String(value);
const number = (value: Json | undefined): number | null => (typeof value === "number" ? value : null);

/** The fields of a schema's root, in the order of `like`, a document with all keys. */
export function fields(schema: JsonObject, like: JsonObject): [string, Field][] {
  const field = fieldOf(schema, schema, 0);
  return field.kind === "object" ? ordered(field.fields, like) : [];
}

function ordered(found: [string, Field][], like: Json | undefined): [string, Field][] {
  const order = isObject(like) ? Object.keys(like) : [];
  const rank = (key: string): number => (order.indexOf(key) + order.length + 1) % (order.length + 1);
  const inner = ([key, field]: [string, Field]): [string, Field] =>
    field.kind === "object" ? [key, { ...field, fields: ordered(field.fields, isObject(like) ? like[key] : undefined) }] : [key, field];
  return [...found].sort(([a], [b]) => rank(a) - rank(b)).map(inner);
}

function fieldOf(root: JsonObject, node: JsonObject, depth: number): Field {
  const target = resolved(root, node);
  const text = string(node["description"]) || string(target["description"]);
  const limits = limitsOf({ ...target, ...node });
  const types = typesOf(target);
  const options = optionsOf(root, target);
  if (options !== null) return { kind: "choice", text, limits: limits || options.limits, options: options.found, open: options.open };
  if (types.includes("object") && depth < DEEPEST) {
    const properties = isObject(target["properties"]) ? target["properties"] : {};
    const found = Object.entries(properties).filter((entry): entry is [string, JsonObject] => isObject(entry[1]));
    return { kind: "object", text, limits, fields: found.map(([key, inner]) => [key, fieldOf(root, inner, depth + 1)]) };
  }
  if (types.includes("array") && isObject(target["items"]) && depth < DEEPEST) {
    const item = fieldOf(root, target["items"], depth + 1);
    return item.kind === "object" ? { kind: "list", text, limits, item } : { kind: "texts", text, limits };
  }
  if (types.includes("integer") || types.includes("number")) return { kind: "number", text, limits };
  if (types.includes("boolean")) return { kind: "flag", text, limits };
  return { kind: target["format"] === "span" ? "span" : "text", text, limits };
}

function resolved(root: JsonObject, node: JsonObject): JsonObject {
  const name = string(node["$ref"]).replace(/^#\/\$defs\//, "");
  const definitions = root["$defs"];
  const found = name !== "" && isObject(definitions) ? definitions[name] : undefined;
  if (isObject(found)) return found;
  // `null` beside one thing: that thing, which may be left out.
  const either = Array.isArray(node["anyOf"]) ? node["anyOf"].filter((one): one is JsonObject => isObject(one) && one["type"] !== "null") : [];
  const [only] = either;
  return either.length === 1 && only ? resolved(root, only) : node;
}

function typesOf(node: JsonObject): string[] {
  const type = node["type"];
  return Array.isArray(type) ? type.map(string) : [string(type)];
}

/** The names among which a value is chosen; `open` when it may be something else, too. */
function optionsOf(root: JsonObject, node: JsonObject): { found: Option[]; open: boolean; limits: string } | null {
  const among = node["oneOf"] ?? node["anyOf"];
  if (Array.isArray(node["enum"])) return { found: node["enum"].map((value) => ({ value: String(value), text: "" })), open: false, limits: "" };
  if (!Array.isArray(among)) return null;
  const found: Option[] = [];
  let [open, limits] = [false, ""];
  for (const one of among.filter(isObject)) {
    const target = resolved(root, one);
    if (typeof target["const"] === "string") found.push({ value: target["const"], text: string(target["description"]) });
    else if (Array.isArray(target["oneOf"])) found.push(...(optionsOf(root, target)?.found ?? []));
    else [open, limits] = [true, `or ${limitsOf(target)}`];
  }
  return found.length === 0 ? null : { found, open, limits: open ? limits : "" };
}

/** The range of a value, in words. */
function limitsOf(node: JsonObject): string {
  const [least, most] = [number(node["minimum"]), number(node["maximum"])];
  const [above, below] = [number(node["exclusiveMinimum"]), number(node["exclusiveMaximum"])];
  const [shortest, longest] = [string(node["x-minimum"]), string(node["x-maximum"])];
  const [fewest, many] = [number(node["minItems"]), number(node["maxItems"])];
  const from = above !== null ? `above ${plainly(above)}` : least !== null ? plainly(least) : shortest;
  const until = below !== null ? `below ${plainly(below)}` : most !== null ? plainly(most) : longest;
  if (from && until) return above !== null || below !== null ? `${from}, ${below !== null ? until : `at most ${until}`}` : `${from} to ${until}`;
  if (from) return above === null ? `at least ${from}` : from;
  if (until) return below === null ? `at most ${until}` : until;
  if (many !== null) return fewest ? `${fewest} to ${many} entries` : `at most ${many} entries`;
  const length = number(node["maxLength"]);
  return length === null ? "" : `at most ${plainly(length)} characters`;
}
