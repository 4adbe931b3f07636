// The official `openai` package for Node at `/v1/responses`: its streams, whole replies and stream helper.
import OpenAI from "openai";
import { VERSION } from "openai/version";
import { FUNCTIONS, MESSAGES, main } from "./cases.mjs";

const tools = FUNCTIONS.map((each) => ({ type: "function", strict: false, ...each }));

function client(baseURL, apiKey) {
  const { responses } = new OpenAI({ baseURL, apiKey });
  return async ({ mode, fields: own }) => {
    const fields = { input: MESSAGES, tools, ...own };
    if (mode === "stream") return whole(await last(await responses.create({ ...fields, stream: true })));
    if (mode === "helper") return whole(await responses.stream(fields).finalResponse());
    return whole(await responses.create(fields));
  };
}

async function last(stream) {
  let text = "";
  for await (const event of stream) {
    if (event.type === "response.output_text.delta") text += event.delta;
    if (["response.completed", "response.incomplete", "response.failed"].includes(event.type)) return event.response;
  }
  return { output: [], text };
}

function whole({ output, incomplete_details, usage }) {
  const texts = { output_text: "", reasoning_text: "" };
  const calls = output.filter(({ type }) => type === "function_call").map((call) => [call.name, call.arguments]);
  for (const part of output.flatMap(({ content }) => content ?? [])) texts[part.type] = (texts[part.type] ?? "") + part.text;
  const reason = incomplete_details?.reason;
  const finish = reason === "max_output_tokens" ? "length" : reason ?? (calls.length ? "tool_calls" : "stop");
  const choice = { text: texts.output_text, reasoning: texts.reasoning_text, calls, finish };
  return { choices: [choice], usage: usage && [usage.input_tokens, usage.output_tokens] };
}

main(VERSION, client, (error) => ({
  raised: error.constructor.name,
  own: error instanceof OpenAI.OpenAIError,
  status: error.status ?? null,
  code: typeof error.code === "string" ? error.code : null,
}));
