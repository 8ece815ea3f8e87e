// One setting of the policy: its input, its text and limits, and what is wrong with it.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useState } from "preact/hooks";

import { among, label, shown } from "../format";
import type { Json, Problem } from "../types";
import { at, keyOf, same } from "./document";
import type { Path } from "./document";
import type { Field } from "./schema";

/** What all fields share: the document with its defaults, what the text itself says, and how it is changed. */
export interface Editing {
  /** The text's own document. */
  own: Json;
  /** With the defaults filled in. */
  whole: Json;
  /** What is in force, with the defaults filled in. */
  saved: Json;
  defaults: Json;
  problems: Problem[];
  change: (path: Path, value: Json | undefined) => void;
}

/** Names that would be hard to read as they are. */
const LABELS: Record<string, string> = {
  min_instances: "Minimum instances", max_instances: "Maximum instances", cpu_up_threshold: "Scale out above (CPU %)", cpu_down_threshold: "Scale in below (CPU %)",
  scale_up_factor: "Scale-out factor", scale_down_factor: "Scale-in share", kind: "Rule",
};

/** Text in which `backticks` mean code. */
export function Prose({ text }: { text: string }): JSX.Element {
  return <>{text.split("`").map((part, i) => (i % 2 === 1 ? <code key={i}>{part}</code> : part))}</>;
}

export function FieldInput({ path, field, editing }: { path: Path; field: Field; editing: Editing }): JSX.Element {
  switch (field.kind) {
    case "object": return <Fieldset path={path} field={field} editing={editing} />;
    case "list": return <List path={path} field={field} editing={editing} />;
    case "number": case "span": case "text": case "flag": case "choice": case "texts": return <Leaf path={path} field={field} editing={editing} />;
  }
}

type LeafField = Exclude<Field, { kind: "object" } | { kind: "list" }>;

function Leaf({ path, field, editing }: { path: Path; field: LeafField; editing: Editing }): JSX.Element {
  const key = keyOf(path);
  const id = `f-${key}`;
  const [own, whole, preset] = [at(editing.own, path), at(editing.whole, path), at(editing.defaults, path)];
  const problems = editing.problems.filter((problem) => problem.key === key);
  const isChanged = !same(whole, at(editing.saved, path));
  const input = { id, "aria-invalid": problems.length > 0, "aria-describedby": `${id}-text${problems.length > 0 ? ` ${id}-problem` : ""}` };
  const change = (value: Json | undefined): void => editing.change(path, value);
  return (
    <div class={`field${isChanged ? " changed" : ""}${problems.length > 0 ? " wrong" : ""}`}>
      <div class="field-head">
        <label for={id}>{among(LABELS, String(path.at(-1))) ?? label(String(path.at(-1)))}</label>
        {isChanged && <span class="badge badge-accent">changed</span>}
        {own !== undefined && preset !== undefined && !same(own, preset) && (
          <button type="button" class="quiet reset" onClick={() => change(undefined)} aria-label={`default: ${brief(preset)}, for ${key}`} title="Use the default">default: {brief(preset)}</button>
        )}
      </div>
      <Control field={field} value={whole} change={change} input={input} />
      {problems.length > 0 && (
        <div id={`${id}-problem`} class="error" role="alert">{problems.map((problem) => <p key={problem.message}>{problem.message}</p>)}</div>
      )}
      <p id={`${id}-text`} class="help">
        <Prose text={field.text} />{field.limits && <span class="limits"> Range: {field.limits}.</span>} <code class="keyname">{key}</code>
      </p>
    </div>
  );
}

const brief = (value: Json): string => {
  const said = shown(value);
  return said.length > 24 ? `${said.slice(0, 22)}…` : said;
};

interface ControlProps {
  field: LeafField;
  value: Json | undefined;
  change: (value: Json | undefined) => void;
  input: { id: string; "aria-invalid": boolean; "aria-describedby": string };
}

function Control({ field, value, change, input }: ControlProps): JSX.Element {
  if (field.kind === "flag") return <input type="checkbox" {...input} checked={value === true} onChange={(event) => change(event.currentTarget.checked)} />;
  if (field.kind === "texts") {
    const read = (text: string): Json | undefined => (text.trim() === "" ? undefined : text.split("\n").map((line) => line.trim()).filter((line) => line !== ""));
    return <Typed value={value} read={read} write={(list) => (Array.isArray(list) ? list.map(shown).join("\n") : text(list))} change={change} render={(props) => <textarea rows={3} {...input} {...props} />} />;
  }
  if (field.kind === "choice" && !field.open) {
    const current = text(value);
    const known = field.options.some((option) => option.value === current);
    return (
      <>
        <select {...input} value={current} onChange={(event) => change(event.currentTarget.value)}>
          {!known && <option value={current}>{current}</option>}
          {field.options.map((option) => <option key={option.value} value={option.value}>{option.value}</option>)}
        </select>
        <p class="help chosen">{field.options.find((option) => option.value === current)?.text}</p>
      </>
    );
  }
  const list = field.kind === "choice" ? `${input.id}-list` : undefined;
  const numeric = field.kind === "number" || field.kind === "choice";
  return (
    <>
      <Typed value={value} read={(typed) => told(typed, numeric)} write={text} change={change}
        render={(props) => <input type="text" inputMode={field.kind === "number" ? "decimal" : "text"} autocomplete="off" spellcheck={false} list={list} {...input} {...props} />} />
      {field.kind === "choice" && <datalist id={list}>{field.options.map((option) => <option key={option.value} value={option.value}>{option.text}</option>)}</datalist>}
    </>
  );
}

const text = (value: Json | undefined): string => (value === undefined || value === null ? "" : typeof value === "string" ? value : JSON.stringify(value));

/** What was typed, as a value: nothing means the default, and what is no number stays text, so that the server can say what is wrong. */
function told(typed: string, numeric: boolean): Json | undefined {
  const trimmed = typed.trim();
  if (trimmed === "") return undefined;
  return numeric && Number.isFinite(Number(trimmed)) ? Number(trimmed) : trimmed;
}

interface TypedProps {
  value: Json | undefined;
  read: (typed: string) => Json | undefined;
  write: (value: Json | undefined) => string;
  change: (value: Json | undefined) => void;
  render: (props: { value: string; onInput: (event: { currentTarget: { value: string } }) => void; onBlur: () => void }) => ComponentChildren;
}

/** Keeps what is being typed as it is, until it is left or somebody else changes the value. */
function Typed({ value, read, write, change, render }: TypedProps): JSX.Element {
  const [typed, setTyped] = useState(write(value));
  useEffect(() => {
    const meant = read(typed);
    if (meant !== undefined && !same(meant, value)) setTyped(write(value));
  }, [JSON.stringify(value)]);
  const props = {
    value: typed,
    onInput: (event: { currentTarget: { value: string } }): void => {
      setTyped(event.currentTarget.value);
      change(read(event.currentTarget.value));
    },
    onBlur: (): void => setTyped(write(value)),
  };
  return <>{render(props)}</>;
}

function Fieldset({ path, field, editing }: { path: Path; field: Extract<Field, { kind: "object" }>; editing: Editing }): JSX.Element {
  return (
    <fieldset class="inner">
      <legend>{label(String(path.at(-1)))}</legend>
      <p class="help"><Prose text={field.text} /></p>
      <div class="fields">{field.fields.map(([key, inner]) => <FieldInput key={key} path={[...path, key]} field={inner} editing={editing} />)}</div>
    </fieldset>
  );
}

function List({ path, field, editing }: { path: Path; field: Extract<Field, { kind: "list" }>; editing: Editing }): JSX.Element {
  const key = keyOf(path);
  const value = at(editing.whole, path);
  const items = Array.isArray(value) ? value : [];
  const problems = editing.problems.filter((problem) => problem.key === key);
  const name = label(String(path.at(-1)));
  // The list becomes the text's own before one entry of it is changed.
  const inner: Editing = {
    ...editing,
    change: (at_, to) => {
      if (at(editing.own, path) === undefined) editing.change(path, replaced(items, at_.slice(path.length), to));
      else editing.change(at_, to);
    },
  };
  return (
    <fieldset class="inner" id={`f-${key}`} tabIndex={-1}>
      <legend>{name}</legend>
      <p class="help"><Prose text={field.text} /> {field.limits && <span class="limits">{label(field.limits)}.</span>} <code class="keyname">{key}</code></p>
      {problems.map((problem) => <p key={problem.message} class="error" role="alert">{problem.message}</p>)}
      {items.map((_, i) => (
        <div class="entry" key={i}>
          <div class="fields">{field.item.kind === "object" && field.item.fields.map(([part, leaf]) => <FieldInput key={part} path={[...path, i, part]} field={leaf} editing={inner} />)}</div>
          <button type="button" class="quiet" aria-label={`Remove entry ${i + 1} of ${name}`} onClick={() => editing.change(path, items.filter((__, other) => other !== i))}>Remove</button>
        </div>
      ))}
      <button type="button" onClick={() => editing.change(path, [...items, {}])}>Add</button>
    </fieldset>
  );
}

function replaced(items: Json[], [index, ...rest]: Path, value: Json | undefined): Json[] {
  return items.map((item, i) => {
    if (i !== index || typeof item !== "object" || item === null || Array.isArray(item)) return item;
    const [key] = rest;
    if (typeof key !== "string") return item;
    const { [key]: _, ...others } = item;
    return value === undefined ? others : { ...item, [key]: value };
  });
}
