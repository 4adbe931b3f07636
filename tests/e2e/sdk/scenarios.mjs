// What a user does with the official Node package, printed as JSON: `scenarios.mjs BASE_URL KEY SCENARIO…`.
// The scenarios are those of scenarios.py.
import OpenAI from "openai";
import { VERSION } from "openai/version";

const JOKE = [{ role: "user", content: "Tell me a joke" }];
const CITY = {
  name: "city",
  strict: true,
  schema: {
    type: "object",
    properties: { name: { type: "string", maxLength: 12 }, big: { type: "boolean" } },
    required: ["name", "big"],
    additionalProperties: false,
  },
};
const WEATHER = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

const [baseURL, apiKey, ...names] = process.argv.slice(2);
const client = new OpenAI({ baseURL, apiKey, timeout: 30_000 });
const completions = client.chat.completions;

const complete = (fields = {}, maxRetries = 0) =>
  completions.create({ model: "default", messages: JOKE, ...fields }, { maxRetries });
const chunks = async (fields) => all(await complete({ ...fields, stream: true }));

async function all(iterable) {
  const items = [];
  for await (const item of iterable) items.push(item);
  return items;
}

const scenarios = {
  // of any model

  async chat() {
    const reply = await complete({ max_tokens: 8 });
    return { request_id: reply._request_id, reply };
  },

  async raw_response() {
    const { data, response } = await complete({ max_tokens: 2 }).withResponse();
    return { request_id: response.headers.get("x-request-id"), reply: data };
  },

  stream: () => chunks({ max_tokens: 8 }),

  stream_with_usage: () => chunks({ max_tokens: 8, stream_options: { include_usage: true } }),

  schema: () =>
    complete({ max_tokens: 60, temperature: 0, response_format: { type: "json_schema", json_schema: CITY } }),

  two_choices: () => complete({ max_tokens: 4, n: 2 }),

  async stop() {
    const fields = { max_tokens: 16, temperature: 0 };
    const text = (await complete(fields)).choices[0].message.content;
    const word = text.trim().split(/\s+/)[3];
    return { text, word, reply: await complete({ ...fields, stop: [word] }) };
  },

  logprobs: () => complete({ max_tokens: 3, logprobs: true, top_logprobs: 2 }),

  async seed() {
    const fields = { max_tokens: 8, temperature: 1, seed: 7, cache_prompt: false };
    return [await complete(fields), await complete(fields)];
  },

  text: () =>
    client.completions.create({
      model: "default",
      prompt: ["1, 2, 3, 4, 5,", "A, B, C, D, E,"],
      n: 2,
      max_tokens: 4,
      temperature: 0,
      echo: true,
    }),

  text_stream: async () =>
    all(
      await client.completions.create({
        model: "default",
        prompt: "Once upon a time",
        max_tokens: 8,
        stream: true,
        stream_options: { include_usage: true },
      }),
    ),

  async embeddings() {
    const fields = { model: "default", input: ["Good morning", "Good evening"] };
    const asSdk = await client.embeddings.create(fields);
    return [asSdk, await client.embeddings.create({ ...fields, encoding_format: "float" })];
  },

  async models() {
    return { listed: await all(client.models.list()), default: await client.models.retrieve("default") };
  },

  // of a scripted engine

  async tool() {
    const call = await complete({ model: "tools", tools: [WEATHER] });
    const { message } = call.choices[0];
    const answer = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "11 degrees" };
    const messages = [...JOKE, message, answer];
    return { call, reply: await complete({ model: "tools", tools: [WEATHER], messages }) };
  },

  tool_stream: () => chunks({ model: "tools", tools: [WEATHER] }),

  async close() {
    let count = 0;
    let closed;
    for await (const _ of await complete({ model: "endless", stream: true })) {
      if (++count < 3) continue;
      closed = Number(process.hrtime.bigint()) / 1e9;
      break;
    }
    return closed;
  },

  retried: () => complete({ model: "retried" }, 2),

  // what is raised

  bad_request: () => complete({ temperature: 3 }),
  bad_stream_request: () => chunks({ messages: [] }),
  no_prompt: () => client.completions.create({ model: "default", prompt: [] }, { maxRetries: 0 }),
  tokens: () => client.embeddings.create({ model: "default", input: [[1, 2]] }, { maxRetries: 0 }),
  unknown_model: () => complete({ model: "gpt-unknown" }),
  wrong_key: () => complete(),
  limited: () => complete({ model: "limited" }),
  broken: () => complete({ model: "broken" }),
  busy: () => chunks({ model: "busy" }),
  error_event: () => chunks({ model: "error-event" }),
  cut: () => chunks({ model: "cut" }),
};

async function outcome(scenario) {
  try {
    return await scenario();
  } catch (error) {
    if (!(error instanceof OpenAI.APIError)) throw error;
    return {
      raised: error.constructor.name,
      status: error.status ?? null,
      request_id: error.requestID ?? null,
      type: error.type ?? null,
      param: error.param ?? null,
      code: error.code ?? null,
    };
  }
}

const results = { version: VERSION };
for (const name of names) results[name] = await outcome(scenarios[name]);
console.log(JSON.stringify(results));
