// Use the page at /graphql as a person does, and print what was seen as JSON:
// node graphiql.mjs <address of the page> <key> <title for a todo> [<file for a picture>]
// `requests`, `console` and `violations` are all that the browser did beside; `missing`: there is no browser.

import { launch, watch } from "./chromium.mjs";

const [address, key, title, picture] = process.argv.slice(2);
const seen = { requests: [], console: [], violations: [] };

const browser = await launch(new URL(address).hostname);
if (!browser) {
  console.log(JSON.stringify({ missing: true }));
  process.exit();
}
try {
  await scenario(await opened());
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));

async function opened() {
  const page = await browser.newPage({ viewport: { width: 1600, height: 720 } });
  await watch(page, seen);
  await page.goto(address);
  return page;
}

async function scenario(page) {
  seen.title = await page.title();
  await write(page, "Headers", JSON.stringify({ authorization: `Bearer ${key}` }));
  seen.query = await page.locator(".graphiql-query-editor .CodeMirror-line").allInnerTexts();
  seen.listed_before = await execute(page);

  await page.getByRole("button", { name: "New tab" }).click();
  await write(page, "Headers", JSON.stringify({ authorization: `Bearer ${key}` }));
  await write(page, "Query Editor", `mutation { createTodo(title: ${JSON.stringify(title)}) { id title } }`);
  seen.created = await execute(page);

  await page.getByRole("button", { name: "Open settings dialog" }).click(); // dialogs make styles of their own
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("tab").first().click();
  seen.listed_after = await execute(page);
  const result = page.getByRole("region", { name: "Result Window" });
  await result.getByText(`"${title}"`).first().waitFor();

  await page.getByRole("button", { name: "Show Documentation Explorer" }).click();
  const explorer = page.locator(".graphiql-doc-explorer");
  await explorer.getByRole("link", { name: "Mutation" }).click();
  await explorer.getByRole("link", { name: "createTodo" }).waitFor();
  seen.documentation = await explorer.innerText();
  if (picture) await page.screenshot({ path: picture });
}

async function write(page, editor, text) {
  await page.getByRole("region", { name: editor }).locator(".CodeMirror:visible").click();
  await page.keyboard.press("ControlOrMeta+a");
  await page.keyboard.insertText(text);
}

async function execute(page) {
  const reply = page.waitForResponse((response) => response.request().method() === "POST");
  await page.getByRole("button", { name: "Execute query" }).click();
  return (await reply).json();
}
