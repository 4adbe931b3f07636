// The official `openai` package for Node: its streams, whole replies and stream helper.
import OpenAI from "openai";
import { LengthFinishReasonError } from "openai/core/error";
import { VERSION } from "openai/version";
import { FUNCTIONS, MESSAGES, NEXT, main } from "./cases.mjs";

const tools = FUNCTIONS.map((each) => ({ type: "function", function: each }));
// As `runTools` takes them: it calls the functions itself.
const runnable = FUNCTIONS.map((each) => ({ type: "function", function: { ...each, function: () => "done" } }));
const resultOf = ({ id }) => ({ role: "tool", tool_call_id: id, content: "done" });

function client(baseURL, apiKey) {
  const { completions } = new OpenAI({ baseURL, apiKey }).chat;
  return async ({ mode, fields: own }) => {
    const fields = { messages: [...MESSAGES], tools, ...own };
    const stream_options = { include_usage: true };
    const helped = () => completions.stream({ ...fields, stream_options }).finalChatCompletion();
    if (mode === "stream") return streamed(await completions.create({ ...fields, stream_options, stream: true }));
    if (mode === "helper") {
      const { choices, usage } = whole(await helped());
      // Of a member that it does not know, such as the reasoning, it keeps the last piece only.
      return { choices: choices.map(({ reasoning, ...shown }) => shown), usage };
    }
    if (mode === "history") {
      const runner = completions.runTools({ ...fields, tools: runnable }, { maxChatCompletions: 1 });
      await runner.done().catch((error) => {
        if (!(error instanceof LengthFinishReasonError)) throw error; // by design
      });
      fields.messages = [...runner.messages, NEXT];
      const { message } = (await helped()).choices[0];
      fields.messages.push(message, ...(message.tool_calls ?? []).map(resultOf), NEXT);
    }
    return whole(await completions.create(fields));
  };
}

const used = (usage) => usage && [usage.prompt_tokens, usage.completion_tokens];

// Both names of the reasoning must hold the same.
function reasoningOf({ reasoning_content: one, reasoning: other }) {
  return (one ?? "") === (other ?? "") ? one ?? "" : `reasoning_content ${one}, but reasoning ${other}`;
}

function whole(reply) {
  const choices = reply.choices
    .sort((a, b) => a.index - b.index)
    .map(({ message, finish_reason }) => ({
      text: message.content ?? "",
      reasoning: reasoningOf(message),
      calls: (message.tool_calls ?? []).map((call) => [call.function.name, call.function.arguments]),
      finish: finish_reason,
    }));
  return { choices, usage: used(reply.usage) };
}

async function streamed(stream) {
  const choices = [];
  let usage = null;
  for await (const chunk of stream) {
    usage = chunk.usage ?? usage;
    for (const { index, delta, finish_reason } of chunk.choices) {
      const choice = (choices[index] ??= { text: "", reasoning: "", calls: [], finish: null });
      choice.text += delta.content ?? "";
      choice.reasoning += reasoningOf(delta);
      choice.finish = finish_reason ?? choice.finish;
      for (const piece of delta.tool_calls ?? []) {
        const call = (choice.calls[piece.index] ??= ["", ""]);
        call[0] += piece.function?.name ?? "";
        call[1] += piece.function?.arguments ?? "";
      }
    }
  }
  return { choices, usage: used(usage) };
}

main(VERSION, client, (error) => ({
  raised: error.constructor.name,
  own: error instanceof OpenAI.OpenAIError,
  status: error.status ?? null,
  code: typeof error.code === "string" ? error.code : null,
}));
