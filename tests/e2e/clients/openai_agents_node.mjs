// Tracing is off: it would send each run to OpenAI.
import { Agent, run, setTracingDisabled, tool } from "@openai/agents";
import { z } from "zod";

setTracingDisabled(true);

export async function chat(model) {
  const agent = new Agent({ name: "Assistant", model });
  return (await run(agent, "What is the capital of France?")).finalOutput;
}

export async function stream(model) {
  const agent = new Agent({ name: "Assistant", model });
  const result = await run(agent, "What is the capital of France?", { stream: true });
  const pieces = [];
  for await (const piece of result.toTextStream()) pieces.push(piece);
  await result.completed;
  return pieces;
}

export async function tools(model) {
  const get_weather = tool({
    name: "get_weather",
    description: "Get the weather of a city.",
    parameters: z.object({ city: z.string() }),
    execute: ({ city }) => `sunny in ${city}`,
  });
  const agent = new Agent({ name: "Assistant", model, tools: [get_weather] });
  return (await run(agent, "How is the weather in Paris?")).finalOutput;
}

export async function turns(model) {
  const agent = new Agent({ name: "Assistant", model });
  const { history } = await run(agent, "What is the capital of France?");
  return (await run(agent, [...history, { role: "user", content: "And of Italy?" }])).finalOutput;
}

export async function structured(model) {
  const outputType = z.object({ name: z.string(), country: z.string() });
  return (await run(new Agent({ name: "Assistant", model, outputType }), "The capital of France?")).finalOutput;
}
