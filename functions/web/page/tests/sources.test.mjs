// What must never be in the sources, nor in what is built of them.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import test from "node:test";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const files = (folder) => readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
const read = (path) => readFileSync(path, "utf8");
const sources = files("src").filter((path) => /\.tsx?$/.test(path));

test("no HTML is made from strings, and no code", () => {
  const forbidden = /innerHTML|outerHTML|insertAdjacentHTML|document\.write|createContextualFragment|DOMParser|srcdoc|\beval\(|new Function|setAttribute\(\s*["']on|javascript:/i;
  for (const path of sources) {
    read(path).split("\n").forEach((line, i) => assert.doesNotMatch(line, forbidden, `${path}:${i + 1}`));
  }
});

test("nobody else is asked, and the only thing kept is the choice of colours", () => {
  for (const path of [...sources, ...files("src/style"), join(ROOT, "index.html")]) {
    const text = read(path);
    assert.doesNotMatch(text, /https?:\/\/(?!www\.w3\.org\/)/, path);
    if (!path.endsWith("theme.ts")) assert.doesNotMatch(text, /localStorage|sessionStorage|indexedDB|document\.cookie/, path);
  }
});

test("any is no type", () => {
  for (const path of sources) assert.doesNotMatch(read(path), /:\s*any\b|<any>|as any\b|@ts-/, path);
});

test("the document has no inline script and no inline style", () => {
  const html = read(join(ROOT, "dist/index.html"));
  assert.doesNotMatch(html, /<style|\sstyle=|\son\w+=/);
  for (const [, attributes, body] of html.matchAll(/<script([^>]*)>([^<]*)<\/script>/g)) {
    assert.match(attributes, / src="\.\/assets\//);
    assert.equal(body.trim(), "");
  }
});

test("what a view is opened for is asked for by the first script, and nothing is drawn before", () => {
  const html = read(join(ROOT, "dist/index.html"));
  const [first] = html.matchAll(/<script[^>]* src="\.\/(assets\/[^"]*)"/g);
  assert.match(first[1], /\/early-/);
  const early = read(join(ROOT, "dist", first[1]));
  assert.doesNotMatch(early, /^import|from\s*["'`]/m, "it needs no other script");
  assert.ok(early.length < 8_000, `${early.length} bytes`);
});
