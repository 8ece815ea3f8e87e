// The parts that are pure: texts of policies, links, spans. Node reads the sources as they are once their types are taken away.

import assert from "node:assert/strict";
import test from "node:test";
import { fileURLToPath } from "node:url";

import { build } from "vite";

/** A module of the sources, bundled for Node. */
async function source(path) {
  const root = fileURLToPath(new URL("..", import.meta.url));
  const out = await build({ root, configFile: false, logLevel: "silent", build: { write: false, minify: false, lib: { entry: `${root}/src/${path}`, formats: ["es"] } } });
  const [{ output }] = [out].flat();
  return import(`data:text/javascript;base64,${Buffer.from(output[0].code).toString("base64")}`);
}

test("a policy means the rule that it names, or else the one whose settings it has", async () => {
  const { kindOf } = await source("policy/document.ts");
  for (const [scaling, kind] of [[undefined, "auto"], [{}, "auto"], [{ kind: "step", target: 5 }, "step"], [{ tolerance: 3 }, "target"], [{ steps: [] }, "step"], [{ price: 1 }, "auto"], [{ scale_up_factor: 2 }, "threshold"], [{ kind: "party" }, "auto"]]) {
    assert.equal(kindOf({ scaling }), kind);
  }
  assert.equal(kindOf(null), "auto");
});

test("numbers are written with commas, and as exact as they are meant", async () => {
  const { count, decimal, money, percent } = await source("format.ts");
  assert.deepEqual([0, 999, 1000, 1234567.8, -1234].map(count), ["0", "999", "1,000", "1,234,568", "-1,234"]);
  assert.deepEqual([0, 1.5, 1.234, 12, 12.34, 1234.56].map(decimal), ["0", "1.5", "1.23", "12", "12.3", "1,235"]);
  assert.deepEqual([0, 0.0416, 3.5, 1234.4, -7].map(money), ["$0.00", "$0.0416", "$3.50", "$1,234", "−$7.00"]);
  assert.deepEqual([null, 0, 61.25, 100].map(percent), ["–", "0.0 %", "61.3 %", "100.0 %"]);
});

test("whatever the address says, what is asked of the members can be asked", async () => {
  const { listing } = await source("listing.ts");
  const of = (query) => listing({ query: new URLSearchParams(query) });
  const usual = { sort: "load", down: true, only: "", find: "", page: 0 };
  assert.deepEqual(of(""), usual);
  assert.deepEqual(of("sort=zone&order=up&phase=suspect&find=a%20b&page=3"), { sort: "zone", down: false, only: "suspect", find: "a b", page: 3 });
  assert.equal(of("phase=hot").only, "hot");
  for (const query of ["sort=constructor", "order=x", "phase=party", "page=-1", "page=x", "page=Infinity", "page=1e400"]) assert.deepEqual({ ...of(query), page: 0 }, usual, query);
  for (const [page, expected] of [["-1", 0], ["x", 0], ["2.9", 2], ["1e400", 1e6]]) assert.equal(of(`page=${page}`).page, expected, page);
  const long = of(`find=${encodeURIComponent("😀".repeat(300))}`).find;
  assert.equal(decodeURIComponent(encodeURIComponent(long)), "😀".repeat(200));
});

test("a policy's text is changed at one key, and keeps the others", async () => {
  const { at, changed, changes, filled, keyOf, written } = await source("policy/document.ts");
  const own = { min_instances: 2, scaling: { steps: [{ above: 70, change: 1 }] } };
  assert.equal(keyOf(["scaling", "steps", 0, "above"]), "scaling.steps[0].above");
  assert.equal(at(own, ["scaling", "steps", 0, "above"]), 70);
  assert.deepEqual(changed(own, ["scaling", "steps", 0, "above"], 80), { min_instances: 2, scaling: { steps: [{ above: 80, change: 1 }] } });
  assert.deepEqual(changed(own, ["health", "grace_period"], "5s").health, { grace_period: "5s" });
  assert.deepEqual(changed({ health: { grace_period: "5s" } }, ["health", "grace_period"], undefined), {});
  assert.deepEqual(filled({ a: 1, b: { c: 2, d: 3 } }, { b: { c: 9 } }), { a: 1, b: { c: 9, d: 3 } });
  assert.deepEqual(changes({ a: 1, b: { c: [1] } }, { a: 1, b: { c: [2] }, d: null }), [{ key: "b.c", before: [1], after: [2] }, { key: "d", before: undefined, after: null }]);
  assert.equal(Object.hasOwn(changed({}, ["__proto__"], 1), "__proto__"), true);
  assert.equal(written({ a: 1 }), "{\n  \"a\": 1\n}\n");
});

test("links say where one is, whatever a group is called", async () => {
  const { href, parse } = await source("route.ts");
  for (const group of ["web", "a/b", "ä ö?#%", "<b>", "%E0%A4%A"]) {
    const link = href({ view: "members", group, member: "i-1&x=2", query: new URLSearchParams({ sort: "load" }) });
    const route = parse(link);
    assert.deepEqual([route.view, route.group, route.member, route.query.get("sort")], ["members", group, "i-1&x=2", "load"]);
  }
  assert.equal(parse("#/g/%E0%A4%A").group, "%E0%A4%A");
  assert.equal(parse("#/nowhere").view, "groups");
});

test("spans and numbers are said as people say them", async () => {
  const { money, percent, signed, span, utc } = await source("format.ts");
  assert.deepEqual([0, 59_400, 72_000, 3_600_000, 11_100_000, 180_000_000].map(span), ["0 s", "59 s", "1 m 12 s", "1 h", "3 h 5 m", "2 d 2 h"]);
  assert.deepEqual([percent(null), percent(53.456), money(-1234.5), money(0.0416), money(9.5), signed(-2), signed(0)], ["–", "53.5 %", "−$1,235", "$0.0416", "$9.50", "−2", "±0"]);
  assert.equal(utc(Date.UTC(2026, 10, 22, 20, 5, 33)), "2026-11-22 20:05:33 UTC");
});
