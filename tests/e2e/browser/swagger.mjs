// Open each operation at /docs as a person does and execute its example; print what was seen as JSON:
// node swagger.mjs <address of the API> [<file for a picture, without the reference of the replies>]
// `missing`: there is no browser.

import { launch } from "./chromium.mjs";

const [address, picture] = process.argv.slice(2);
const browser = await launch(new URL(address).hostname);
if (!browser) {
  console.log(JSON.stringify({ missing: true }));
  process.exit();
}
const seen = { statuses: {}, console: [] };
try {
  const page = await browser.newPage({ viewport: { width: 1200, height: 900 }, deviceScaleFactor: 0.6 });
  page.setDefaultTimeout(20_000);
  page.on("console", (message) => seen.console.push(`${message.type()}: ${message.text()}`));
  page.on("pageerror", (error) => seen.console.push(`uncaught: ${error}`));
  await page.goto(`${address}/docs`);
  await page.locator(".opblock").first().waitFor();
  for (const operation of await page.locator(".opblock").all()) await execute(operation);
  seen.padlocks = await page.locator(".authorization__btn, .btn.authorize").count();
  seen.links = await page.locator(".info a").evaluateAll((links) => links.map((link) => link.href));
} finally {
  await browser.close();
}
console.log(JSON.stringify(seen));

async function execute(operation) {
  const path = (await operation.locator(".opblock-summary-path").innerText()).replaceAll("\u200b", "");
  await operation.locator(".opblock-summary").click();
  await operation.getByRole("button", { name: "Execute" }).click();
  const status = operation.locator(".live-responses-table tbody .response-col_status").first();
  await status.waitFor();
  seen.statuses[path] = Number.parseInt(await status.innerText());
  if (picture && Object.keys(seen.statuses).length === 1) await photograph(status.page());
}

async function photograph(page) {
  await page.addStyleTag({ content: ".responses-table:not(.live-responses-table) { display: none }" });
  await page.screenshot({ path: picture, fullPage: true });
}
