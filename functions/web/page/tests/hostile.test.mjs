// Whatever others have named, written or reported is shown as text: in every view, every dialog, and the title.

import assert from "node:assert/strict";
import test, { after, before } from "node:test";

import { Mock } from "../mock/server.mjs";
import { Group } from "../mock/world.mjs";
import { launch, open, overflow, visit } from "./browser.mjs";
import { corpus } from "./corpus.mjs";

let browser;
before(async () => { browser = await launch(); });
after(() => browser.close());

const usable = corpus.filter((text) => text !== "" && text.isWellFormed());

/** Groups that carry all of it: as names, as ids of members, as reasons, as remarks, as faults, as policies. */
function hostileGroups() {
  const some = usable.filter((text) => text.length < 200);
  const named = some.filter((_, i) => i % 7 === 0).map((text) => new Group(text, { size: 2, frozen: true, why: text, attention: "look" }));
  const full = new Group("full", {
    size: 200, start: 240, frozen: true, names: usable, attention: "bad", why: `<img src=x onerror=window.pwned=1>`, headline: `<svg onload=window.pwned=1> & "quoted" 'text'`, remark: `<script>window.pwned=1</script>`,
    notice: `</div><script>window.pwned=1</script>`, blind: `<img src=x onerror=window.pwned=1>`, faults: usable.map((text) => ({ what: text.slice(0, 80), text, since: Date.now() })),
    refusals: usable.map((reason, i) => ({ at: Date.now() - i * 1000, reason })), policy: { launch: { template: `<img src=x onerror=window.pwned=1>`, zones: some.slice(0, 16) }, pause: { reason: `<img src=x onerror=window.pwned=1>` } },
  });
  full.members.forEach((member, i) => { member.detail = usable[i % usable.length]; });
  usable.forEach((text, i) => full.did(i % 3 === 0 ? text.slice(0, 60) : "policy-refused", Date.now() - i, text, text, text));
  usable.forEach((text, i) => full.versions.push({ version: -i, since: 0, text: JSON.stringify({ comment: text }), changes: [{ key: text, before: text, after: text }] }));
  return [full, ...named];
}

test("two hundred hostile strings are text", async (t) => {
  assert.ok(corpus.length >= 200, `${corpus.length}`);
  const groups = hostileGroups();
  const mock = new Mock(groups, `<img src=x onerror=window.pwned=1>`);
  const url = await mock.listen();
  const { page, context, wrong } = await open(browser, url);
  t.after(async () => {
    await context.close();
    await mock.close();
  });
  const clean = async (where) => {
    const found = await page.evaluate(() => ({ pwned: window.pwned, made: document.querySelectorAll("main script, main img, main iframe, main base, main object, dialog img, dialog script, [onerror], [onload], [onfocus], a[href^='javascript' i], a[href^='data' i]").length }));
    assert.deepEqual(found, { pwned: undefined, made: 0 }, where);
    assert.deepEqual(wrong, [], where);
    assert.ok(await overflow(page) <= 0, `${where} is wider than its window by ${await overflow(page)}`);
  };
  await visit(page, url, "#/");
  await clean("the list of groups");
  const names = await page.locator(".g-name b").allTextContents();
  assert.deepEqual(new Set(names), new Set(groups.map((group) => group.name)));
  const first = [...groups[0].decisions.keys()][0];
  for (const hash of ["#/g/full", "#/g/full/members", `#/g/full/members?find=${encodeURIComponent(corpus[0])}`, "#/g/full/policy", "#/g/full/policy?tab=json", "#/g/full/policy?tab=versions", "#/g/full/activity", `#/g/full?decision=${first}`]) {
    await visit(page, url, hash);
    await clean(hash);
  }
  // A fault's text and a member's name are there to the letter.
  await visit(page, url, "#/g/full/activity");
  const told = await page.locator(".notice").allTextContents();
  for (const text of usable) assert.ok(told.some((notice) => notice.includes(text.replace(/\r\n?/g, "\n"))), `not shown: ${JSON.stringify(text)}`);
  for (const id of usable.filter((_, i) => i % 12 === 0)) {
    await visit(page, url, `#/g/full/members?member=${encodeURIComponent(id)}`);
    await clean(`the member ${id}`);
  }
  for (const group of groups.slice(1)) {
    await visit(page, url, `#/g/${encodeURIComponent(group.name)}`);
    await clean(`the group ${group.name}`);
  }
  for (const text of usable.filter((_, i) => i % 10 === 0)) {
    await page.goto("about:blank");
    await page.goto(`${url}#/g/${text}/members?sort=${text}&find=${text}&range=${text}&decision=${text}`);
    await page.locator("main").waitFor();
    await clean(`the address ${text}`);
  }
});

test("an edit, its errors and its preview are text, too", async (t) => {
  const mock = new Mock([new Group("web", { size: 4, frozen: true })]);
  const url = await mock.listen();
  const { page, context, wrong } = await open(browser, url);
  t.after(async () => {
    await context.close();
    await mock.close();
  });
  await visit(page, url, "#/g/web/policy?tab=json");
  for (const text of usable.filter((_, i) => i % 20 === 0)) {
    await page.locator("#policy-text").fill(JSON.stringify({ [text]: text, launch: { template: text } }));
    await page.locator(".problems").waitFor();
    assert.equal(await page.evaluate(() => window.pwned), undefined);
  }
  assert.deepEqual(wrong, []);
});
