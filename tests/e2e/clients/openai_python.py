"""The official package: responses, as its own documentation does; `chat.completions` works as well."""

import json
from typing import Any

from openai import OpenAI
from pydantic import BaseModel


class City(BaseModel):
    name: str
    country: str


def models() -> list[str]:
    return [model.id for model in OpenAI().models.list()]


def chat(model: str) -> str:
    client = OpenAI()
    return client.responses.create(model=model, input="What is the capital of France?").output_text


def stream(model: str) -> list[str]:
    events = OpenAI().responses.create(model=model, input="What is the capital of France?", stream=True)
    return [event.delta for event in events if event.type == "response.output_text.delta"]


def tools(model: str) -> str:
    client = OpenAI()
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    weather: Any = {"type": "function", "name": "get_weather", "parameters": city, "strict": False}
    items: Any = [{"role": "user", "content": "How is the weather in Paris?"}]
    response = client.responses.create(model=model, input=items, tools=[weather])
    items += response.output
    for call in (item for item in response.output if item.type == "function_call"):
        result = f"sunny in {json.loads(call.arguments)['city']}"
        items.append({"type": "function_call_output", "call_id": call.call_id, "output": result})
    return client.responses.create(model=model, input=items, tools=[weather]).output_text


def turns(model: str) -> str:
    client = OpenAI()
    items: Any = [{"role": "user", "content": "What is the capital of France?"}]
    items += client.responses.create(model=model, input=items).output
    items.append({"role": "user", "content": "And of Italy?"})
    return client.responses.create(model=model, input=items).output_text


def structured(model: str) -> Any:
    response = OpenAI().responses.parse(model=model, input="The capital of France?", text_format=City)
    assert response.output_parsed
    return response.output_parsed.model_dump()


def completions(model: str) -> str:
    return OpenAI().completions.create(model=model, prompt="The capital of France is").choices[0].text


def embeddings(model: str) -> list[list[float]]:
    reply = OpenAI().embeddings.create(model=model, input=["Paris", "Rome"])
    return [each.embedding for each in reply.data]
