"""The prefix `openai/` is any server of OpenAI's API."""

from typing import Any

import litellm
from pydantic import BaseModel


class City(BaseModel):
    name: str
    country: str


def chat(model: str) -> str:
    question = {"role": "user", "content": "What is the capital of France?"}
    return litellm.completion(f"openai/{model}", [question]).choices[0].message.content


def stream(model: str) -> list[str]:
    question = {"role": "user", "content": "What is the capital of France?"}
    chunks = litellm.completion(f"openai/{model}", [question], stream=True)
    return [chunk.choices[0].delta.content or "" for chunk in chunks]


def tools(model: str) -> str:
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    weather = {"type": "function", "function": {"name": "get_weather", "parameters": city}}
    messages: list[Any] = [{"role": "user", "content": "How is the weather in Paris?"}]
    messages.append(litellm.completion(f"openai/{model}", messages, tools=[weather]).choices[0].message)
    (tool_call,) = messages[-1].tool_calls
    messages.append({"role": "tool", "tool_call_id": tool_call.id, "content": "sunny in Paris"})
    return litellm.completion(f"openai/{model}", messages, tools=[weather]).choices[0].message.content


def turns(model: str) -> str:
    messages: list[Any] = [{"role": "user", "content": "What is the capital of France?"}]
    messages.append(litellm.completion(f"openai/{model}", messages).choices[0].message)
    messages.append({"role": "user", "content": "And of Italy?"})
    return litellm.completion(f"openai/{model}", messages).choices[0].message.content


def structured(model: str) -> Any:
    question = {"role": "user", "content": "The capital of France?"}
    reply = litellm.completion(f"openai/{model}", [question], response_format=City)
    return City.model_validate_json(reply.choices[0].message.content).model_dump()


def completions(model: str) -> str:
    reply = litellm.text_completion("The capital of France is", f"openai/{model}")
    return reply.choices[0].text


def embeddings(model: str) -> list[list[float]]:
    reply = litellm.embedding(f"openai/{model}", ["Paris", "Rome"])
    return [each["embedding"] for each in reply.data]
