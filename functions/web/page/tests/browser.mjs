// A browser for the tests: Debian's Chromium by playwright-core, and pages that note everything that must not happen.

import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

import { chromium } from "playwright-core";

export function executable() {
  const names = [process.env.CHROMIUM, "chromium", "chromium-browser"].filter(Boolean);
  const places = (process.env.PATH ?? "").split(delimiter);
  return names.flatMap((name) => (name.includes("/") ? [name] : places.map((place) => join(place, name)))).find((path) => existsSync(path));
}

export const launch = () => chromium.launch({ executablePath: executable(), args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking"] });

/** A page, and what went wrong on it: errors, dialogs of the browser, violations of the policy on content, requests to anybody else. */
export async function open(browser, url, options = {}) {
  const context = await browser.newContext({ viewport: { width: 1280, height: 900 }, reducedMotion: "reduce", ...options });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const wrong = [];
  page.on("pageerror", (error) => wrong.push(`error: ${error.stack ?? error}`));
  page.on("dialog", (dialog) => {
    if (dialog.type() !== "beforeunload") wrong.push(`dialog: ${dialog.message()}`);
    void dialog.accept();
  });
  page.on("console", (message) => {
    if (message.type() === "error" && !/Failed to load resource/.test(message.text())) wrong.push(`console: ${message.text()}`);
  });
  const origin = new URL(url).origin;
  page.on("request", (request) => {
    const to = new URL(request.url());
    if (to.protocol !== "data:" && to.origin !== origin) wrong.push(`foreign origin: ${request.url()}`);
  });
  return { page, context, wrong };
}

/** Opens a place of the page by its hash, and waits until nothing is being read any more. */
export async function visit(page, url, hash) {
  await page.goto("about:blank");
  await page.goto(`${url}${hash}`);
  await page.locator("main").waitFor();
  await page.waitForFunction(() => document.querySelector(".panel, .notice") !== null && document.querySelector(".waiting") === null);
}

/** Presses the mark that `press` presses, and chooses the newest of several that are drawn as one: its decision is open then. */
export async function openMark(page, press) {
  const report = page.locator("dialog[open]").getByText("Stage by stage");
  const several = page.locator("dialog[open] .marklist a").first();
  await press();
  await report.or(several).first().waitFor();
  if (await several.isVisible()) await several.click();
  await report.waitFor();
}

/** Closes the dialog that is open. */
export async function escape(page) {
  await page.keyboard.press("Escape");
  await page.waitForFunction(() => document.querySelector("dialog[open]") === null);
}

/** Drags over the first chart, between two shares of its width. */
export async function drag(page, from, until) {
  const over = page.locator(".u-over").first();
  await over.scrollIntoViewIfNeeded();
  const { x, y, width } = await over.boundingBox();
  await page.mouse.move(x + width * from, y + 60);
  await page.mouse.down();
  await page.mouse.move(x + width * until, y + 60, { steps: 4 });
  await page.mouse.up();
}

/** How far the page is wider than its window. */
export const overflow = (page) => page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
