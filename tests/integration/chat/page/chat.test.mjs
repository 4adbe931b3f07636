import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { Chat } from "../../../../functions/chat/page/conversation.mjs";

const chunk = (fields) => `data: ${JSON.stringify({ choices: [], ...fields })}\n\n`;
const delta = (delta, finish_reason = null) => chunk({ choices: [{ index: 0, delta, finish_reason }] });
const usage = { prompt_tokens: 3, completion_tokens: 2 };
const DONE = "data: [DONE]\n\n";
const WHOLE = [": keep-alive\n\n", delta({ role: "assistant", content: "" }), delta({ reasoning_content: "Hm, " }),
  delta({ reasoning: "ö." }), delta({ content: "Grüß" }), delta({ content: " 👋" }), delta({}, "length"),
  chunk({ usage }), DONE].join("");
const { fetch } = globalThis;
let chat;
afterEach(() => {
  globalThis.fetch = fetch;
  chat?.stop(); // no timer is left
});

/** Have the API give these responses in turn; return the requests that it gets. */
function api(...responses) {
  const requests = [];
  globalThis.fetch = async (path, options) => {
    requests.push({ path, ...options, body: options.body && JSON.parse(options.body) });
    const response = responses.shift();
    if (response instanceof Error) throw response;
    return response;
  };
  return requests;
}

/** A stream in pieces of so many bytes; an error ends it. */
function streamed(text, size = 1000, error = null) {
  const bytes = new TextEncoder().encode(text);
  const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => bytes.slice(n * size, (n + 1) * size));
  return new Response(
    new ReadableStream({
      pull(controller) {
        if (pieces.length) controller.enqueue(pieces.shift());
        else if (error) controller.error(error);
        else controller.close();
      },
    }),
  );
}

function refused(status, error, headers = {}) {
  return new Response(JSON.stringify(error), { status, headers });
}

/** Send a message, and wait until its reply has ended. */
async function replyTo(text, ...responses) {
  const requests = api(...responses);
  chat = new Chat(() => {});
  chat.send(text);
  while (chat.isBusy) await new Promise(setImmediate);
  return { reply: chat.reply, requests };
}

for (const size of [1, 2, 3, 7, 1000]) {
  test(`a reply is read in pieces of ${size} bytes`, async () => {
    const { reply } = await replyTo("Hi", streamed(WHOLE, size));
    const { text, reasoning, state, finish, error } = reply;
    assert.deepEqual([text, reasoning, state, finish, error], ["Grüß 👋", "Hm, ö.", "done", "length", null]);
    assert.deepEqual(reply.usage, usage);
    assert.ok(reply.beganAt <= reply.firstAt && reply.firstAt <= reply.thoughtAt && reply.thoughtAt <= reply.endedAt);
  });
}

test("lines may end with CR and LF", async () => {
  const { reply } = await replyTo("Hi", streamed(WHOLE.replaceAll("\n", "\r\n"), 3));
  assert.equal(reply.text, "Grüß 👋");
});

for (const [name, response, message] of [
  ["an error in mid-stream", () => streamed(`${delta({ content: "a" })}data: {"error":{"message":"Bad.","code":null}}\n\n${DONE}`), "Bad."],
  ["a stream without its end", () => streamed(delta({ content: "a" })), /ended before/],
  ["a broken connection", () => streamed(delta({ content: "a" }), 1000, new TypeError("network")), /broke before/],
]) {
  test(`${name} is a failure that keeps what has arrived`, async () => {
    const { reply } = await replyTo("Hi", response());
    assert.deepEqual([reply.state, reply.text, reply.retryAt], ["failed", "a", null]);
    assert.match(reply.error.message, message instanceof RegExp ? message : new RegExp(message));
  });
}

const OPENAI = { error: { message: "No.", code: "some_code" } };
for (const [name, response, expected] of [
  ["an error of the API", refused(400, OPENAI), { message: "No.", status: 400, code: "some_code", retryAfterS: null }],
  ["one with a time", refused(429, OPENAI, { "retry-after": "7" }), { retryAfterS: 7 }],
  ["one whose time is of no use", refused(429, OPENAI, { "retry-after": "7", "x-should-retry": "false" }), { retryAfterS: null }],
  ["one of API Gateway", refused(429, { message: "Too Many Requests" }), { message: "Too Many Requests" }],
  ["one of Lambda", refused(413, { Message: "Request must be smaller" }), { message: "Request must be smaller" }],
  ["one without JSON", new Response("<html>", { status: 502 }), { message: "The server responded with status 502." }],
  ["no response", new TypeError("fetch failed"), { message: /did not answer/, status: 0 }],
]) {
  test(`${name} is shown in its words`, async () => {
    const { reply } = await replyTo("Hi", response);
    assert.equal(reply.state, "failed");
    for (const [member, value] of Object.entries(expected)) {
      if (value instanceof RegExp) assert.match(reply.error[member], value);
      else assert.equal(reply.error[member], value);
    }
  });
}

test("a request has the key in its header, and what was said and answered", async () => {
  const { requests } = await replyTo("One", refused(500, OPENAI));
  requests.push(...(await again("Two", streamed(WHOLE))), ...(await again("Three", streamed(WHOLE))));
  assert.deepEqual(
    requests.map(({ headers }) => headers.get("authorization")),
    [null, "Bearer sk", "Bearer sk"],
  );
  assert.deepEqual(requests[2].body.messages, [
    { role: "system", content: "Be brief." },
    { role: "user", content: "Two" },
    { role: "assistant", content: "Grüß 👋" },
    { role: "user", content: "Three" },
  ]);
});

async function again(text, response) {
  const requests = api(response);
  Object.assign(chat, { key: "sk", system: "Be brief." });
  chat.send(text);
  while (chat.isBusy) await new Promise(setImmediate);
  return requests;
}

test("only models that serve chat are offered, and a choice that is still there stays", async () => {
  const list = (...ids) => Response.json({ data: ids.map((id) => ({ id, ...(id === "e" && { serves: ["embeddings"] }) })) });
  api(list("e", "a", "b"), list("b", "e"), refused(401, OPENAI));
  chat = new Chat(() => {});
  await chat.loadModels();
  assert.deepEqual([chat.models.map(({ id }) => id), chat.model], [["a", "b"], "a"]);
  chat.model = "b";
  await chat.loadModels();
  assert.equal(chat.model, "b");
  await chat.loadModels();
  assert.equal(chat.modelsError.status, 401);
});
