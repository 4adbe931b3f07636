// Use the chat page as a person does, and print what was seen as JSON:
// node chat.mjs <address of the page> <key> [<folder for pictures>]
// What each message has the engine do is in test_chat_page.py. `missing`: there is no browser.

import { ATTACKS } from "./attacks.mjs";
import { launch, watch } from "./chromium.mjs";
import { looksOf } from "./looks.mjs";

const [address, key, pictures] = process.argv.slice(2);
const seen = { requests: [], console: [], violations: [], axe: {} };
const { check, picture } = looksOf(seen, pictures);
const CODE = "How do I sum a column of a CSV file?";
const PHONE = { width: 360, height: 740 };

const browser = await launch(new URL(address).hostname);
if (!browser) {
  console.log(JSON.stringify({ missing: true }));
  process.exit();
}
try {
  const page = await opened({ viewport: { width: 1280, height: 800 } });
  await keyMissing(page);
  await streaming(page);
  await rendering(page);
  await failing(page);
  await changing(page);
  await keyboard(page);
  await onPhone(await opened({ viewport: PHONE, hasTouch: true, isMobile: true }));
  await models(await opened({ viewport: PHONE }));
  await waiting(await opened({ viewport: PHONE }));
  await incomplete(await opened({ viewport: PHONE }));
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));

async function opened(options) {
  const context = await browser.newContext({ ...options, reducedMotion: "reduce" });
  const page = await context.newPage();
  await watch(page, seen);
  page.on("dialog", (dialog) => (seen.console.push(`uncaught dialog: ${dialog.message()}`), dialog.dismiss()));
  await page.goto(address);
  return page;
}

async function keyMissing(page) {
  const problem = page.getByRole("region", { name: "Problem" });
  seen.key_missing = await problem.innerText();
  await check(page, "key missing");
  await picture(page, "key");
  await page.keyboard.type(key); // where the focus is
  await page.keyboard.press("Enter");
  await page.locator(".welcome").waitFor();
  seen.examples = await page.locator(".welcome li").allInnerTexts();
  seen.models = await page.getByRole("combobox", { name: "Model" }).locator("option").allInnerTexts();
  await check(page, "welcome");
  await picture(page, "empty");
  seen.kept = await page.evaluate(() => [{ ...localStorage }, { ...sessionStorage }, document.cookie, location.href]);
}

async function streaming(page) {
  await page.evaluate(() => {
    window.lengths = new Set();
    window.statuses = [];
    const conversation = document.getElementById("conversation");
    new MutationObserver(() => {
      window.lengths.add(conversation.querySelector(".block")?.textContent.length ?? 0);
      window.statuses.push(document.getElementById("status").textContent);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  await send(page, "in pieces");
  seen.facts = await finished(page);
  seen.lengths = await page.evaluate(() => [...window.lengths]);
  seen.statuses = await page.evaluate(() => [...new Set(window.statuses)]);

  await send(page, "endless");
  await page.locator(".block").nth(1).waitFor();
  seen.while_writing = await page.getByRole("button", { name: "Stop" }).isVisible();
  await page.waitForFunction(() => document.getElementById("conversation").scrollTop > 300);
  seen.follows = await page.evaluate(endIsInSight);
  await page.mouse.move(600, 400);
  await page.mouse.wheel(0, -30);
  await page.getByRole("button", { name: "Go to the latest" }).waitFor();
  const place = () => page.evaluate(() => document.getElementById("conversation").scrollTop);
  const before = await place();
  await page.waitForTimeout(300);
  seen.moved = (await place()) - before;
  await page.getByRole("button", { name: "Go to the latest" }).click();
  await page.waitForFunction(endIsInSight);
  await page.setViewportSize({ width: 1280, height: 500 });
  await page.waitForTimeout(100);
  seen.follows &&= await page.evaluate(endIsInSight);
  await page.setViewportSize({ width: 1280, height: 800 });
  await page.keyboard.press("Escape");
  seen.stopped = await finished(page);
}

async function rendering(page) {
  await startAgain(page);
  await send(page, CODE);
  await finished(page);
  seen.code = await page.evaluate(() => ({
    language: document.querySelector(".code .bar span").textContent,
    coloured: document.querySelectorAll(".code [class^=hljs]").length,
    headings: [...document.querySelectorAll(".block :is(h1,h2,h3,h4,h5,h6)")].map((node) => node.localName),
  }));
  await picture(page, "code");
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.getByRole("button", { name: "Copy code" }).first().click();
  seen.copied = await page.evaluate(() => navigator.clipboard.readText());
  await page.getByText("Copied").waitFor();
  await check(page, "code");

  await send(page, "markup");
  await finished(page);
  await page.waitForTimeout(200);
  seen.markup = await page.evaluate(() => {
    const shown = [...document.querySelectorAll(".received")].at(-1);
    return {
      text: shown.innerText,
      hacked: window.hacked ?? null,
      elements: shown.querySelectorAll("img, script, iframe, style, svg, object, embed, link, form, video").length,
      handlers: [...shown.querySelectorAll("*")]
        .flatMap((node) => node.getAttributeNames())
        .filter((name) => /^on|style/.test(name)),
      links: [...shown.querySelectorAll("a")].map((link) => [link.textContent, link.getAttribute("href"), link.rel]),
    };
  });

  await send(page, "lists");
  await finished(page);
  seen.lists = await page.evaluate(() => {
    const [shown] = [...document.querySelectorAll(".received")].slice(-1);
    const styles = (selector) => [...shown.querySelectorAll(selector)].map((node) => getComputedStyle(node));
    return {
      boxes: [...shown.querySelectorAll("input")].map(({ type, checked }) => [type, checked]),
      start: shown.querySelector("ol").start,
      aligned: styles("td").map(({ textAlign }) => textAlign.replace("-webkit-", "")),
      directions: styles(".block p").map(({ direction }) => direction),
    };
  });
  await check(page, "lists");
  await page.emulateMedia({ media: "print" });
  seen.print = await page.evaluate(() => {
    const { scrollHeight, clientHeight } = document.getElementById("conversation");
    return { cut: scrollHeight - clientHeight, controls: document.getElementById("composer").checkVisibility() };
  });
  await page.emulateMedia({ media: "screen" });

  await send(page, "empty");
  seen.empty = await finished(page);

  seen.attacked = await page.evaluate(attack, ATTACKS);

  await send(page, "thinking");
  await finished(page);
  const thought = page.locator(".reasoning");
  seen.reasoning = [await thought.innerText()];
  await thought.locator("summary").click();
  seen.reasoning.push(await thought.innerText());
  await check(page, "reasoning");
}

async function failing(page) {
  await startAgain(page);
  await send(page, "broken");
  seen.broken = await problemOf(page);
  await check(page, "broken");
  await picture(page, "problem");
  await send(page, "error in mid-stream");
  seen.midstream = [await page.locator(".received .block").first().innerText(), await problemOf(page)];
  await send(page, "cut");
  seen.cut = await problemOf(page);

  const fulfil = (status, headers, error) => (route) =>
    route.fulfill({ status, headers: { "content-type": "application/json", ...headers }, json: { error } });
  const completions = "**/v1/chat/completions";
  const warming = { message: "The model `scripted` is starting.", code: "model_warming" };
  await startAgain(page);
  await page.route(completions, fulfil(503, { "retry-after": "2" }, warming), { times: 1 });
  await send(page, "in pieces");
  seen.warming = await problemOf(page);
  await check(page, "warming");
  await picture(page, "warming");
  seen.after_warming = await finished(page);

  const limited = { message: "Slow down.", code: "rate_limit_exceeded" };
  await page.route(completions, fulfil(429, { "retry-after": "60" }, limited), { times: 1 });
  await send(page, "in pieces");
  seen.limited = await problemOf(page);
  await page.getByRole("button", { name: "Cancel" }).click();
  const retry = page.getByRole("region", { name: "Problem" }).getByRole("button", { name: "Retry", exact: true });
  await retry.waitFor();
  seen.cancelled = await problemOf(page);
  await retry.click();
  seen.after_cancel = await finished(page);

  await page.route(completions, (route) => route.abort(), { times: 1 });
  await send(page, "in pieces");
  seen.unreachable = await problemOf(page);
}

async function changing(page) {
  await startAgain(page);
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("textbox", { name: "System prompt" }).fill("Be brief.");
  await check(page, "settings");
  await picture(page, "settings");
  await page.getByRole("button", { name: "Settings" }).click();
  await page.getByRole("combobox", { name: "Model" }).selectOption("other");
  await send(page, "it's \"one\"\nand two");
  await finished(page);
  await send(page, "in pieces");
  await finished(page);
  seen.sent = [await requestOf(page, () => page.getByRole("button", { name: "Retry" }).last().click())];
  await finished(page);
  await page.getByRole("button", { name: "Edit" }).first().click();
  await page.keyboard.press("Control+End"); // the editor has the focus
  await page.keyboard.type(" 'three'");
  await check(page, "editing");
  seen.sent.push(await requestOf(page, () => page.keyboard.press("Enter")));
  await finished(page);
  seen.turns = await page.locator("#conversation > ol > li").count();
  await page.getByRole("button", { name: "Code", exact: true }).last().click();
  const dialog = page.getByRole("dialog");
  seen.snippets = await dialog.locator("code:is(pre code)").allInnerTexts();
  await check(page, "dialog");
  await picture(page, "dialog");
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "hidden" });
}

async function startAgain(page) {
  await page.getByRole("button", { name: "New chat" }).click();
  await page.locator(".welcome").waitFor();
}

/** Reach everything by Tab, from the top of the page. */
async function keyboard(page) {
  await startAgain(page);
  await send(page, CODE);
  await finished(page);
  await page.locator("#skip").focus();
  seen.focused = [];
  for (let presses = 0; presses < 30; presses++) {
    await page.keyboard.press("Tab");
    const focused = await page.evaluate(() => {
      const { activeElement: node } = document;
      const style = getComputedStyle(node.id === "message" ? node.parentElement : node);
      const isVisible = style.outlineStyle !== "none" || style.boxShadow !== "none";
      const name = node.id || node.textContent.trim().slice(0, 20) || node.localName;
      return node === document.body ? null : [name, isVisible];
    });
    if (focused) seen.focused.push(focused);
    if (focused?.[0] === "message") break;
  }
  await page.keyboard.type("in pieces");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("x");
  // The key that ends a composition, as of Japanese, sends nothing.
  await page.getByRole("textbox", { name: "Message" }).dispatchEvent("keydown", { key: "Enter", isComposing: true });
  seen.lines = await page.getByRole("textbox", { name: "Message" }).inputValue();
}

async function onPhone(page) {
  await page.getByRole("region", { name: "Problem" }).getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Use key" }).tap();
  await page.locator(".welcome").waitFor();
  await picture(page, "phone-empty");
  await send(page, CODE);
  await finished(page);
  seen.phone = await page.evaluate(widths);
  await check(page, "phone");
  await picture(page, "phone");
  await page.setViewportSize({ width: 640, height: 360 }); // a window of 1280 × 720 at a zoom of 200 %
  await picture(page, "zoomed");
  seen.zoomed = await page.evaluate(widths);
}

async function models(page) {
  const data = [
    { id: "e", serves: ["embeddings"] },
    { id: "c", serves: ["chat", "completions"] },
  ];
  await page.route("**/v1/models", (route) => route.fulfill({ json: { data } }));
  await page.reload();
  await page.locator(".welcome").waitFor();
  seen.serving_chat = await page.getByRole("combobox", { name: "Model" }).locator("option").allInnerTexts();
}

/** A model that starts: the response is there, its first token is not. */
async function waiting(page) {
  await page.clock.install();
  await page.reload();
  await page.clock.runFor(100);
  await page.getByRole("region", { name: "Problem" }).getByLabel("API key").fill(key);
  await page.keyboard.press("Enter");
  await page.waitForResponse("**/v1/models");
  await page.clock.runFor(100);
  await send(page, "held");
  await page.clock.runFor(20_000);
  seen.waiting = await page.locator(".waiting").innerText();
}

async function incomplete(page) {
  await page.route("**/conversation.mjs", (route) => route.fulfill({ status: 429 }));
  await page.reload();
  const notice = page.getByText("This page is not complete");
  seen.incomplete = [await notice.isVisible()];
  await notice.waitFor();
  seen.incomplete.push(await notice.isVisible());
}

async function send(page, text) {
  await page.getByRole("textbox", { name: "Message" }).fill(text);
  await page.keyboard.press("Enter");
}

/** Return what is said below the last reply, once it has ended. */
async function finished(page) {
  await drawn(page);
  const last = page.locator(".received").last();
  await last.and(page.locator("[aria-busy=false]:not(:has(.problem))")).waitFor();
  return last.locator(".facts").innerText();
}

async function problemOf(page) {
  await drawn(page);
  await page.locator(".received").last().locator(".problem").waitFor();
  return page.locator(".problem").last().innerText();
}

/** Wait until what was just done is shown, which takes a frame. */
function drawn(page) {
  return page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
}

async function requestOf(page, action) {
  const request = page.waitForRequest("**/v1/chat/completions");
  await action();
  return (await request).postDataJSON();
}

function endIsInSight() {
  const { scrollHeight, scrollTop, clientHeight } = document.getElementById("conversation");
  return scrollHeight - scrollTop - clientHeight < 48;
}

/** Show replies, touch all that is in them, and return what they are made of. */
async function attack(replies) {
  const { src } = document.querySelector("script[type=module]");
  const { blocksOf } = await import(src.replace("chat.mjs", "markdown.mjs"));
  const shown = document.body.appendChild(document.createElement("div"));
  shown.append(...replies.flatMap((reply) => blocksOf(reply).map(({ node }) => node)));
  const nodes = [...shown.querySelectorAll("*")];
  for (const node of nodes) {
    node.dispatchEvent(new MouseEvent("mouseover"));
    if (!node.href) node.click();
  }
  await new Promise((resolve) => setTimeout(resolve, 300));
  shown.remove();
  return {
    hacked: window.hacked ?? null,
    elements: [...new Set(nodes.map(({ localName }) => localName))],
    attributes: [...new Set(nodes.flatMap((node) => node.getAttributeNames()))],
    links: nodes.map((node) => node.getAttribute("href")).filter((address) => address !== null),
  };
}

function widths() {
  const conversation = document.getElementById("conversation");
  const buttons = [...document.querySelectorAll("button, select, textarea")].filter((node) => node.checkVisibility());
  return {
    page: document.documentElement.scrollWidth - innerWidth,
    conversation: conversation.scrollWidth - conversation.clientWidth,
    height: conversation.clientHeight,
    cut: [...document.querySelectorAll(".code")].filter((node) => node.scrollWidth > node.clientWidth).length,
    outside: buttons.filter((node) => node.getBoundingClientRect().right > innerWidth).map((node) => node.textContent),
  };
}
