"""The prefix `openai/` is Responses, unless it ends in `:completions`."""

from typing import Any

from mirascope import llm
from pydantic import BaseModel


class City(BaseModel):
    name: str
    country: str


@llm.tool
def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"sunny in {city}"


def chat(model: str) -> str:
    return llm.model(f"openai/{model}").call("What is the capital of France?").text()


def stream(model: str) -> list[str]:
    return list(llm.model(f"openai/{model}").stream("What is the capital of France?").text_stream())


def tools(model: str) -> str:
    reply = llm.model(f"openai/{model}").call("How is the weather in Paris?", tools=[get_weather])
    while reply.tool_calls:
        reply = reply.resume(reply.execute_tools())
    return reply.text()


def turns(model: str) -> str:
    reply = llm.model(f"openai/{model}").call("What is the capital of France?")
    return reply.resume("And of Italy?").text()


def structured(model: str) -> Any:
    return llm.model(f"openai/{model}").call("The capital of France?", format=City).parse().model_dump()
