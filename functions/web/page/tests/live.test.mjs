// The page against a live `muster up`: MUSTER_BIN starts one, MUSTER_DASHBOARD names one that runs. What is edited here is
// followed by real processes. MUSTER_DIST=1 takes the page from dist instead of the one that is built into the binary.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import test, { after, afterEach, before, beforeEach } from "node:test";

import { proxy } from "../mock/proxy.mjs";
import { drag, escape, launch, open, openMark, visit } from "./browser.mjs";

/** The world needs its first sweeps and boots; a busy machine needs longer. */
const PATIENCE_MS = 90_000;

let [browser, child, state, front, url, group, page, wrong, context] = [];

/** Of the two groups of a world that is started here this one lives; the other one was left to itself a while ago. */
const [LIVES, LEFT] = ["lives", "left"];

/** All that have been started: none of them outlives the tests. */
const worlds = [];

function muster(...args) {
  const world = spawn(process.env.MUSTER_BIN, ["up", "--json", "--scenario", "calm", "--state", state, ...args], { stdio: ["ignore", "pipe", "inherit"] });
  worlds.push(world);
  return world;
}

async function end(world) {
  if (world.exitCode !== null || world.signalCode !== null) return;
  world.kill("SIGINT");
  await once(world, "exit");
}

/** Waits for the line that is wanted, and reads on: a world whose lines nobody reads would wait. */
function told(world, wanted) {
  return new Promise((resolve, reject) => {
    createInterface({ input: world.stdout }).on("line", (line) => {
      const found = wanted(JSON.parse(line));
      if (found) resolve(found);
    });
    world.once("exit", (code) => reject(new Error(`muster up has ended with ${code}`)));
    setTimeout(() => reject(new Error(`muster up has not told it within ${PATIENCE_MS / 1000} s`)), PATIENCE_MS).unref();
  });
}

/** Starts `muster up`, and learns from its first line where the page is. */
async function up() {
  state = mkdtempSync(join(tmpdir(), "muster-live-"));
  const left = muster("--group", LEFT, "--no-dashboard");
  await told(left, (line) => line.decision);
  await end(left);
  child = muster("--group", LIVES);
  return told(child, ({ world }) => world?.dashboard);
}

const api = async (path) => (await fetch(new URL(`api/groups/${encodeURIComponent(group)}${path}`, url))).json();

async function until(what, holds) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await holds();
    if (found) return found;
    if (Date.now() > end) throw new Error(`not within ${PATIENCE_MS / 1000} s: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

/** Waits until so much of the group's load is recorded. */
const recorded = (span) => until(`${span / 1000} s of record`, async () => {
  const { points } = await api("/load");
  return points.length > 1 && points.at(-1).at - points[0].at >= span;
});

before(async () => {
  if (!process.env.MUSTER_DASHBOARD && !process.env.MUSTER_BIN) throw new Error("set MUSTER_BIN or MUSTER_DASHBOARD");
  const address = new URL(process.env.MUSTER_DASHBOARD ?? await up());
  url = address.origin + (address.pathname.endsWith("/") ? address.pathname : `${address.pathname}/`);
  if (process.env.MUSTER_DIST) {
    front = await proxy(url);
    url = front.url;
  }
  browser = await launch();
  const found = await until("a group", async () => {
    const { groups } = await (await fetch(new URL("api/groups", url))).json();
    return groups.find((one) => one.serving > 0 && (!child || one.group === LIVES));
  });
  group = found.group;
});
after(async () => {
  await browser?.close();
  front?.server.closeAllConnections();
  front?.server.close();
  await Promise.all(worlds.map(end));
  if (state) rmSync(state, { recursive: true });
});
beforeEach(async () => {
  ({ page, wrong, context } = await open(browser, url));
  page.setDefaultTimeout(PATIENCE_MS);
});
afterEach(async () => {
  await context.close();
  assert.deepEqual(wrong, []);
});

const at = (view = "") => `#/g/${encodeURIComponent(group)}${view}`;
const button = (name, options = {}) => page.getByRole("button", { name, ...options });
const dialog = () => page.locator("dialog[open]").last();
const valid = () => page.locator(".savestate", { hasText: /\bvalid/ }).waitFor();
const save = async () => {
  await valid();
  await button("Save…").click();
  await dialog().getByRole("button", { name: "Save", exact: true }).click();
};

test("of several groups the list says which one needs a look, and why, and leads to it", async (t) => {
  if (!child) return t.skip("the world is not one of this test's");
  await visit(page, url, "#/");
  await page.getByRole("heading", { name: "1 of 2 groups needs a look" }).waitFor();
  assert.deepEqual(await page.locator(".g-name b").allTextContents(), [LEFT, LIVES]);
  await page.locator(".groupline", { hasText: "no sweep for" }).click();
  await page.locator(".why", { hasText: "no sweep for" }).waitFor();
  assert.equal(new URL(page.url()).hash, `#/g/${LEFT}`);
  await page.getByLabel("Group", { exact: true }).selectOption(LIVES);
  await page.waitForURL(new RegExp(`#/g/${LIVES}$`));
  await page.getByText("other groups need a look").waitFor({ state: "attached" });
});

test("the group is there, with its size, its load and its reasons", async () => {
  await visit(page, url, at("?range=15m"));
  await page.locator(".figure-strong b").waitFor();
  await page.locator("canvas").first().waitFor();
  assert.match(await page.locator(".headline").textContent(), /\S/);
  await page.locator(".headline a").click();
  await dialog().getByText("What it saw").waitFor();
  assert.match(await dialog().textContent(), /Bound by rule [A-Z]\d/);
});

test("an edit is played, saved, and the group follows it; the decision says so", async () => {
  // A load of some steps of the backtest, ten seconds each.
  await recorded(30_000);
  const { bounds } = await api("");
  const min = bounds.min + 1;
  await visit(page, url, at("/policy"));
  await page.getByLabel("Minimum instances").fill(String(min));
  await page.getByLabel("Maximum instances").fill(String(Math.max(bounds.max, min + 2)));
  await valid();
  await button("Play the recorded load").click();
  await page.locator(".numbers, #preview .notice").first().waitFor();
  const hours = page.locator(".numbers tbody tr", { hasText: "Instance-hours" });
  assert.match(await hours.textContent(), /\d/, await page.locator("#preview").textContent());
  const cells = await page.locator(".numbers tbody tr", { hasText: "Instances, mean" }).locator("td").allTextContents();
  const [inForce, edit, difference] = cells.map((cell) => Number.parseFloat(cell.replace("−", "-")));
  assert.ok(edit >= min && edit > inForce && difference > 0, `one more at least would have been there: ${cells}`);
  await save();
  await page.locator(".notice-good", { hasText: "Saved" }).waitFor();
  await visit(page, url, at("?range=15m"));
  await page.waitForFunction((size) => Number(document.querySelector(".figure-strong b")?.textContent) >= size, min);
  await page.waitForFunction((size) => Number(document.querySelectorAll(".figure b")[2]?.textContent) >= size, min);
  const mark = page.locator(".marklist a").first();
  await mark.click();
  await dialog().getByText("Stage by stage").waitFor();
});

test("an invalid edit is told at its field and cannot be saved", async () => {
  await visit(page, url, at("/policy"));
  await page.getByLabel("Rule", { exact: true }).selectOption("threshold");
  await page.getByLabel("Scale out above").fill("0.7");
  await page.locator(".field.wrong", { hasText: "0.7 means 70" }).waitFor();
  assert.equal(await button("Save…").isDisabled(), true);
  await button("Discard").click();
});

test("a lost update shows both texts, and is saved over what was found", async () => {
  await visit(page, url, at("/policy"));
  const other = await open(browser, url);
  await visit(other.page, url, at("/policy"));
  const { bounds } = await api("");
  await page.getByLabel("Maximum instances").fill(String(bounds.max + 2));
  await valid();
  await other.page.getByLabel("Maximum instances").fill(String(bounds.max + 1));
  await other.page.locator(".savestate", { hasText: /\bvalid/ }).waitFor();
  await other.page.getByRole("button", { name: "Save…" }).click();
  await other.page.locator("dialog[open]").getByRole("button", { name: "Save", exact: true }).click();
  await other.page.locator(".notice-good", { hasText: "Saved" }).waitFor();
  await other.context.close();
  await save();
  await page.getByRole("heading", { name: "Somebody else has saved meanwhile" }).waitFor();
  assert.match((await dialog().locator(".both pre").allTextContents()).join("\n"), new RegExp(`"max_instances": ${bounds.max + 1}[^]*"max_instances": ${bounds.max + 2}`));
  await dialog().getByRole("button", { name: "Save mine over theirs" }).click();
  await page.locator(".notice-good", { hasText: "Saved" }).waitFor();
  await until("the group's bounds", async () => (await api("")).bounds.max === bounds.max + 2);
});

test("a pause stops the group, says why, and is ended", async () => {
  await visit(page, url, at());
  await button("Pause…").click();
  await dialog().getByLabel("Reason").fill("a test of the page");
  await dialog().getByLabel("For 15 minutes").check();
  await dialog().getByRole("button", { name: "Pause the group" }).click();
  await page.locator(".paused", { hasText: "a test of the page" }).waitFor();
  await until("the mode", async () => (await api("")).mode === "paused");
  await button("Resume…").click();
  await dialog().getByRole("button", { name: "Resume the group" }).click();
  await page.locator(".paused").waitFor({ state: "detached" });
  await until("the mode", async () => (await api("")).mode === "active");
});

test("a mark opens its decision, a drag zooms, and the charts are a table, too", async () => {
  await until("a mark", async () => (await api("/load")).marks.some((mark) => mark.kind !== "held"));
  // What is dragged over ends some seconds ago, and a table needs a row of it.
  await recorded(15_000);
  await visit(page, url, at("?range=15m"));
  await openMark(page, () => page.locator(".markbutton").last().press("Enter"));
  await escape(page);
  await drag(page, 0.6, 0.995);
  await button("Back to live").waitFor();
  await page.getByText("The charts as a table").click();
  await page.locator(".astable tbody tr").first().waitFor();
  await button("Back to live").click();
  await button("Back to live").waitFor({ state: "detached" });
});

test("a member is looked at and protected, and nothing else of it changes", async () => {
  const one = await until("a member", async () => (await api("/members")).members.find((member) => member.phase === "in-service"));
  const its = async () => (await api("/members")).members.find((member) => member.id === one.id);
  await visit(page, url, at("/members"));
  await page.locator(".chartbox-members canvas").waitFor();
  await page.getByLabel("Find members").fill(one.id);
  await page.waitForFunction(() => document.querySelectorAll("table.members tbody tr").length === 1);
  await page.getByRole("link", { name: one.id }).first().click();
  await page.locator("dialog.side canvas").waitFor();
  for (const [begin, confirm, on] of [["Protect…", "Protect", true], ["Take the protection away…", "Take the protection away", false]]) {
    await button(begin).click();
    await dialog().getByRole("button", { name: confirm, exact: true }).click();
    await until(`protected: ${on}`, async () => (await its()).protected === on);
    await page.getByText("is asked for: the controller").waitFor({ state: "detached" });
  }
  assert.equal((await its()).leaving, null);
});

test("activity is filtered by kind, and leads to the decision behind it", async () => {
  await visit(page, url, at("/activity"));
  await button("launched", { exact: true }).click();
  await page.waitForURL(/kind=launched/);
  await page.waitForFunction(() => [...document.querySelectorAll(".happening .kind")].every((kind) => kind.textContent === "launched") && document.querySelector(".happening") !== null);
  await button("everything", { exact: true }).click();
  await page.getByRole("link", { name: "why" }).first().click();
  await dialog().getByText("Stage by stage").waitFor();
});

test("a member is drained, and another one comes for it", async () => {
  const serving = (list) => list.members.filter((member) => member.phase === "in-service");
  const first = await until("somebody to drain", async () => serving(await api("/members"))[0]);
  await visit(page, url, at("/members"));
  assert.match(first.agent_version, /^\d+\.\d+\.\d+$/);
  await page.locator("table.members tr", { hasText: first.id }).getByText(first.agent_version, { exact: true }).waitFor();
  await page.getByRole("link", { name: first.id }).first().click();
  await button("Drain…").click();
  await dialog().getByRole("button", { name: "Drain", exact: true }).click();
  await until("the drain", async () => {
    const member = (await api("/members")).members.find((other) => other.id === first.id);
    return !member || member.leaving !== null;
  });
  await until("its end", async () => !(await api("/members")).members.some((other) => other.id === first.id));
  await until("the size", async () => {
    const now = await api("");
    return now.counts.serving >= now.bounds.min;
  });
  await visit(page, url, at("/activity"));
  await page.locator(".happening", { hasText: first.id }).first().waitFor();
});

test("versions tell what changed, and one returns to an earlier one", async () => {
  const versions = async () => (await api("/policy/history")).versions;
  const { text, revision } = await api("/policy");
  const policy = JSON.parse(text);
  const edit = JSON.stringify({ text: JSON.stringify({ ...policy, max_instances: (policy.max_instances ?? 10) + 1 }), revision });
  const address = new URL(`api/groups/${encodeURIComponent(group)}/policy`, url);
  const put = await fetch(address, { method: "PUT", headers: { "content-type": "application/json" }, body: edit });
  assert.equal(put.status, 200, await put.text());
  const before_ = await until("a version of the edit", async () => {
    const found = await versions();
    return found.length >= 2 && found.some((version) => JSON.parse(version.text).max_instances === (policy.max_instances ?? 10) + 1) ? found : null;
  });
  await visit(page, url, at("/policy?tab=versions"));
  await button("Return to it…").last().click();
  await dialog().getByRole("button", { name: "Save", exact: true }).click();
  await page.waitForFunction(() => document.querySelector("dialog[open]") === null);
  const after_ = await until("another version", async () => {
    const found = await versions();
    return found.length > before_.length ? found : null;
  });
  assert.ok(after_.every((version) => typeof version.text === "string"));
  assert.deepEqual(JSON.parse(after_[0].text), JSON.parse(before_.at(-1).text), "the earliest is in force again");
});
