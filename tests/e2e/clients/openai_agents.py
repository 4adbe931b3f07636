"""Tracing is off: it would send each run to OpenAI."""

from typing import Any

from agents import Agent, Runner, function_tool, set_tracing_disabled
from pydantic import BaseModel

set_tracing_disabled(True)


class City(BaseModel):
    name: str
    country: str


@function_tool
def get_weather(city: str) -> str:
    """Get the weather of a city."""
    return f"sunny in {city}"


def chat(model: str) -> str:
    agent = Agent(name="Assistant", model=model)
    return Runner.run_sync(agent, "What is the capital of France?").final_output


async def stream(model: str) -> list[str]:
    agent = Agent(name="Assistant", model=model)
    run = Runner.run_streamed(agent, "What is the capital of France?")
    events = [event.data async for event in run.stream_events() if event.type == "raw_response_event"]
    return [event.delta for event in events if event.type == "response.output_text.delta"]


def tools(model: str) -> str:
    agent = Agent(name="Assistant", model=model, tools=[get_weather])
    return Runner.run_sync(agent, "How is the weather in Paris?").final_output


def turns(model: str) -> str:
    agent = Agent(name="Assistant", model=model)
    items = Runner.run_sync(agent, "What is the capital of France?").to_input_list()
    items.append({"role": "user", "content": "And of Italy?"})
    return Runner.run_sync(agent, items).final_output


def structured(model: str) -> Any:
    agent = Agent(name="Assistant", model=model, output_type=City)
    return Runner.run_sync(agent, "The capital of France?").final_output.model_dump()
