// Call an API from web pages of other origins, and print what their scripts saw as JSON:
// node cors.mjs <address of the API> <key> <address of a page>…
// Each page reports a stream, an error and a GraphQL query; `missing`: there is no browser.

import { launch } from "./chromium.mjs";

const [api, key, ...pages] = process.argv.slice(2);

const browser = await launch("localhost");
if (!browser) {
  console.log(JSON.stringify({ missing: true }));
  process.exit();
}
try {
  const seen = [];
  for (const address of pages) seen.push(await visit(address));
  console.log(JSON.stringify(seen));
} finally {
  await browser.close();
}

async function visit(address) {
  const page = await browser.newPage();
  await page.goto(address);
  return page.evaluate(callAll, { api, key });
}

/** Runs in the page. */
async function callAll({ api, key }) {
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json", "x-stainless-lang": "js" };
  const messages = [{ role: "user", content: "hi" }];

  async function call(path, body, read) {
    try {
      const reply = await fetch(api + path, { method: "POST", headers, body: JSON.stringify(body) });
      return { status: reply.status, id: reply.headers.get("x-request-id"), ...(await read(reply)) };
    } catch (error) {
      return { refused: error.name };
    }
  }

  async function readStream(reply) {
    const reads = [];
    const reader = reply.body.getReader();
    const decoder = new TextDecoder();
    for (let read = await reader.read(); !read.done; read = await reader.read()) {
      reads.push({ at: performance.now(), text: decoder.decode(read.value) });
    }
    return { text: reads.map(({ text }) => text).join(""), tookMs: reads.at(-1).at - reads[0].at };
  }

  const readJson = async (reply) => ({ json: await reply.json() });
  return {
    stream: await call("/v1/chat/completions", { model: "default", messages, stream: true }, readStream),
    error: await call("/v1/chat/completions", { model: "none", messages }, readJson),
    todos: await call("/graphql", { query: "{ __typename }" }, readJson),
  };
}
