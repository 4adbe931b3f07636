"""`openai:` is Responses, `openai-chat:` is Chat Completions; both work."""

from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent


class City(BaseModel):
    name: str
    country: str


def chat(model: str) -> str:
    agent = Agent(f"openai:{model}")
    return agent.run_sync("What is the capital of France?").output


async def stream(model: str) -> list[str]:
    async with Agent(f"openai:{model}").run_stream("What is the capital of France?") as result:
        return [piece async for piece in result.stream_text(delta=True, debounce_by=None)]


def tools(model: str) -> str:
    agent = Agent(f"openai:{model}")

    @agent.tool_plain
    def get_weather(city: str) -> str:
        return f"sunny in {city}"

    return agent.run_sync("How is the weather in Paris?").output


def turns(model: str) -> str:
    agent = Agent(f"openai:{model}")
    messages = agent.run_sync("What is the capital of France?").all_messages()
    return agent.run_sync("And of Italy?", message_history=messages).output


def structured(model: str) -> Any:
    agent = Agent(f"openai:{model}", output_type=City)
    return agent.run_sync("The capital of France?").output.model_dump()
