// A thousand members and a day of history: what it costs. MUSTER_LARGE names the example `large` of the crate around this folder: the real server over
// real tables; without it a world in memory stands in. The figures are printed; nothing here depends on how fast the machine is.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import test, { after, before } from "node:test";

import { Mock } from "../mock/server.mjs";
import { Group } from "../mock/world.mjs";
import { launch, open, overflow } from "./browser.mjs";

const MEMBERS = 1_000;
/** A view is opened so often, each time by a browser profile that has never seen it: how busy the machine is differs more than the page does. */
const OPENINGS = 5;
/** As long as one round of updates lasts, and a little more. */
const UPDATES_MS = 12_000;
let [browser, url, group, server, end] = [];

/** The real server, once its day of history is there. */
async function real() {
  const child = spawn(process.env.MUSTER_LARGE, { stdio: ["pipe", "pipe", "inherit"] });
  end = async () => {
    child.stdin.end();
    await once(child, "exit");
  };
  const [line] = await Promise.race([once(createInterface({ input: child.stdout }), "line"), once(child, "exit").then(([code]) => {
    throw new Error(`the example large has ended with ${code}`);
  })]);
  const { groups } = await (await fetch(new URL("api/groups", line))).json();
  return { url: line, group: groups[0].group, server: "the real server" };
}

async function inMemory() {
  const mock = new Mock([new Group("large", { size: 620, start: MEMBERS, policy: { min_instances: MEMBERS, max_instances: MEMBERS } })]);
  end = () => mock.close();
  return { url: await mock.listen(), group: "large", server: "a server in memory" };
}

before(async () => {
  browser = await launch();
  ({ url, group, server } = await (process.env.MUSTER_LARGE ? real() : inMemory()));
});
after(async () => {
  await browser?.close();
  await end?.();
});

/** What the page reads from now on: where, with what answer, how much came over the wire. */
function reads(page) {
  const all = [];
  page.on("requestfinished", async (request) => {
    const [response, sizes] = await Promise.all([request.response(), request.sizes()]);
    all.push({ path: new URL(request.url()).pathname, status: response?.status(), bytes: sizes.responseBodySize });
  });
  return all;
}

/** In the page: notes when something that `selector` finds is there, in milliseconds since the navigation began. */
function seenAt(selector) {
  new MutationObserver((_, observer) => {
    if (document.querySelector(selector) === null) return;
    window.firstData = performance.now();
    observer.disconnect();
  }).observe(document, { childList: true, subtree: true });
}

/** Milliseconds of main-thread work in `wait` milliseconds of updates, by the browser's own count of it, and the longest task. */
async function work(page, all, wait) {
  const client = await page.context().newCDPSession(page);
  await client.send("Performance.enable");
  const busy = async () => Object.fromEntries((await client.send("Performance.getMetrics")).metrics.map(({ name, value }) => [name, value]));
  const news = () => all.filter(({ status }) => status === 200).length;
  const [before_, read] = [await busy(), news()];
  await page.evaluate(() => {
    window.longest = 0;
    new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration); }).observe({ type: "longtask" });
  });
  await page.waitForTimeout(wait);
  const after_ = await busy();
  return { updates: news() - read, total: (after_.TaskDuration - before_.TaskDuration) * 1000, longest: await page.evaluate(() => window.longest) };
}

/** Opens a view and waits for the first data that it is opened for: milliseconds since the navigation began, in the page and as this test hears of it. */
async function opened(view, data_) {
  const { page, context, wrong } = await open(browser, url);
  const all = reads(page);
  await page.addInitScript(seenAt, data_);
  const began = performance.now();
  await page.goto(`${url}#/g/${group}${view}?range=24h`);
  await page.locator(data_).first().waitFor();
  const told = performance.now() - began;
  return { page, context, wrong, all, began, told, first: await page.evaluate(() => window.firstData) };
}

const middle = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)].toFixed(0);
const range = (values) => `${middle(values)} ms (median of ${values.length}, ${Math.min(...values).toFixed(0)} to ${Math.max(...values).toFixed(0)})`;

for (const [name, view, data_] of [["overview", "", ".headline a"], ["members", "/members", "table.members tbody tr"]]) {
  test(`${name} of ${MEMBERS} members over a day`, async (t) => {
    const times = [];
    for (let i = 1; i < OPENINGS; i++) {
      const { context, first, told } = await opened(view, data_);
      times.push({ first, told });
      await context.close();
    }
    const { page, context, wrong, all, began, first, told } = await opened(view, data_);
    t.after(() => context.close());
    times.push({ first, told });
    await page.waitForFunction(() => document.querySelector(".waiting") === null && document.querySelector("canvas") !== null);
    const whole = performance.now() - began;
    const bytes = (path) => all.filter((read) => read.path.startsWith(path)).reduce((sum, read) => sum + read.bytes, 0);
    const [data, sum] = [bytes("/api/"), bytes("/")];
    const { updates, total, longest } = await work(page, all, UPDATES_MS);
    console.log(`${name}, ${server}: first data ${range(times.map((time) => time.first))} after the navigation began, ${range(times.map((time) => time.told))} until this test hears of it; everything ${whole.toFixed(0)} ms; ${(data / 1000).toFixed(0)} kB of data, ${(sum / 1000).toFixed(0)} kB in all, as transferred; in ${UPDATES_MS / 1000} s ${updates} answers with news, ${total.toFixed(0)} ms of main-thread work, ${(total / Math.max(1, updates)).toFixed(0)} ms an answer, longest task ${longest.toFixed(0)} ms (0: none above 50 ms)`);
    assert.ok(await overflow(page) <= 0);
    if (name === "members") {
      assert.equal(await page.locator("h1").innerText(), "1,000 members");
      assert.equal(await page.locator("table.members tbody tr").count(), 50);
    }
    assert.deepEqual(wrong, []);
  });
}
