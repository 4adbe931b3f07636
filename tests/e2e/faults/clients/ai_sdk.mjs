// The AI SDK with its provider for OpenAI-compatible services.
import { createRequire } from "node:module";
import { APICallError, RetryError, StreamProviderError, generateText, jsonSchema, streamText, tool } from "ai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { FUNCTIONS, MESSAGES, NEXT, main } from "./cases.mjs";

const { version } = createRequire(import.meta.url)("ai/package.json");
const tools = Object.fromEntries(
  FUNCTIONS.map(({ name, description, parameters }) => [
    name,
    tool({ description, inputSchema: jsonSchema(parameters) }),
  ]),
);

function client(baseURL, apiKey) {
  const provider = createOpenAICompatible({ name: "here", baseURL, apiKey, includeUsage: true });
  return async ({ mode, fields: { model } }) => {
    const options = { model: provider(model), messages: [...MESSAGES], tools };
    if (mode === "history") {
      for (const complete of [whole, streamed]) {
        const { messages } = await complete(options);
        options.messages.push(...messages, ...results(messages), NEXT);
      }
    }
    const { messages, ...shown } = await (mode === "stream" ? streamed : whole)(options);
    return shown;
  };
}

async function whole(options) {
  const { text, reasoningText, toolCalls, finishReason, usage, response } = await generateText(options);
  const calls = toolCalls.map(({ toolName, input }) => [toolName, input]);
  return outcome({ text, reasoning: reasoningText ?? "", calls, finish: finishReason }, usage, response);
}

async function streamed(options) {
  const choice = { text: "", reasoning: "", calls: [], finish: null };
  let usage = null;
  const reply = streamText({ ...options, onError() {} });
  for await (const part of reply.stream) {
    if (part.type === "text-delta") choice.text += part.text;
    if (part.type === "reasoning-delta") choice.reasoning += part.text;
    if (part.type === "tool-call") choice.calls.push([part.toolName, part.input]);
    if (part.type === "error") throw part.error;
    if (part.type === "finish") [choice.finish, usage] = [part.finishReason, part.totalUsage];
  }
  return outcome(choice, usage, await reply.response);
}

// What a user sends back for each call in the messages.
function results(messages) {
  const calls = messages.flatMap(({ content }) => content).filter((part) => part.type === "tool-call");
  if (!calls.length) return [];
  const output = { type: "text", value: "done" };
  const content = calls.map(({ toolCallId, toolName }) => ({ type: "tool-result", toolCallId, toolName, output }));
  return [{ role: "tool", content }];
}

function outcome(choice, usage, { messages }) {
  const used = usage?.inputTokens === undefined ? null : [usage.inputTokens, usage.outputTokens];
  return { choices: [{ ...choice, finish: choice.finish?.replaceAll("-", "_") }], usage: used, messages };
}

main(version, client, (error) => {
  const last = RetryError.isInstance(error) ? error.lastError : error;
  return {
    raised: last?.name ?? "error part",
    own: APICallError.isInstance(last) || StreamProviderError.isInstance(last),
    status: last?.statusCode ?? null,
    code: last?.data?.error?.code ?? last?.code ?? null,
    message: String(last?.message ?? last).slice(0, 500),
  };
});
