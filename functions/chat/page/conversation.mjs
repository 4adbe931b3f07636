// A conversation with the API. Nothing here knows the page.

import { ApiError, call } from "./api.mjs";

// A model that starts may name a wait more than once; after so many, a person decides.
const MOST_RETRIES = 20;

/**
 * What was said so far, and what is under way; calls `changed` after each change.
 *
 * `turns` are {role: "user", text} and replies: {role: "assistant", text, reasoning, state, error, …}, where `state`
 * is waiting, writing, done, stopped or failed. The key is kept here only.
 */
export class Chat {
  key = "";
  system = "";
  model = "";
  models = null;
  modelsError = null;
  turns = [];
  #changed;
  #stopper = new AbortController();
  #timer = 0;

  constructor(changed) {
    this.#changed = changed;
  }

  get reply() {
    const last = this.turns.at(-1);
    return last?.role === "assistant" ? last : null;
  }

  get isBusy() {
    return ["waiting", "writing"].includes(this.reply?.state);
  }

  async loadModels() {
    try {
      this.models = await listModels(this.key);
      this.modelsError = null;
      if (!this.models.some(({ id }) => id === this.model)) this.model = this.models[0]?.id ?? "";
    } catch (error) {
      this.modelsError = error;
    }
    this.#changed();
  }

  send(text) {
    this.stop();
    this.turns.push({ role: "user", text });
    this.#start();
  }

  /** Replace a message, and what followed it. */
  edit(turn, text) {
    this.stop();
    this.turns.length = this.turns.indexOf(turn);
    this.send(text);
  }

  /** Have the last reply made again. */
  retry() {
    this.stop();
    this.turns.pop();
    this.#start();
  }

  /** End the reply that is under way, or the wait for another attempt. */
  stop() {
    this.#stopper.abort();
    clearTimeout(this.#timer);
    if (this.reply) this.reply.retryAt = null;
    this.#changed();
  }

  clear() {
    this.stop();
    this.turns = [];
    this.#changed();
  }

  /** Request a reply to the last message. Earlier ones that got none are left out: some models refuse two in a row. */
  #start() {
    const isSaid = ({ text }, at) => text && this.turns[at + 1]?.text !== "";
    const said = this.turns.filter(isSaid).map(({ role, text }) => ({ role, content: text }));
    const messages = this.system ? [{ role: "system", content: this.system }, ...said] : said;
    const request = { model: this.model || "default", messages, stream: true, stream_options: { include_usage: true } };
    const reply = { role: "assistant", request };
    this.turns.push(reply);
    this.#attempt(reply, MOST_RETRIES);
  }

  async #attempt(reply, retries) {
    const stopper = (this.#stopper = new AbortController());
    Object.assign(reply, { text: "", reasoning: "", state: "waiting", error: null, finish: null, usage: null });
    Object.assign(reply, { beganAt: performance.now(), firstAt: null, thoughtAt: null, endedAt: null, retryAt: null });
    this.#changed();
    try {
      for await (const chunk of streamChat(reply.request, this.key, stopper.signal)) {
        take(chunk, reply);
        this.#changed();
      }
      reply.state = "done";
    } catch (error) {
      reply.state = stopper.signal.aborted ? "stopped" : "failed";
      reply.error = stopper.signal.aborted ? null : error;
    }
    reply.endedAt = performance.now();
    const waitS = reply.error?.retryAfterS ?? null;
    if (waitS !== null && retries && !reply.text) {
      reply.retryAt = performance.now() + waitS * 1000;
      this.#timer = setTimeout(() => this.#attempt(reply, retries - 1), waitS * 1000);
    }
    this.#changed();
  }
}

/** Add a chunk to a reply. */
function take({ choices: [choice] = [], usage }, reply) {
  if (usage) reply.usage = usage;
  const text = choice?.delta?.content ?? "";
  const reasoning = choice?.delta?.reasoning_content ?? choice?.delta?.reasoning ?? "";
  reply.text += text;
  reply.reasoning += reasoning;
  reply.finish = choice?.finish_reason ?? reply.finish;
  if (!text && !reasoning) return;
  reply.firstAt ??= performance.now();
  if (text) reply.thoughtAt ??= performance.now();
  reply.state = "writing";
}

async function listModels(key) {
  const { data } = await (await call("v1/models", { key })).json();
  return data.filter(({ serves }) => !serves || serves.includes("chat"));
}

/** Yield the chunks of a reply as they arrive. Throws ApiError, also for a failure in mid-stream. */
async function* streamChat(request, key, signal) {
  const response = await call("v1/chat/completions", { key, signal, body: JSON.stringify(request) });
  for await (const data of events(response.body, signal)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data);
    if (chunk.error) throw new ApiError(chunk.error.message, { code: chunk.error.code });
    yield chunk;
  }
  throw new ApiError("The connection ended before the reply was complete.");
}

/** Yield the data of each event of a stream. Comments, which only keep a connection open, are left out. */
async function* events(stream, signal) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  try {
    for (;;) {
      const { done, value } = await reader.read().catch((error) => {
        if (signal.aborted) throw error;
        throw new ApiError("The connection broke before the reply was complete.");
      });
      if (done) return;
      const lines = (held + value).split(/\r?\n/);
      held = lines.pop();
      yield* lines.filter((line) => line.startsWith("data:")).map((line) => line.slice(5).trim());
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}
