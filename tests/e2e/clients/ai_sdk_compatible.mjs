// Its provider for services like this one calls chat completions, and shows a reasoning, which the other does not.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Output, embedMany, generateText, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const provider = createOpenAICompatible({
  name: "chatbot",
  baseURL: process.env.OPENAI_BASE_URL,
  apiKey: process.env.OPENAI_API_KEY,
  supportsStructuredOutputs: true,
});

export async function chat(model) {
  const { text } = await generateText({ model: provider(model), prompt: "What is the capital of France?" });
  return text;
}

export async function stream(model) {
  let failure;
  const onError = ({ error }) => (failure = error); // without it, errors are printed
  const { textStream } = streamText({ model: provider(model), prompt: "What is the capital of France?", onError });
  const pieces = [];
  for await (const piece of textStream) pieces.push(piece);
  if (failure) throw failure;
  return pieces;
}

export async function tools(model) {
  const inputSchema = z.object({ city: z.string() });
  const get_weather = tool({ inputSchema, execute: ({ city }) => `sunny in ${city}` });
  const prompt = "How is the weather in Paris?";
  const options = { tools: { get_weather }, stopWhen: stepCountIs(2) };
  return (await generateText({ model: provider(model), prompt, ...options })).text;
}

export async function turns(model) {
  const messages = [{ role: "user", content: "What is the capital of France?" }];
  const { response } = await generateText({ model: provider(model), messages });
  messages.push(...response.messages, { role: "user", content: "And of Italy?" });
  return (await generateText({ model: provider(model), messages })).text;
}

export async function structured(model) {
  const output = Output.object({ schema: z.object({ name: z.string(), country: z.string() }) });
  return (await generateText({ model: provider(model), prompt: "The capital of France?", output })).output;
}

export async function embeddings(model) {
  return (await embedMany({ model: provider.embeddingModel(model), values: ["Paris", "Rome"] })).embeddings;
}
