"""Evaluations. It repeats failed calls without end, unless `max_retries` (`--max-retries`) is set."""

import asyncio
import json
from typing import Any

from inspect_ai.model import GenerateConfig, ResponseSchema, get_model
from inspect_ai.tool import Tool, tool
from inspect_ai.util import json_schema
from pydantic import BaseModel


class City(BaseModel):
    name: str
    country: str


@tool
def get_weather() -> Tool:
    async def execute(city: str) -> str:
        """Get the weather of a city.

        Args:
            city: its name
        """
        return f"sunny in {city}"

    return execute


def chat(model: str) -> str:
    config = GenerateConfig(max_retries=1)
    question = get_model(f"openai/{model}", config=config).generate("What is the capital of France?")
    return asyncio.run(question).completion


async def tools(model: str) -> str:
    _, reply = await get_model(f"openai/{model}").generate_loop(
        "How is the weather in Paris?", [get_weather()]
    )
    return reply.completion


async def structured(model: str) -> Any:
    schema = ResponseSchema(name="city", json_schema=json_schema(City))
    config = GenerateConfig(response_schema=schema)
    reply = await get_model(f"openai/{model}", config=config).generate("The capital of France?")
    return json.loads(reply.completion)
