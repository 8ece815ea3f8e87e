// The form of a policy: size and rule first, the rest folded by what it is about.

import type { JSX } from "preact";
import { useState } from "preact/hooks";

import { among, label, plural } from "../format";
import type { Json, JsonObject } from "../types";
import { OF_KIND, at, changes, isObject } from "./document";
import { FieldInput, Prose } from "./field";
import type { Editing } from "./field";
import type { Field } from "./schema";
import { fields } from "./schema";

/** Settings of the root that are about the same thing. Whatever is named nowhere comes last. */
const SECTIONS: [string, string, string[]][] = [
  ["Mode", "What Muster may do to the group.", ["mode"]],
  ["Sweeps and samples", "How often the agents are asked, and which of their answers count.", ["sweep_interval", "max_sample_age", "min_available_percent", "warm_up"]],
  ["Pace", "How fast the size may change.", ["cooldown_out", "cooldown_in", "stabilization_out", "stabilization_in", "out_window", "max_out_per_window", "in_window", "max_in_per_window"]],
];
/** What has buttons of its own. */
const ELSEWHERE = ["pause"];

interface Props {
  schema: JsonObject;
  editing: Editing;
}

export function PolicyForm({ schema, editing }: Props): JSX.Element {
  const all = fields(schema, isObject(editing.defaults) ? editing.defaults : {});
  const found = new Map(all);
  const scaling = found.get("scaling");
  const first = ["min_instances", "max_instances"];
  const named = [...first, "scaling", ...ELSEWHERE, ...SECTIONS.flatMap(([, , keys]) => keys)];
  const rest = all.filter(([key]) => !named.includes(key));
  const loose = rest.filter(([, field]) => field.kind !== "object" && field.kind !== "list");
  const objects = rest.filter(([, field]) => field.kind === "object" || field.kind === "list");
  const entries = (keys: string[]): [string, Field][] => keys.flatMap((key): [string, Field][] => {
    const field = found.get(key);
    return field ? [[key, field]] : [];
  });
  return (
    <div class="form">
      <section class="panel" aria-labelledby="size-and-rule">
        <h2 id="size-and-rule">Size and rule</h2>
        <div class="fields">
          {entries(first).map(([key, field]) => <FieldInput key={key} path={[key]} field={field} editing={editing} />)}
        </div>
        {scaling?.kind === "object" && <Scaling field={scaling} editing={editing} />}
      </section>
      {SECTIONS.map(([title, text, keys]) => <Section key={title} title={title} text={text} entries={entries(keys)} editing={editing} />)}
      {objects.map(([key, field]) => (
        <Section key={key} title={label(key)} text={field.text} entries={field.kind === "object" ? field.fields : [[key, field]]} inside={field.kind === "object" ? key : undefined} editing={editing} />
      ))}
      {loose.length > 0 && <Section title="Other settings" text="" entries={loose} editing={editing} />}
    </div>
  );
}

function Scaling({ field, editing }: { field: Extract<Field, { kind: "object" }>; editing: Editing }): JSX.Element {
  const kind = at(editing.whole, ["scaling", "kind"]);
  const mine = typeof kind === "string" ? (among(OF_KIND, kind) ?? []) : [];
  const others = Object.values(OF_KIND).flat().filter((key) => !mine.includes(key));
  const shown = field.fields.filter(([key]) => !others.includes(key));
  const folded = field.fields.filter(([key]) => others.includes(key));
  return (
    <>
      <div class="fields">{shown.map(([key, inner]) => <FieldInput key={key} path={["scaling", key]} field={inner} editing={editing} />)}</div>
      <Section title="Settings of the other rules" text="They move nothing while another rule is chosen." entries={folded} inside="scaling" editing={editing} />
    </>
  );
}

interface SectionProps {
  title: string;
  text: string;
  entries: [string, Field][];
  /** The object in which the entries stand; none for the root. */
  inside?: string | undefined;
  editing: Editing;
}

function Section({ title, text, entries, inside, editing }: SectionProps): JSX.Element | null {
  const [open, setOpen] = useState(false);
  const paths = entries.map(([key]) => (inside === undefined ? [key] : [inside, key]));
  const prefixes = paths.map((path) => path.join("."));
  const wrong = editing.problems.filter((problem) => prefixes.some((key) => problem.key === key || problem.key.startsWith(`${key}.`) || problem.key.startsWith(`${key}[`))).length;
  const part = (document: Json): Json => paths.map((path) => at(document, path) ?? null);
  const changed = changes(Object.fromEntries(paths.map((path) => [path.join("."), at(editing.saved, path) ?? null])), Object.fromEntries(paths.map((path) => [path.join("."), at(editing.whole, path) ?? null]))).length;
  const set = (part(editing.own) as Json[]).filter((value) => value !== null).length;
  if (entries.length === 0) return null;
  // What is wrong has to be seen.
  const isOpen = open || wrong > 0;
  return (
    <details class="panel section" open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <b>{title}</b>
        {wrong > 0 && <span class="badge badge-bad">{plural(wrong, "error")}</span>}
        {changed > 0 && <span class="badge badge-accent">{changed} changed</span>}
        <span class="muted">{set === 0 ? "defaults" : `${set} set`}</span>
      </summary>
      {isOpen && (
        <>
          {text && <p class="help"><Prose text={text} /></p>}
          <div class="fields">{entries.map(([key, field], i) => <FieldInput key={key} path={paths[i] ?? [key]} field={field} editing={editing} />)}</div>
        </>
      )}
    </details>
  );
}
