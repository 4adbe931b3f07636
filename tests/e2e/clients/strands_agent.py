"""The Agents SDK of AWS."""

from typing import Any

from pydantic import BaseModel
from strands import Agent, tool
from strands.models.openai import OpenAIModel


class City(BaseModel):
    """A city."""

    name: str
    country: str


@tool
def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"sunny in {city}"


def chat(model: str) -> str:
    agent = Agent(model=OpenAIModel(model_id=model), callback_handler=None)
    return str(agent("What is the capital of France?")).strip()


async def stream(model: str) -> list[str]:
    agent = Agent(model=OpenAIModel(model_id=model), callback_handler=None)
    return [event["data"] async for event in agent.stream_async("The capital of France?") if "data" in event]


def tools(model: str) -> str:
    agent = Agent(model=OpenAIModel(model_id=model), tools=[get_weather], callback_handler=None)
    return str(agent("How is the weather in Paris?")).strip()


def turns(model: str) -> str:
    agent = Agent(model=OpenAIModel(model_id=model), callback_handler=None)
    agent("What is the capital of France?")
    return str(agent("And of Italy?")).strip()


def structured(model: str) -> Any:
    agent = Agent(model=OpenAIModel(model_id=model), callback_handler=None)
    city: Any = agent("The capital of France?", structured_output_model=City).structured_output
    return city.model_dump()
