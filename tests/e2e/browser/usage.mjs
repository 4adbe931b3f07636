// Use the usage page as a person does, and print what was seen as JSON:
// node usage.mjs <address of the page> <key> [<folder for pictures>]
// First with what the API here replies, then with replies of this file. `missing`: there is no browser.

import { launch, watch } from "./chromium.mjs";
import { looksOf } from "./looks.mjs";

const [address, key, pictures] = process.argv.slice(2);
const seen = { requests: [], console: [], violations: [], axe: {} };
const { check, picture } = looksOf(seen, pictures);
const DESKTOP = { width: 1280, height: 800 };
const PHONE = { width: 360, height: 740 };
const DAY_MS = 86_400_000;
const UNTIL = "2026-11-27";
// The states that axe-core looks at, beside those that it does anyway: they differ in what they are made of.
const CHECKED = ["spent", "unlimited", "unread"];

const NONE = { requests_per_minute: null, tokens_per_minute: null, concurrent_requests: null, budget: null };
const LIMITS = {
  requests_per_minute: { limit: 60, used: 12, remaining: 48, resets_in_s: 72.25 },
  tokens_per_minute: { limit: 20_000, used: 0, remaining: 20_000, resets_in_s: 0 },
  concurrent_requests: { limit: 4, used: 1, remaining: 3 },
  budget: {
    limit: 1_000_000,
    used: 811_200,
    remaining: 188_800,
    period: "month",
    timezone: "Europe/Berlin",
    resets_at: 1_796_079_600,
  },
};
const KEY = {
  object: "key",
  id: "key_8c1f0b7ad24e96b3",
  name: "alice",
  models: ["default", "large"],
  created_at: 1_795_000_000,
  expires_at: 1_802_776_000,
  replaced_at: null,
  limits: LIMITS,
};
const SPENT = { limit: 500, used: 500, remaining: 0, period: null, timezone: null, resets_at: null };

const browser = await launch(new URL(address).hostname);
if (!browser) {
  console.log(JSON.stringify({ missing: true }));
  process.exit();
}
try {
  await ownKey(await opened({ viewport: DESKTOP }));
  const page = await opened({ viewport: DESKTOP }, KEY);
  await use(page, "sk-any");
  await charted(page);
  await keyboard(page);
  await states(page);
  await onPhone(await opened({ viewport: PHONE, hasTouch: true, isMobile: true }, KEY));
  await without(await opened({ viewport: DESKTOP }, failure(404, "This API requires no key.", "not_configured")));
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));

async function opened(options, info) {
  const context = await browser.newContext({ ...options, reducedMotion: "reduce", timezoneId: "Europe/Berlin" });
  const page = await context.newPage();
  await watch(page, seen);
  if (info) await reply(page, info);
  await page.goto(address);
  return page;
}

/** Have the API reply this: what a key may do, and what it has used, else some of each day. */
async function reply(page, info, usage = null) {
  await page.unroute("**/v1/key**");
  await page.route("**/v1/key**", (route) => {
    const url = new URL(route.request().url());
    const isKnown = route.request().headers().authorization || info.status;
    if (!isKnown) return route.fulfill(failure(401, "You didn't provide an API key.", "invalid_api_key"));
    if (url.pathname.endsWith("/key")) return route.fulfill(info.status ? info : { json: info });
    return route.fulfill(usage ?? { json: usageOf(Number(url.searchParams.get("days"))) });
  });
}

function failure(status, message, code) {
  return { status, json: { error: { message, code } } };
}

/** Return the same amounts each time: of two models, of none on two days a week. */
function usageOf(days) {
  const data = [];
  const day = (back) => new Date(Date.parse(UNTIL) - back * DAY_MS).toISOString().slice(0, 10);
  for (let back = days - 1; back >= 0; back--) {
    if (back % 7 > 4) continue;
    const much = 1 + ((back * 37) % 11);
    data.push(row(day(back), "default", 40 * much, 9_000 * much, 5_500 * much));
    if (back % 3 === 0) data.push(row(day(back), "large", 3 * much, 2_000 * much, 6_400 * much));
  }
  const total = row("", "", 0, 0, 0);
  for (const each of data) {
    for (const [name, value] of Object.entries(each)) if (Number.isFinite(value)) total[name] += value;
  }
  return { object: "list", data, since: day(days - 1), until: UNTIL, total };
}

function row(date, model, requests, prompt_tokens, completion_tokens) {
  const cut = Math.floor(requests / 40);
  const amounts = { requests, ok: requests - cut, cut, error: 0, timeout: 0, refused: 0 };
  const cached_tokens = Math.floor(prompt_tokens / 4);
  const cost = (prompt_tokens + 4 * completion_tokens) / 1e7;
  return { object: "key.usage", date, model, ...amounts, prompt_tokens, cached_tokens, completion_tokens, cost };
}

/** The key of the service: a missing one, a wrong one, then its own. */
async function ownKey(page) {
  const problem = page.getByRole("region", { name: "Problem" });
  seen.missing_key = await problem.innerText();
  await check(page, "key missing");
  await picture(page, "usage-key");
  await page.keyboard.type("sk-wrong"); // where the focus is
  await page.keyboard.press("Enter");
  await page.getByText("This API key is not accepted").waitFor();
  seen.wrong_key = await problem.innerText();
  await picture(page, "usage-wrong");
  await use(page, "sk-caf\u00e9\u2026");
  await problem.getByText("characters").waitFor();
  seen.no_key = await problem.innerText();
  await use(page, key);
  await page.getByRole("heading", { name: "development" }).waitFor();
  seen.own = await page.locator("main").innerText();
  seen.kept = await page.evaluate(() => [{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]);
  await picture(page, "usage-own");
  await page.getByRole("link", { name: "Chat" }).click();
  await page.getByRole("heading", { name: "An API key is needed" }).waitFor(); // the page's scripts have run
  seen.linked = [page.url()];
  await page.getByRole("button", { name: "Settings" }).click();
  const beside = page.getByRole("link", { name: "What a key has used" });
  seen.linked.push(...(await beside.evaluate(({ href, target }) => [href, target])));
}

async function use(page, text) {
  await page.getByLabel("API key").fill(text);
  await page.getByRole("button", { name: "Use key" }).click();
}

async function charted(page) {
  const chart = page.getByRole("slider", { name: "Tokens by day" });
  await chart.waitFor();
  seen.full = await page.locator("main").innerText();
  await page.setViewportSize({ width: 900, height: 1080 });
  await picture(page, "usage");
  await page.setViewportSize(DESKTOP);
  seen.bars = await chart.locator("rect").count();
  const text = () => chart.getAttribute("aria-valuetext");
  seen.chosen = [await text()];
  await chart.focus();
  for (const pressed of ["ArrowLeft", "ArrowRight", "ArrowRight", "Home"]) {
    await page.keyboard.press(pressed);
    seen.chosen.push(await text());
  }
  const { x, y, width, height } = await chart.boundingBox();
  await page.mouse.move(x + width - 2, y + height / 2);
  seen.chosen.push(await text(), await page.locator("figcaption").innerText());
  await page.getByText("By day", { exact: true }).click();
  seen.tables = await page.getByRole("region", { name: /^By/ }).evaluateAll((nodes) => nodes.map((node) => node.innerText));
  await check(page, "tables");
  await page.getByText("By day", { exact: true }).click();
  const request = page.waitForRequest("**/v1/key/usage?days=365");
  await page.getByLabel("In the last").selectOption("A year");
  await request;
  const weeks = page.getByRole("slider", { name: "Tokens by week" });
  await weeks.waitFor();
  seen.weeks = [await weeks.getAttribute("aria-valuemax"), await weeks.getAttribute("aria-valuetext")];
  await picture(page, "usage-year");
  await page.getByLabel("In the last").selectOption("30 days");
  await chart.waitFor();
}

/** Reach everything by Tab, from the top of the page. */
async function keyboard(page) {
  await page.evaluate(() => document.activeElement.blur());
  seen.focused = [];
  for (let presses = 0; presses < 12; presses++) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate(() => {
      const { activeElement: node } = document;
      const name = node.ariaLabel || node.textContent.trim().slice(0, 20) || node.localName;
      return node === document.body ? null : [name, getComputedStyle(node).outlineStyle !== "none"];
    });
    if (focused) seen.focused.push(focused);
    if (focused?.[0] === "By day") break;
  }
}

async function states(page) {
  const shown = async (name, info, usage) => {
    await reply(page, info, usage);
    const wait = page.waitForResponse("**/v1/key");
    await page.getByRole("button", { name: /Refresh|Retry/ }).first().click();
    await wait;
    await page.locator("main[aria-busy=false]").waitFor();
    seen[name] = await page.locator("main").innerText();
    if (CHECKED.includes(name)) await check(page, name);
    await picture(page, `usage-${name}`);
  };
  const nothing = { json: { ...usageOf(30), data: [] } };
  await shown("spent", { ...KEY, limits: { ...LIMITS, budget: SPENT }, replaced_at: 1_796_000_000 });
  await shown("unlimited", { ...KEY, name: "<b>" + "long ".repeat(30), models: [], expires_at: null, limits: NONE }, nothing);
  const unread = failure(503, "What this key has used cannot be read right now.", "keys_unavailable");
  await shown("unread", KEY, unread);
  await shown("unkept", { ...KEY, created_at: null }, failure(404, "This API keeps no record.", "not_configured"));
  await shown("unavailable", failure(503, "Your API key cannot be checked right now.", "keys_unavailable"));
  await page.unroute("**/v1/key**");
  await page.route("**/v1/key**", (route) => route.abort());
  await page.getByRole("button", { name: "Retry" }).click();
  await page.locator("main").getByText("The server did not answer").waitFor();
  await reply(page, KEY);
  await page.getByRole("button", { name: "Retry" }).click();
  await page.getByRole("button", { name: "Other key" }).click();
  await page.getByLabel("API key").waitFor();
  seen.other = await page.locator("main").innerText();
}

async function onPhone(page) {
  await page.getByLabel("API key").fill("sk-any");
  await page.getByRole("button", { name: "Use key" }).tap();
  await page.getByRole("slider").waitFor();
  seen.phone = await page.evaluate(widths);
  await check(page, "phone");
  await picture(page, "usage-phone", { fullPage: true });
  await page.getByRole("slider").tap({ position: { x: 5, y: 20 } });
  seen.tapped = await page.locator("figcaption").innerText();
  await page.setViewportSize({ width: 320, height: 256 }); // a window of 1280 × 1024 at a zoom of 400 %
  seen.zoomed = await page.evaluate(widths);
}

async function without(page) {
  await page.locator("main").getByText("No key is needed here").waitFor();
  seen.keyless = await page.locator("main").innerText();
  await picture(page, "usage-keyless");
  await page.route("**/account.mjs", (route) => route.fulfill({ status: 429 }));
  await page.reload();
  const notice = page.getByText("This page is not complete");
  seen.incomplete = [await notice.isVisible()];
  await notice.waitFor();
  seen.incomplete.push(await notice.isVisible());
}

function widths() {
  const controls = [...document.querySelectorAll("button, select, input, a")].filter((node) => node.checkVisibility());
  return {
    page: document.documentElement.scrollWidth - innerWidth,
    outside: controls.filter((node) => node.getBoundingClientRect().right > innerWidth).map((node) => node.textContent),
  };
}
