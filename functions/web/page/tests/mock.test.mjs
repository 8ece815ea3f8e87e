// Every part of the page, driven against a world in memory.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import test, { after, afterEach, before, beforeEach } from "node:test";

import { Mock } from "../mock/server.mjs";
import { Group } from "../mock/world.mjs";
import { drag, escape, launch, open, openMark, overflow, visit } from "./browser.mjs";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
let [browser, mock, url, page, wrong, context] = [];

before(async () => { browser = await launch(); });
after(() => browser.close());
beforeEach(async () => {
  mock = new Mock();
  url = await mock.listen();
  ({ page, wrong, context } = await open(browser, url));
});
afterEach(async () => {
  await context.close();
  await mock.close();
  assert.deepEqual(wrong, []);
});

const web = () => mock.groups.get("web");
const button = (name, options = {}) => page.getByRole("button", { name, ...options });
const dialog = () => page.locator("dialog[open]").last();

test("the list says which group needs a look, and leads to it", async () => {
  await visit(page, url, "");
  await page.getByRole("heading", { name: "2 of 4 groups need a look" }).waitFor();
  const names = await page.locator(".g-name b").allTextContents();
  assert.deepEqual(names, ["render-farm", "checkout", "batch", "web"]);
  await page.locator(".groupline").nth(1).click();
  await page.getByText("2 of the agents have been silent for 4 m").waitFor();
  assert.equal(new URL(page.url()).hash, "#/g/checkout");
  assert.equal(await page.title(), "! checkout – Muster");
});

test("a group that cannot be read is told of, and hides nobody", async () => {
  mock.unreadable = [{ group: "legacy", why: "the store holds something that is not ours" }];
  await visit(page, url, "");
  await page.getByRole("heading", { name: "3 of 5 groups need a look" }).waitFor();
  await page.locator(".notice", { hasText: "legacy cannot be read: the store holds something that is not ours" }).waitFor();
  await page.locator(".groupline", { hasText: "web" }).waitFor();
});

test("a single group is shown at once", async () => {
  mock.groups = new Map([["web", web()]]);
  await visit(page, url, "");
  await page.waitForURL(/#\/g\/web$/);
});

test("the group now: sizes, mode, headline, what it waits for, and how old that is", async () => {
  web().inAt = Date.now();
  await visit(page, url, "#/g/web");
  for (const name of ["Desired", "Actual", "Serving", "Mean load", "p90"]) await page.locator(".figure dt", { hasText: name }).waitFor();
  assert.equal(await page.locator(".figure-strong b").textContent(), String(web().desired));
  assert.match(await page.locator(".headline").textContent(), /^(No change|Hold|Scale)/);
  const left = page.locator(".waits .left").first();
  assert.match(await left.textContent(), /^(1 m )?\d+ s left$|^2 m left$/);
  const before_ = await left.textContent();
  await page.waitForFunction((text) => document.querySelector(".waits .left")?.textContent !== text, before_);
  assert.match(await page.locator(".swept").textContent(), /^swept \d+ s ago$/);
  const time = page.locator("time").first();
  assert.match(await time.getAttribute("title"), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
  assert.match(await time.getAttribute("datetime"), /Z$/);
});

test("a mark opens the whole report, by click and by Enter, and says which rule bound it", async () => {
  await visit(page, url, "#/g/web?range=24h");
  const marks = page.locator(".markbutton");
  await marks.first().waitFor();
  assert.ok(await marks.count() > 3);
  await marks.last().focus();
  await page.keyboard.press("ArrowLeft");
  await openMark(page, () => page.keyboard.press("Enter"));
  assert.deepEqual(await page.locator(".stage .name").allTextContents(), ["before", "raw", "filled", "stabilised", "limited", "bounded"]);
  assert.match(await dialog().textContent(), /Bound by rule [A-Z]\d/);
  assert.equal(await page.locator(".stage.binding").count(), 1);
  await dialog().getByText("What would change it").waitFor();
  await escape(page);
  assert.doesNotMatch(page.url(), /decision=/);
});

test("ranges, zoom by drag, back to live, and the charts as a table", async () => {
  await visit(page, url, "#/g/web");
  for (const [name, text] of [["15m", "15 min"], ["6h", "6 h"], ["24h", "24 h"], ["7d", "7 d"]]) {
    await button(text, { exact: true }).click();
    await page.waitForURL(new RegExp(`range=${name}`));
  }
  await button("24 h", { exact: true }).click();
  await page.waitForFunction(() => document.querySelector(".chartbox.old") === null);
  await drag(page, 0.3, 0.5);
  await button("Back to live").waitFor();
  const asked = new URLSearchParams(page.url().split("?")[1]);
  const span = Number(asked.get("until")) - Number(asked.get("from"));
  assert.ok(Math.abs(span - 0.2 * 86_400_000) < 0.02 * 86_400_000, `${span}`);
  await page.getByText("The charts as a table").click();
  await page.locator(".astable tbody tr").first().waitFor();
  assert.ok(await page.locator(".astable tbody tr").count() > 20);
  await button("Back to live").click();
  await button("Back to live").waitFor({ state: "detached" });
});

test("the table of members is sorted, filtered, and tells what is hot and why somebody is suspect", async () => {
  await visit(page, url, "#/g/checkout/members");
  const rows = page.locator("table.members tbody tr");
  assert.equal(await rows.count(), mock.groups.get("checkout").members.length);
  await page.getByLabel("State").selectOption("suspect");
  await page.waitForFunction(() => document.querySelectorAll("table.members tbody tr").length === 2);
  assert.match(await rows.first().textContent(), /silent for 4 m/);
  await page.getByLabel("State").selectOption("");
  await page.locator("table.members thead").getByRole("button", { name: "Instance" }).click();
  await page.waitForURL(/sort=id/);
  await page.locator("table.members thead").getByRole("button", { name: "Instance" }).click();
  await page.waitForFunction(() => {
    const ids = [...document.querySelectorAll("table.members tbody th a")].map((link) => link.textContent);
    return ids.length > 2 && ids.every((id, i) => i === 0 || ids[i - 1] < id);
  });
  const ids = await page.locator("table.members tbody th a").allTextContents();
  await page.getByLabel("Find members").fill(ids[0]);
  await page.waitForFunction(() => document.querySelectorAll("table.members tbody tr").length === 1);
  await page.getByLabel("Find members").fill("");
  assert.ok(await page.locator("svg.spark path[d*=L]").first().getAttribute("d"));
  web().options.hot = 1;
  await visit(page, url, "#/g/web/members");
  await page.locator(".hotmark").first().waitFor();
  assert.match(await page.locator(".hotline").textContent(), /hot spot/);
});

test("a large group's members are read page by page, and what was read stays until the next has come", async () => {
  const large = new Group("large", { size: 62, start: 120, policy: { min_instances: 120, max_instances: 120 } });
  mock.groups = new Map([["large", large]]);
  await visit(page, url, "#/g/large/members?sort=id&order=up");
  const [shown, pager] = [page.locator("table.members tbody th a"), page.locator(".pager")];
  const all = large.members.map(({ id }) => id).sort();
  const read = [];
  for (const [first, last] of [[1, 50], [51, 100], [101, 120]]) {
    await pager.getByText(`${first}–${last} of 120`).waitFor();
    read.push(...await shown.allTextContents());
    if (last < 120) await pager.getByRole("button", { name: "Next" }).click();
  }
  assert.deepEqual(read, all);
  assert.ok(await pager.getByRole("button", { name: "Next" }).isDisabled());
  const asked = mock.log.filter(({ path }) => path.startsWith("/api/groups/large/members?"));
  assert.ok(asked.length >= 3 && asked.every(({ path }) => path.includes("limit=50")), JSON.stringify(asked));
  // While an answer is on its way the rows before it stay, and a second press counts.
  await visit(page, url, "#/g/large/members?sort=id&order=up");
  await pager.getByText("1–50 of 120").waitFor();
  let release;
  const held = new Promise((resolve) => { release = resolve; });
  const later = /members\?.*page=[12]/;
  await page.route(later, async (route) => {
    await held;
    await route.continue();
  });
  const next = pager.getByRole("button", { name: "Next" });
  await next.click();
  await page.locator(".scroll.old[aria-busy=true]").waitFor();
  assert.deepEqual(await shown.allTextContents(), all.slice(0, 50));
  await next.click();
  await page.waitForURL(/page=2/);
  assert.ok(await next.isDisabled());
  release();
  await pager.getByText("101–120 of 120").waitFor();
  await page.unroute(later);
  // What is typed is asked for when it is typed, with what is on the page until then; the box keeps the focus.
  const before = mock.log.length;
  await page.getByLabel("Find members").pressSequentially(`${all[0]} `);
  await page.waitForFunction(() => document.querySelectorAll("table.members tbody tr").length === 1);
  assert.equal(await page.locator(".filters [role=status]").innerText(), "1 of 120");
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("aria-label")), "Find members");
  const since = mock.log.slice(before).filter(({ path }) => path.startsWith("/api/groups/large/members?"));
  assert.ok(since.every(({ path }) => path.includes("find=") === path.includes("page=0")), JSON.stringify(since));
  // A member's card is there at once, and stays while its own answer cannot be had.
  const own = `${url}api/groups/large/members/${all[0]}`;
  await page.route(own, (route) => route.fulfill({ status: 503, json: { error: { code: "unavailable", message: "the tables cannot be read" } } }));
  await page.locator("table.members").getByRole("link", { name: all[0] }).click();
  await dialog().getByText("The member cannot be read at the moment").waitFor();
  await dialog().getByRole("button", { name: "Protect…" }).waitFor();
  await page.unroute(own);
  // A page that is not there is the last one; nobody is found by what nobody has.
  await visit(page, url, "#/g/large/members?page=99");
  await pager.getByText("101–120 of 120").waitFor();
  await visit(page, url, "#/g/large/members?find=nobody");
  await page.getByText("No member is like that.").waitFor();
  for (const nobody of ["i-nobody", "load", ".", ".."]) {
    await visit(page, url, `#/g/large/members?member=${nobody}`);
    await dialog().getByText(`${nobody} is not a member of large any more.`).waitFor();
  }
});

test("a member is protected and drained, after a question", async () => {
  const member = web().members.findLast((other) => !other.protected && other.drain === null);
  await visit(page, url, "#/g/web/members");
  await page.getByRole("link", { name: member.id }).first().click();
  await page.locator("dialog.side canvas").waitFor();
  await button("Protect…").click();
  await dialog().getByRole("button", { name: "Protect", exact: true }).click();
  await button("Take the protection away…").waitFor();
  assert.equal(member.protected, true);
  await button("Drain…").click();
  assert.match(await dialog().textContent(), /It is protected/);
  await dialog().getByRole("button", { name: "Cancel" }).click();
  assert.equal(member.drain, null);
  await button("Drain…").click();
  await dialog().getByRole("button", { name: "Drain", exact: true }).click();
  await page.locator("dialog.side").getByText("draining").first().waitFor();
  assert.ok(member.drain);
});

test("a member that is to be drained once its replacement serves says so, and may be taken back", async () => {
  const member = web().members.find((other) => other.drain === null && !other.protected);
  member.marked = Date.now() - 5_000;
  await visit(page, url, "#/g/web/members");
  const row = page.locator("table.members tr", { hasText: member.id });
  assert.match(await row.textContent(), /0\.1\.0.*to be drained by hand once its replacement serves/);
  await row.getByRole("link").click();
  await dialog().getByText("Another one is launched in its place first").waitFor();
  assert.equal(await button("Drain…").count(), 0);
  await button("Take the drain back…").waitFor();
  member.marked = null;
});

test("a pause asks for a reason and an end, shows both, and is ended", async () => {
  await visit(page, url, "#/g/web");
  await button("Pause…").click();
  assert.equal(await dialog().getByRole("button", { name: "Pause the group" }).isDisabled(), true);
  await dialog().getByLabel("Reason").fill("load test, Ann");
  await dialog().getByLabel("For 1 hour").check();
  await dialog().getByRole("button", { name: "Pause the group" }).click();
  await page.locator(".paused").getByText("load test, Ann").waitFor();
  assert.match(await page.locator(".paused").textContent(), /until .*(59 m|1 h).* left/);
  await button("Resume…").click();
  await dialog().getByRole("button", { name: "Resume the group" }).click();
  await page.locator(".paused").waitFor({ state: "detached" });
  assert.equal(web().mode, "active");
});

test("an invalid edit is told at its field, and cannot be saved", async () => {
  await visit(page, url, "#/g/web/policy");
  const field = page.getByLabel("Scale out above");
  await field.fill("0.7");
  await page.locator(".field.wrong .error").waitFor();
  assert.match(await page.locator(".field.wrong .error").textContent(), /0\.7 means 70/);
  assert.equal(await field.getAttribute("aria-invalid"), "true");
  assert.equal(await button("Save…").isDisabled(), true);
  await field.fill("70");
  await page.getByText("Nothing is changed").waitFor();
  await page.locator("summary", { hasText: "Health" }).click();
  await page.getByLabel("Grace period").fill("soon");
  await page.locator(".field.wrong").getByText("must be a span").waitFor();
  await page.getByLabel("Grace period").fill("");
  await page.getByText("Nothing is changed").waitFor();
});

test("an edit is previewed, saved, and followed", async () => {
  await visit(page, url, "#/g/web/policy");
  // The load is that of the hour: the size may stand at the most already.
  const min = Math.min(web().policy.max_instances, web().desired + 3);
  await page.getByLabel("Minimum instances").fill(String(min));
  await page.getByText("1 change", { exact: true }).waitFor();
  await page.locator(".savestate", { hasText: /\bvalid/ }).waitFor();
  await button("Play the recorded load").click();
  await page.locator(".numbers").waitFor();
  const figures = await page.locator(".numbers tbody th").allTextContents();
  for (const name of ["Instance-hours", "Money a month", "Overloaded requests", "Minutes above the threshold, 70 %", "Minutes overloaded, above 90 %", "Size changes"]) assert.ok(figures.includes(name), name);
  const [before_, after_] = await Promise.all([1, 2].map((n) => page.locator(`.numbers tbody tr:first-child td:nth-of-type(${n})`).textContent()));
  assert.notEqual(before_, after_);
  await page.locator("#preview canvas").waitFor();
  await button("Save…").click();
  assert.match(await dialog().textContent(), /min_instances2→|min_instances 2 → /);
  await dialog().getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Saved as version 2").waitFor();
  await page.getByRole("link", { name: "Overview" }).click();
  await page.waitForFunction((size) => Number(document.querySelector(".figure-strong b")?.textContent) >= size, min);
});

test("a lost update shows both texts and loses neither", async () => {
  await visit(page, url, "#/g/web/policy");
  await page.getByLabel("Maximum instances").fill("15");
  await page.locator(".savestate", { hasText: /\bvalid/ }).waitFor();
  web().put(JSON.stringify({ ...web().policy, max_instances: 12 }, null, 2));
  await button("Save…").click();
  await dialog().getByRole("button", { name: "Save", exact: true }).click();
  await page.getByRole("heading", { name: "Somebody else has saved meanwhile" }).waitFor();
  const texts = await dialog().locator(".both pre").allTextContents();
  assert.match(texts[0], /"max_instances": 12/);
  assert.match(texts[1], /"max_instances": 15/);
  assert.equal(web().policy.max_instances, 12);
  await dialog().getByRole("button", { name: "Save mine over theirs" }).click();
  await page.getByText("Saved as version 3").waitFor();
  assert.equal(web().policy.max_instances, 15);
});

test("the text is an alternative to the form, and every kind of field has an input", async () => {
  await visit(page, url, "#/g/web/policy");
  await page.getByLabel("Rule", { exact: true }).selectOption("step");
  await button("Add").first().click();
  const all = await page.locator("details.section > summary").all();
  for (const summary of all) await summary.click();
  await page.getByLabel("Zones").fill("eu-central-1a\neu-central-1b");
  await page.getByRole("tab", { name: "JSON" }).click();
  const text = JSON.parse(await page.locator("#policy-text").inputValue());
  assert.equal(text.scaling.kind, "step");
  assert.equal(text.scaling.steps.length, 3);
  assert.deepEqual(text.launch.zones, ["eu-central-1a", "eu-central-1b"]);
  await page.locator("#policy-text").fill("{ nonsense");
  await page.locator(".problems").getByText("not JSON").waitFor();
  await page.getByRole("tab", { name: "JSON" }).press("ArrowLeft");
  await page.getByText("The text is not JSON").waitFor();
  await button("Discard").click();
  await page.getByLabel("Rule", { exact: true }).waitFor();
});

test("versions with their differences, and the way back", async () => {
  web().put(JSON.stringify({ ...web().policy, max_instances: 33 }, null, 2));
  await visit(page, url, "#/g/web/policy?tab=versions");
  await page.locator(".versions .keychanges code", { hasText: "max_instances" }).first().waitFor();
  await button("Return to it…").click();
  await dialog().getByText("max_instances").first().waitFor();
  await dialog().getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText("Version 3", { exact: true }).waitFor();
  assert.equal(web().policy.max_instances, 20);
});

test("activity is filtered by kind, goes back in time, and leads to its decision", async () => {
  web().did("policy-refused", Date.now(), "scaling.cpu_up_threshold is 0.7");
  await visit(page, url, "#/g/web/activity");
  await button("Older").click();
  await page.waitForFunction(() => document.querySelectorAll(".happening").length > 50);
  const before_ = await page.locator(".happening").count();
  for (let n = 0; n < 60; n += 1) web().did("joined", Date.now() + n, `newcomer ${n}`);
  await page.getByText("newcomer 59", { exact: true }).waitFor();
  await page.getByText("scaling.cpu_up_threshold is 0.7").waitFor();
  assert.ok(await page.locator(".happening").count() >= before_ + 50, "what falls out of the first page stays");
  await button("policy refused").click();
  await page.getByText("scaling.cpu_up_threshold is 0.7").waitFor();
  await page.waitForFunction(() => document.querySelectorAll(".happening").length === 1);
  assert.match(page.url(), /kind=policy-refused/);
  await visit(page, url, "#/g/render-farm/activity");
  await page.getByText("an edit of the policy was refused").waitFor();
  await page.getByRole("link", { name: "why" }).first().click();
  await dialog().getByText("Stage by stage").waitFor();
});

test("what the loop has before it is said, and what it has turned away", async () => {
  await visit(page, url, "#/g/web/activity");
  const figure = (name) => page.locator(".loopfigures > div", { hasText: name }).locator("dd");
  assert.match(await figure("Sweeps to decide on").textContent(), /^0/);
  assert.match(await figure("Rejected records").textContent(), /^none/);
  web().options.queue = { sweeps: 100, calls: 3, rejected: { records: 7, last_at: Date.now() - 60_000, reason: "7 unreadable" } };
  await page.locator(".loopfigures", { hasText: "7 unreadable" }).waitFor();
  assert.match(await figure("Sweeps to decide on").textContent(), /^100 or more/);
  assert.match(await figure("Calls to EC2 under way").textContent(), /^3/);
  assert.match(await figure("Rejected records").textContent(), /^7.*7 unreadable/);
});

test("a lost connection is said, keeps what is there, and is noticed when it is back", async () => {
  await visit(page, url, "#/g/web");
  const headline = await page.locator(".headline").textContent();
  mock.deaf = true;
  await page.locator(".lost").waitFor();
  assert.match(await page.locator(".lost").textContent(), /Connection lost since \d\d:\d\d:\d\d/);
  assert.ok(headline && await page.locator(".headline").count() === 1);
  mock.deaf = false;
  await page.locator(".lost").waitFor({ state: "detached", timeout: 30_000 });
});

test("what cannot be read any more is said in each view, and what was known stays", async () => {
  for (const [hash, what] of [["", "list of groups"], ["#/g/web", "group"], ["#/g/web/members", "members"], ["#/g/web/policy", "policy"], ["#/g/web/policy?tab=versions", "list of versions"], ["#/g/web/activity", "activity"]]) {
    mock.failing = false;
    await visit(page, url, hash);
    mock.failing = true;
    await page.getByText(`The ${what} cannot be read at the moment: the tables cannot be read. This is what was last known.`).first().waitFor({ timeout: 30_000 });
    assert.equal(await page.locator(".lost").count(), 0, "somebody answers");
  }
});

test("a check that has failed is made again, and the edit can be saved", async () => {
  await visit(page, url, "#/g/web/policy");
  const most = page.getByLabel("Maximum instances");
  await most.waitFor();
  mock.failing = true;
  await most.fill("14");
  await page.getByText("The text cannot be checked at the moment").waitFor();
  assert.equal(await button("Save…").isDisabled(), true);
  mock.failing = false;
  await page.waitForFunction(() => [...document.querySelectorAll(".savebar button.primary")].every((it) => !it.disabled));
  assert.equal(await page.getByText("The text cannot be checked at the moment").count(), 0);
});

test("the form shows the rule that a text means without naming it, and an edit does not change it", async () => {
  for (const [scaling, kind] of [[undefined, "auto"], [{ target: 50 }, "target"], [{ cpu_up_threshold: 80 }, "threshold"]]) {
    web().put(JSON.stringify({ min_instances: 2, max_instances: 20, scaling }));
    await visit(page, url, "#/g/web/policy");
    const rule = page.getByLabel("Rule", { exact: true });
    await rule.waitFor();
    assert.equal(await rule.inputValue(), kind);
    await page.locator("details.section > summary", { hasText: "Settings of the other rules" }).click();
    await page.getByLabel(kind === "target" ? "Scale out above" : "Target").fill("61");
    assert.equal(await rule.inputValue(), kind, "settings of another rule do not choose it");
    await page.getByRole("tab", { name: "JSON" }).click();
    assert.equal(JSON.parse(await page.locator("#policy-text").inputValue()).scaling.kind, kind);
    await button("Discard").click();
  }
});

test("what is asked for is said until it holds", async () => {
  await visit(page, url, "#/g/web");
  const path = `${url}api/groups/web`;
  const old = await (await fetch(path)).json();
  await page.route(path, (route) => route.fulfill({ json: old }));
  await button("Pause…").click();
  await dialog().getByLabel("Reason").fill("deploying");
  await dialog().getByRole("button", { name: "Pause the group" }).click();
  await page.getByText("A pause is asked for and holds from the next decision on: one follows each sweep, every").waitFor();
  await page.unroute(path);
  await page.locator(".paused").getByText("deploying").waitFor();
  const { members: [{ id }] } = await (await fetch(`${path}/members`)).json();
  const member = `${path}/members/${id}`;
  const known = await (await fetch(member)).json();
  await page.route(member, (route) => route.fulfill({ json: { ...known, protected: false, protected_by_agent: false } }));
  await visit(page, url, `#/g/web/members?member=${id}`);
  await dialog().getByRole("button", { name: "Protect…" }).click();
  await dialog().getByRole("button", { name: "Protect", exact: true }).click();
  await page.getByText("Protect is asked for: the controller reads it at its next decision.").waitFor();
  await page.unroute(member);
  await dialog().getByRole("button", { name: "Take the protection away…" }).waitFor();
  assert.equal(await page.getByText("is asked for: the controller").count(), 0);
});

test("what has not changed is not sent again, and nobody is asked while the page is hidden", async () => {
  web().options.frozen = true;
  web().slot = Date.now() + 86_400_000;
  await visit(page, url, "#/g/web");
  const until = mock.log.length;
  await page.waitForFunction(() => performance.getEntriesByType("resource").length > 8, undefined, { timeout: 20_000 });
  const again = mock.log.slice(until).filter((line) => line.path === "/api/groups/web");
  assert.ok(again.length > 0 && again.every((line) => line.status === 304), JSON.stringify(again));
  await page.evaluate(() => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => true });
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.waitForTimeout(500);
  const hidden = mock.log.length;
  await page.waitForTimeout(5_000);
  assert.equal(mock.log.length, hidden);
  await page.evaluate(() => {
    Reflect.deleteProperty(document, "hidden");
    document.dispatchEvent(new Event("visibilitychange"));
  });
  await page.waitForTimeout(1_000);
  assert.ok(mock.log.length > hidden);
});

test("the keyboard reaches everything, and the focus is seen", async () => {
  await visit(page, url, "#/g/web");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement?.textContent), "Skip to the content");
  const seen = new Set();
  for (let i = 0; i < 40; i += 1) {
    const at = await page.evaluate(() => {
      const element = document.activeElement;
      const style = getComputedStyle(element);
      return { name: `${element.tagName} ${element.getAttribute("aria-label") ?? element.textContent.slice(0, 30)}`, outline: style.outlineStyle !== "none" };
    });
    assert.ok(at.outline || at.name.startsWith("BODY"), `no focus is seen at ${at.name}`);
    seen.add(at.name);
    await page.keyboard.press("Tab");
  }
  for (const name of ["SELECT Group", "BUTTON Pause…", "A Members", "A Policy", "BUTTON 15 min"]) assert.ok(seen.has(name), `${name} of ${[...seen].join(", ")}`);
});

test("nothing is wider than a phone, and nothing jumps when news come", async () => {
  await page.setViewportSize({ width: 360, height: 740 });
  for (const hash of ["#/", "#/g/web?range=24h", "#/g/checkout", "#/g/batch", "#/g/web/members", "#/g/web/policy", "#/g/web/policy?tab=json", "#/g/web/policy?tab=versions", "#/g/web/activity"]) {
    await visit(page, url, hash);
    assert.ok(await overflow(page) <= 0, `${hash} is ${await overflow(page)} pixels too wide`);
  }
  await page.setViewportSize({ width: 1280, height: 900 });
  await visit(page, url, "#/g/web");
  const top = () => page.evaluate(() => [...document.querySelectorAll(".chartpanel, .u-over, .astable")].map((element) => element.getBoundingClientRect().top));
  const before_ = await top();
  await page.waitForTimeout(5_000);
  assert.deepEqual(await top(), before_);
});

test("the colours follow the system, and the switch", async () => {
  await visit(page, url, "#/g/web");
  const dark = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await dark();
  await page.emulateMedia({ colorScheme: "dark" });
  assert.notEqual(await dark(), light);
  await page.getByRole("button", { name: /^Colours/ }).click();
  assert.equal(await dark(), light);
});

for (const colorScheme of ["light", "dark"]) {
  test(`axe finds nothing serious, ${colorScheme}`, async () => {
    await page.emulateMedia({ colorScheme });
    const some = [...web().decisions.keys()].at(-2);
    for (const hash of ["#/", "#/g/web?range=24h", "#/g/checkout", "#/g/batch", "#/g/checkout/members", "#/g/web/policy", "#/g/web/policy?tab=json", "#/g/web/policy?tab=versions", "#/g/web/activity", `#/g/web?decision=${some}`, `#/g/web/members?member=${web().members[0].id}`]) {
      await visit(page, url, hash);
      if (hash.endsWith("/policy")) for (const summary of await page.locator("details.section > summary").all()) await summary.click();
      await page.evaluate(AXE);
      const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      const serious = violations.filter((found) => ["serious", "critical"].includes(found.impact)).map((found) => `${found.id}: ${found.nodes.map((node) => node.html.slice(0, 160)).slice(0, 3).join(" | ")}`);
      assert.deepEqual(serious, [], hash);
    }
  });
}
