"""A proxy in front of many providers. Its clients call `http://localhost:4000` with the key that you choose
for them in LITELLM_MASTER_KEY. Without `supports_native_streaming`, it waits for the whole of a response and
cuts it up."""

import atexit
import os
import subprocess
import tempfile
import time
from contextlib import suppress
from random import randrange
from secrets import token_urlsafe
from typing import Any

import httpx
from openai import OpenAI
from pydantic import BaseModel

from tests.e2e.clients.engine import FAILURES, STREAM_FAILURES, WRONG_MODEL
from tests.e2e.clients.table import SCENARIOS

COMMAND = """cat > config.yaml <<END
model_list:
  - model_name: $MODEL
    litellm_params:
      model: openai/$MODEL
      api_base: os.environ/OPENAI_BASE_URL
      api_key: os.environ/OPENAI_API_KEY
    model_info: {supports_native_streaming: true}
END
litellm --config config.yaml --host 127.0.0.1"""
KEY = f"sk-{token_urlsafe()}"
READY_S = 60


class City(BaseModel):
    name: str
    country: str


def started() -> str:
    """Start the proxy; return its address."""
    # It takes seconds to open its port: one that no system gives to others meanwhile.
    port = randrange(20_000, 30_000)
    listed = COMMAND[COMMAND.index("  - ") : COMMAND.rindex("END\n")]
    names = (*SCENARIOS, *FAILURES, *STREAM_FAILURES, WRONG_MODEL)
    models = "".join(listed.replace("$MODEL", name) for name in names)
    command = COMMAND.replace(listed, models).replace("\nlitellm", "\nexec litellm")
    process = subprocess.Popen(
        ("sh", "-c", f"{command} --port {port}"),
        env={**os.environ, "LITELLM_MASTER_KEY": KEY},
        cwd=tempfile.mkdtemp(),
        stdout=2,
        stderr=2,
    )
    atexit.register(process.kill)
    url, last_s = f"http://127.0.0.1:{port}", time.monotonic() + READY_S
    while process.poll() is None and time.monotonic() < last_s:
        with suppress(httpx.TransportError):
            httpx.get(f"{url}/health/liveliness", trust_env=False).raise_for_status()
            return url
        time.sleep(0.2)
    raise TimeoutError(f"expected the proxy within {READY_S} s")


URL = started()


def completions_of(model: str, **fields: Any) -> Any:
    client = OpenAI(base_url=f"{URL}/v1", api_key=KEY)
    return client.chat.completions.create(model=model, **fields)


def chat(model: str) -> str:
    question = {"role": "user", "content": "What is the capital of France?"}
    return completions_of(model, messages=[question]).choices[0].message.content


def stream(model: str) -> list[str]:
    question = {"role": "user", "content": "What is the capital of France?"}
    chunks = completions_of(model, messages=[question], stream=True)
    return [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]


def tools(model: str) -> str:
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    weather = {"type": "function", "function": {"name": "get_weather", "parameters": city}}
    messages: list[Any] = [{"role": "user", "content": "How is the weather in Paris?"}]
    messages.append(completions_of(model, messages=messages, tools=[weather]).choices[0].message)
    (call,) = messages[-1].tool_calls
    messages.append({"role": "tool", "tool_call_id": call.id, "content": "sunny in Paris"})
    return completions_of(model, messages=messages, tools=[weather]).choices[0].message.content


def structured(model: str) -> Any:
    client = OpenAI(base_url=f"{URL}/v1", api_key=KEY)
    question: Any = {"role": "user", "content": "What is the capital of France?"}
    reply = client.chat.completions.parse(model=model, messages=[question], response_format=City)
    assert reply.choices[0].message.parsed
    return reply.choices[0].message.parsed.model_dump()


def completions(model: str) -> str:
    client = OpenAI(base_url=f"{URL}/v1", api_key=KEY)
    return client.completions.create(model=model, prompt="The capital of France is").choices[0].text


def embeddings(model: str) -> list[list[float]]:
    client = OpenAI(base_url=f"{URL}/v1", api_key=KEY)
    return [each.embedding for each in client.embeddings.create(model=model, input=["Paris", "Rome"]).data]
