// It tries a request again six times, for minutes, without a `maxRetries`. `useResponsesApi: true` has it call Responses.
import { HumanMessage } from "@langchain/core/messages";
import { tool } from "@langchain/core/tools";
import { ChatOpenAI, OpenAI, OpenAIEmbeddings } from "@langchain/openai";
import { z } from "zod";

export async function chat(model) {
  const llm = new ChatOpenAI({ model, maxRetries: 2 });
  return (await llm.invoke("What is the capital of France?")).text;
}

export async function stream(model) {
  const pieces = [];
  const llm = new ChatOpenAI({ model, maxRetries: 2 });
  for await (const piece of await llm.stream("What is the capital of France?")) pieces.push(piece.text);
  return pieces;
}

export async function tools(model) {
  const get_weather = tool(({ city }) => `sunny in ${city}`, {
    name: "get_weather",
    description: "Get the weather of a city.",
    schema: z.object({ city: z.string() }),
  });
  const llm = new ChatOpenAI({ model, maxRetries: 2 }).bindTools([get_weather]);
  const messages = [new HumanMessage("How is the weather in Paris?")];
  const reply = await llm.invoke(messages);
  messages.push(reply);
  for (const call of reply.tool_calls) messages.push(await get_weather.invoke(call));
  return (await llm.invoke(messages)).text;
}

export async function turns(model) {
  const llm = new ChatOpenAI({ model });
  const messages = [new HumanMessage("What is the capital of France?")];
  messages.push(await llm.invoke(messages), new HumanMessage("And of Italy?"));
  return (await llm.invoke(messages)).text;
}

export async function structured(model) {
  const city = z.object({ name: z.string(), country: z.string() });
  return new ChatOpenAI({ model, maxRetries: 2 }).withStructuredOutput(city).invoke("The capital of France?");
}

export async function completions(model) {
  return new OpenAI({ model }).invoke("The capital of France is");
}

export async function embeddings(model) {
  return new OpenAIEmbeddings({ model }).embedDocuments(["Paris", "Rome"]);
}
