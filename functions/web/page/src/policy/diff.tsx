// Two texts line by line, and two documents key by key.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";

import { plural, shown } from "../format";
import type { Json } from "../types";

/** Texts with more lines than this are shown one after the other: a policy has fewer. */
const LINES = 1_500;

interface Line {
  sign: " " | "-" | "+";
  text: string;
}

/** The lines of both texts, by their longest common subsequence. */
export function lines(before: string, after: string): Line[] {
  const [a, b] = [before.replace(/\n$/, "").split("\n"), after.replace(/\n$/, "").split("\n")];
  if (a.length > LINES || b.length > LINES) return [...a.map((text): Line => ({ sign: "-", text })), ...b.map((text): Line => ({ sign: "+", text }))];
  const width = b.length + 1;
  const common = new Uint16Array((a.length + 1) * width);
  const cell = (i: number, j: number): number => common[i * width + j] ?? 0;
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      common[i * width + j] = a[i] === b[j] ? cell(i + 1, j + 1) + 1 : Math.max(cell(i + 1, j), cell(i, j + 1));
    }
  }
  const found: Line[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      found.push({ sign: " ", text: a[i] ?? "" });
      [i, j] = [i + 1, j + 1];
    } else if (j >= b.length || (i < a.length && cell(i + 1, j) >= cell(i, j + 1))) {
      found.push({ sign: "-", text: a[i] ?? "" });
      i += 1;
    } else {
      found.push({ sign: "+", text: b[j] ?? "" });
      j += 1;
    }
  }
  return found;
}

const CLASSES = { " ": "", "-": "gone", "+": "come" } as const;

export function TextDiff({ before, after, label }: { before: string; after: string; label: string }): JSX.Element {
  const found = useMemo(() => lines(before, after), [before, after]);
  const [come, gone] = [found.filter((line) => line.sign === "+").length, found.filter((line) => line.sign === "-").length];
  if (come + gone === 0) return <p class="muted">The texts are the same.</p>;
  return (
    <>
      <p class="muted">{plural(gone, "line")} taken away, {plural(come, "line")} added</p>
      <pre class="diff" tabIndex={0} role="region" aria-label={label}>{found.map((line, i) => <span key={i} class={CLASSES[line.sign]}>{`${line.sign} ${line.text}\n`}</span>)}</pre>
    </>
  );
}

export function KeyChanges({ changes }: { changes: { key: string; before: Json | undefined; after: Json | undefined }[] }): JSX.Element {
  if (changes.length === 0) return <p class="muted">No setting differs.</p>;
  return (
    <ul class="keychanges">
      {changes.map((change) => (
        <li key={change.key}><code>{change.key || "the document"}</code> <del>{shown(change.before)}</del> <span aria-hidden="true">→</span> <ins>{shown(change.after)}</ins></li>
      ))}
    </ul>
  );
}
