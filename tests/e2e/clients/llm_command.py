"""A command line. `--responses` has it call Responses."""

import json
from typing import Any

from tests.e2e.clients.shell import shell, shell_pieces

COMMAND = 'llm openai endpoint $OPENAI_BASE_URL --key $OPENAI_API_KEY -m $MODEL --no-stream "Hello"'
WEATHER = """
def get_weather(city: str):
    return "sunny in " + city
"""


def models() -> list[str]:
    listed = shell("llm openai endpoint $OPENAI_BASE_URL --key $OPENAI_API_KEY --models")
    return listed.splitlines()


def chat(model: str) -> str:
    return shell(COMMAND, model)


def stream(model: str) -> list[str]:
    command = 'llm openai endpoint $OPENAI_BASE_URL --key $OPENAI_API_KEY -m $MODEL "Hello"'
    return list(shell_pieces(command, model))


def tools(model: str) -> str:
    endpoint = "llm openai endpoint $OPENAI_BASE_URL --key $OPENAI_API_KEY -m $MODEL"
    return shell(f"{endpoint} --functions '{WEATHER}' 'How is the weather in Paris?'", model)


def structured(model: str) -> Any:
    endpoint = "llm openai endpoint $OPENAI_BASE_URL --key $OPENAI_API_KEY -m $MODEL"
    return json.loads(shell(f"{endpoint} --schema 'name, country' 'The capital of France?'", model))
