// The official package: responses, as its own documentation does; `chat.completions` works as well. Files with these lines end in `.mjs`.
import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";

export async function models() {
  const ids = [];
  for await (const model of new OpenAI().models.list()) ids.push(model.id);
  return ids;
}

export async function chat(model) {
  const client = new OpenAI();
  const response = await client.responses.create({ model, input: "What is the capital of France?" });
  return response.output_text;
}

export async function stream(model) {
  const client = new OpenAI();
  const events = await client.responses.create({ model, input: "What is the capital of France?", stream: true });
  const pieces = [];
  for await (const event of events) if (event.type === "response.output_text.delta") pieces.push(event.delta);
  return pieces;
}

export async function tools(model) {
  const client = new OpenAI();
  const parameters = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
  const tools = [{ type: "function", name: "get_weather", parameters, strict: false }];
  const input = [{ role: "user", content: "How is the weather in Paris?" }];
  const { output } = await client.responses.create({ model, input, tools });
  input.push(...output);
  for (const call of output.filter((item) => item.type === "function_call")) {
    const result = `sunny in ${JSON.parse(call.arguments).city}`;
    input.push({ type: "function_call_output", call_id: call.call_id, output: result });
  }
  return (await client.responses.create({ model, input, tools })).output_text;
}

export async function turns(model) {
  const client = new OpenAI();
  const input = [{ role: "user", content: "What is the capital of France?" }];
  input.push(...(await client.responses.create({ model, input })).output);
  input.push({ role: "user", content: "And of Italy?" });
  return (await client.responses.create({ model, input })).output_text;
}

export async function structured(model) {
  const client = new OpenAI();
  const format = zodTextFormat(z.object({ name: z.string(), country: z.string() }), "city");
  const input = "The capital of France?";
  return (await client.responses.parse({ model, input, text: { format } })).output_parsed;
}

export async function completions(model) {
  const client = new OpenAI();
  return (await client.completions.create({ model, prompt: "The capital of France is" })).choices[0].text;
}

export async function embeddings(model) {
  const { data } = await new OpenAI().embeddings.create({ model, input: ["Paris", "Rome"] });
  return data.map((each) => each.embedding);
}
