// Pictures of every view in light, dark and at a phone's width, for people to look at: `node tests/shots.mjs FOLDER [URL]`.

import { mkdirSync } from "node:fs";
import { join } from "node:path";

import { Mock, usual } from "../mock/server.mjs";
import { Group } from "../mock/world.mjs";
import { launch, open, visit } from "./browser.mjs";

const folder = process.argv[2] ?? "shots";
const only = process.argv[3];
mkdirSync(folder, { recursive: true });

const large = new Group("large", { size: 600, start: 1000, policy: { max_instances: 2000 } });
const mock = new Mock([...usual(), large]);
const url = await mock.listen();
const browser = await launch();
const some = [...mock.groups.get("web").decisions.values()].filter((decision) => decision.report.desired.before !== decision.report.desired.after).at(-1);
const member = mock.groups.get("web").members[0];

const VIEWS = {
  groups: ["#/"], overview: ["#/g/web?range=6h"], look: ["#/g/checkout"], paused: ["#/g/batch"], bad: ["#/g/render-farm"], members: ["#/g/web/members"],
  large: ["#/g/large/members"], policy: ["#/g/web/policy"], json: ["#/g/web/policy?tab=json"], versions: ["#/g/web/policy?tab=versions"], activity: ["#/g/web/activity"],
  decision: [`#/g/web?decision=${some.id}&range=6h`], member: [`#/g/web/members?member=${member.id}`],
  preview: ["#/g/web/policy", async (page) => {
    await page.getByLabel("Minimum instances").fill("4");
    await page.getByLabel("Scale out above").fill("60");
    await page.locator(".savestate", { hasText: /\bvalid/ }).waitFor();
    await page.getByRole("button", { name: "Play the recorded load" }).click();
    await page.locator(".numbers").waitFor();
    await page.locator("#preview").scrollIntoViewIfNeeded();
  }],
  wrong: ["#/g/web/policy", async (page) => {
    await page.getByLabel("Scale out above").fill("0.7");
    await page.locator(".problems").waitFor();
  }],
};
const LOOKS = { light: { colorScheme: "light" }, dark: { colorScheme: "dark" }, phone: { colorScheme: "light", viewport: { width: 360, height: 740 }, deviceScaleFactor: 2 } };

for (const [look, options] of Object.entries(LOOKS)) {
  const { page, context, wrong } = await open(browser, url, options);
  for (const [name, [hash, act]] of Object.entries(VIEWS)) {
    if (only && !only.split(",").some((part) => `${name}-${look}`.includes(part))) continue;
    await visit(page, url, hash);
    await act?.(page);
    await page.waitForTimeout(300);
    await page.screenshot({ path: join(folder, `${name}-${look}.png`), fullPage: name !== "decision" && name !== "member" });
  }
  if (wrong.length > 0) console.log(look, wrong);
  await context.close();
}
await browser.close();
await mock.close();
