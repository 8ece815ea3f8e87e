// A thousand members and a day of history: what it costs. The figures are printed; nothing here depends on how fast the machine is.

import assert from "node:assert/strict";
import test, { after, before } from "node:test";

import { Mock } from "../mock/server.mjs";
import { Group } from "../mock/world.mjs";
import { launch, open, overflow, visit } from "./browser.mjs";

const MEMBERS = 1_000;
let [browser, mock, url] = [];
before(async () => {
  browser = await launch();
  mock = new Mock([new Group("large", { size: 620, start: MEMBERS, policy: { min_instances: MEMBERS, max_instances: MEMBERS } })]);
  url = await mock.listen();
});
after(async () => {
  await browser.close();
  await mock.close();
});

/** Milliseconds of main-thread work in `wait` milliseconds of updates, by the browser's own count of it, and the longest task. */
async function work(page, wait) {
  const client = await page.context().newCDPSession(page);
  await client.send("Performance.enable");
  const busy = async () => Object.fromEntries((await client.send("Performance.getMetrics")).metrics.map(({ name, value }) => [name, value]));
  const [before_, reads] = [await busy(), mock.log.filter((line) => line.status === 200).length];
  await page.evaluate(() => {
    window.longest = 0;
    new PerformanceObserver((list) => { for (const entry of list.getEntries()) window.longest = Math.max(window.longest, entry.duration); }).observe({ type: "longtask" });
  });
  await page.waitForTimeout(wait);
  const after_ = await busy();
  const updates = mock.log.filter((line) => line.status === 200).length - reads;
  return { updates, total: (after_.TaskDuration - before_.TaskDuration) * 1000, longest: await page.evaluate(() => window.longest) };
}

for (const [name, hash] of [["overview", "#/g/large?range=24h"], ["members", "#/g/large/members?range=24h"]]) {
  test(`${name} of ${MEMBERS} members over a day`, async (t) => {
    const { page, context, wrong } = await open(browser, url);
    t.after(() => context.close());
    const from = mock.log.length;
    const began = performance.now();
    await page.goto(`${url}${hash}`);
    await page.locator(name === "overview" ? ".headline a" : "table.members tbody tr").first().waitFor();
    const first = performance.now() - began;
    await page.waitForFunction(() => document.querySelector(".waiting") === null && document.querySelector("canvas") !== null);
    const whole = performance.now() - began;
    const reads = mock.log.slice(from);
    const bytes = (path) => reads.filter((line) => line.path.startsWith(path)).reduce((sum, line) => sum + line.bytes, 0);
    const { updates, total, longest } = await work(page, 12_000);
    console.log(`${name}: first data ${first.toFixed(0)} ms, everything ${whole.toFixed(0)} ms; ${(bytes("/api/") / 1000).toFixed(0)} kB of data, ${((bytes("/assets/") + bytes("/")) / 1000).toFixed(0)} kB in all, uncompressed; in 12 s ${updates} answers with news, ${total.toFixed(0)} ms of main-thread work, ${(total / Math.max(1, updates)).toFixed(0)} ms an answer, longest task ${longest.toFixed(0)} ms (0: none above 50 ms)`);
    assert.ok(await overflow(page) <= 0);
    if (name === "members") assert.equal(await page.locator("table.members tbody tr").count(), 50);
    assert.deepEqual(wrong, []);
  });
}
