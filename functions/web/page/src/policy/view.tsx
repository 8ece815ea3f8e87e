// The policy: a form, the text behind it, its versions. What is edited is one text; the form is a way of changing it.

import type { JSX } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";

import { ApiError, check, defaults as readDefaults, paths, schema as readSchema } from "../api";
import type { ViewProps } from "../app";
import { plural } from "../format";
import { usePoll } from "../poll";
import { replace, withQuery } from "../route";
import type { Json, JsonObject, PolicyNow, Problem } from "../types";
import { Absent, Badge, Notice, Stale, Time } from "../ui";
import { at, changed, changes, filled, isObject, kindOf, parsed, written } from "./document";
import type { Path } from "./document";
import { PolicyForm } from "./form";
import { HistoryPanel } from "./history";
import { PreviewPanel } from "./preview";
import { SaveDialog, textOf } from "./save";
import type { Base } from "./save";

const EVERY_MS = 10_000;
/** Typing stops for this long before the text is checked. */
const CHECK_AFTER_MS = 300;
/** A check that has failed is tried again after this long. */
const CHECK_AGAIN_MS = 3_000;
const TABS = [["form", "Form"], ["json", "JSON"], ["versions", "Versions"]] as const;

export function PolicyView({ route, now, refresh }: ViewProps): JSX.Element {
  const policy = usePoll<PolicyNow>(paths.policy(now.group), EVERY_MS);
  const schema = useOnce(readSchema, "schema");
  const tab = TABS.find(([name]) => name === route.query.get("tab"))?.[0] ?? "form";
  const both = (): void => {
    refresh();
    policy.refresh();
  };
  return (
    <>
      <div class="policy-head">
        <h1>Policy</h1>
        {policy.data?.in_force && <span>version {policy.data.in_force.version} is in force{policy.data.in_force.since !== null && <> since <Time at={policy.data.in_force.since} /></>}</span>}
        <span class="grow" />
        <div class="tabs" role="tablist" aria-label="Ways to edit" onKeyDown={arrows}>
          {TABS.map(([name, text]) => (
            <button key={name} type="button" role="tab" id={`tab-${name}`} aria-controls="tab-panel" aria-selected={tab === name} tabIndex={tab === name ? 0 : -1}
              onClick={() => replace(withQuery(route, { tab: name === "form" ? null : name }))}>{text}</button>
          ))}
        </div>
      </div>
      {policy.data !== null && <Stale error={policy.error} what="policy" />}
      {policy.data?.notice && <Notice kind="look">{policy.data.notice}</Notice>}
      <div id="tab-panel" role="tabpanel" aria-labelledby={`tab-${tab}`}>
        {policy.data === null ? <Absent error={policy.error} what="policy" tall />
          : tab === "versions" ? <HistoryPanel group={now.group} policy={policy.data} refresh={both} />
            : schema === null ? <Absent error={null} what="policy's schema" tall />
              : <Editor key={now.group} group={now.group} policy={policy.data} schema={schema} tab={tab} refresh={both} />}
      </div>
    </>
  );
}

function arrows(event: KeyboardEvent): void {
  const tabs = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>("[role=tab]")];
  const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (by === undefined) return;
  event.preventDefault();
  const next = tabs[(tabs.indexOf(document.activeElement as HTMLElement) + by + tabs.length) % tabs.length];
  next?.focus();
  next?.click();
}

/** Reads something that does not change while the page is open; tries again until it has it. */
function useOnce<T>(read: () => Promise<T>, key: string): T | null {
  const [data, setData] = useState<T | null>(null);
  useEffect(() => {
    let gone = false;
    let timer: number | undefined;
    const run = (): void => {
      read().then((found) => void (gone || setData(found)), () => {
        if (!gone) timer = window.setTimeout(run, 3_000);
      });
    };
    run();
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [key]);
  return data;
}

interface Draft {
  base: Base;
  text: string;
}

/** Edits that are not saved, by group: they outlive a look at another view, and end with the page. */
const drafts = new Map<string, Draft>();

function useDraft(group: string, policy: PolicyNow): [Draft, (draft: Draft) => void] {
  const stored = textOf(policy);
  const fresh = { base: { text: stored, revision: policy.revision }, text: stored };
  const [draft, setState] = useState<Draft>(() => drafts.get(group) ?? fresh);
  const set = (next: Draft): void => {
    if (next.text === next.base.text) drafts.delete(group);
    else drafts.set(group, next);
    setState(next);
  };
  // Who has changed nothing sees what is saved by others.
  const moved = policy.revision !== draft.base.revision || stored !== draft.base.text;
  useEffect(() => {
    if (moved && draft.text === draft.base.text) set(fresh);
  }, [policy.revision, stored]);
  const dirty = draft.text !== draft.base.text;
  useEffect(() => {
    if (!dirty) return;
    const ask = (event: BeforeUnloadEvent): void => event.preventDefault();
    window.addEventListener("beforeunload", ask);
    return () => window.removeEventListener("beforeunload", ask);
  }, [dirty]);
  return [draft, set];
}

/** What is wrong with `text`, as the server says; null while it has not said. */
function useCheck(text: string, policy: PolicyNow): { problems: Problem[]; valid: boolean | null; failed: string | null } {
  const [state, setState] = useState<{ of: string; problems: Problem[]; valid: boolean | null; failed: string | null }>({ of: textOf(policy), problems: policy.problems, valid: policy.valid, failed: null });
  const latest = useRef(text);
  latest.current = text;
  const [failures, setFailures] = useState(0);
  useEffect(() => {
    if (state.of === text && state.valid !== null) return;
    const timer = setTimeout(() => {
      check(text).then(
        (said) => void (latest.current === text && setState({ of: text, problems: said.problems, valid: said.valid, failed: null })),
        (error: unknown) => {
          if (latest.current !== text) return;
          setState((old) => ({ ...old, of: text, valid: null, failed: error instanceof ApiError ? error.message : String(error) }));
          setFailures((count) => count + 1);
        },
      );
    }, state.failed === null ? CHECK_AFTER_MS : CHECK_AGAIN_MS);
    return () => clearTimeout(timer);
  }, [text, failures]);
  return { problems: state.problems, valid: state.of === text ? state.valid : null, failed: state.failed };
}

interface EditorProps {
  group: string;
  policy: PolicyNow;
  schema: JsonObject;
  tab: "form" | "json";
  refresh: () => void;
}

function Editor({ group, policy, schema, tab, refresh }: EditorProps): JSX.Element {
  const [draft, setDraft] = useDraft(group, policy);
  const [saving, setSaving] = useState(false);
  const [said, setSaid] = useState<string | null>(null);
  const { text, base } = draft;
  const checked = useCheck(text, policy);
  const own = useMemo(() => parsed(text), [text]);
  const ownBase = useMemo(() => parsed(base.text), [base.text]);
  const [preset, presetBase] = [useDefaults(own), useDefaults(ownBase)];
  const whole = filled(preset ?? undefined, own ?? undefined) ?? {};
  const saved = filled(presetBase ?? undefined, ownBase ?? undefined) ?? {};
  const differs = own && ownBase ? changes(saved, whole) : [];
  const dirty = text !== base.text;
  const edit = (next: string): void => {
    setSaid(null);
    setDraft({ base, text: next });
  };
  const change = (path: Path, value: Json | undefined): void => {
    const next = changed(own ?? {}, path, value);
    // Which rule is meant must not hang on which settings stand there.
    const meant = path[0] === "scaling" && path[1] !== "kind" && at(own ?? {}, ["scaling", "kind"]) === undefined;
    const named = meant ? changed(next, ["scaling", "kind"], kindOf(own)) : next;
    if (isObject(named)) edit(written(named));
  };
  const [first] = checked.problems;
  const elsewhere = policy.revision !== base.revision && dirty;
  return (
    <>
      {elsewhere && <Notice kind="look" live>Somebody else has saved the policy since you began to edit. Saving shows both texts.</Notice>}
      {said !== null && <div class="notice notice-good" role="status">{said}</div>}
      {checked.failed && <Notice kind="look">The text cannot be checked at the moment: {checked.failed}</Notice>}
      {tab === "json" ? <JsonEditor text={text} edit={edit} problems={checked.problems} />
        : own === null ? <Notice kind="look">The text is not JSON, so there is no form of it. The tab JSON has it.</Notice>
          : preset === null ? <Absent error={null} what="defaults" tall />
            : <PolicyForm schema={schema} editing={{ own, whole, saved, defaults: preset, problems: checked.problems, change }} />}
      <Problems problems={checked.problems} tab={tab} />
      <PreviewPanel group={group} text={text} valid={checked.valid === true} />
      <div class="savebar" role="group" aria-label="Your edit">
        <span class="savestate" role="status">
          {!dirty ? "Nothing is changed." : <><Badge kind="accent">{differs.length === 0 ? "text changed" : `${plural(differs.length, "change")}`}</Badge>{" "}
            {checked.valid === null ? "checking …" : checked.valid ? "valid" : ""}</>}
        </span>
        {first && checked.valid === false && <button type="button" class="danger" onClick={() => show(first, tab)}>{plural(checked.problems.length, "problem")}: show</button>}
        <button type="button" disabled={!dirty} onClick={() => edit(base.text)}>Discard</button>
        <button type="button" class="primary" disabled={!dirty || checked.valid !== true} onClick={() => setSaving(true)}>Save…</button>
      </div>
      {saving && (
        <SaveDialog group={group} base={base} text={text} changes={differs} close={() => setSaving(false)}
          rebase={(next, with_) => {
            setDraft({ base: next, text: with_ });
            refresh();
          }}
          saved={(put, saved_) => {
            setDraft({ base: { text: saved_, revision: put.revision }, text: saved_ });
            setSaid(`Saved${put.version === null ? "" : ` as version ${put.version}`}. The next decision follows it.${put.overwrote ? ` It has overwritten version ${put.overwrote}, which somebody saved at the same moment: the versions have it.` : ""}`);
            refresh();
          }} />
      )}
    </>
  );
}

/** The defaults of the kind of rule that a document means. */
function useDefaults(document: JsonObject | null): JsonObject | null {
  const kind = kindOf(document);
  const found = useOnce(() => readDefaults(kind), kind);
  // What was read stays until that of another kind is there.
  const last = useRef<JsonObject | null>(null);
  if (found) last.current = found;
  return last.current;
}

/** Goes to where a problem stands. */
function show(problem: Problem, tab: "form" | "json"): void {
  const input = document.getElementById(tab === "form" ? `f-${problem.key}` : "policy-text") ?? document.querySelector(".problems");
  if (input instanceof HTMLElement) input.focus();
  input?.scrollIntoView({ block: "center" });
}

/** Everything that is wrong, with the way to where it stands. */
function Problems({ problems, tab }: { problems: Problem[]; tab: "form" | "json" }): JSX.Element | null {
  if (problems.length === 0) return null;
  return (
    <div class="notice notice-bad problems">
      <div>
        <b>{plural(problems.length, "problem")}: the policy cannot be saved like this.</b>
        <ul>
          {problems.map((problem, i) => (
            <li key={i}><button type="button" class="link" onClick={() => show(problem, tab)}>{problem.key || `line ${problem.line}`}</button> {problem.value && <>is <code>{problem.value}</code>: </>}{problem.message}</li>
          ))}
        </ul>
      </div>
    </div>
  );
}

function JsonEditor({ text, edit, problems }: { text: string; edit: (text: string) => void; problems: Problem[] }): JSX.Element {
  const rows = Math.min(40, Math.max(12, text.split("\n").length + 1));
  return (
    <section class="panel" aria-labelledby="json-title">
      <h2 id="json-title">The text</h2>
      <textarea id="policy-text" class="json" aria-label="Policy as JSON" aria-invalid={problems.length > 0} rows={rows} spellcheck={false} value={text} onInput={(event) => edit(event.currentTarget.value)} />
    </section>
  );
}
