"""The proxy serves Anthropic's `/v1/messages` as well, and calls Responses here for it."""

import json
from typing import Any

import httpx

from tests.e2e.clients.litellm_proxy import KEY, URL

COMMAND = """curl http://localhost:4000/v1/messages \\
  -H "x-api-key: $LITELLM_MASTER_KEY" -H "content-type: application/json" \\
  -d '{"model": "default", "max_tokens": 100, "messages": [{"role": "user", "content": "Hello"}]}'"""


class ProxyError(Exception):
    """A status of the proxy, or an event of the type `error`."""


def events(model: str, **fields: Any) -> list[dict[str, Any]]:
    """Return the events of a streamed message, or the message."""
    body = {"model": model, "max_tokens": 100, **fields}
    headers = {"x-api-key": KEY}
    reply = httpx.post(f"{URL}/v1/messages", json=body, headers=headers, timeout=30, trust_env=False)
    if reply.is_error:
        raise ProxyError(reply.text)
    if not fields.get("stream"):
        return [reply.json()]
    data = [json.loads(line[5:]) for line in reply.text.splitlines() if line.startswith("data:")]
    for event in data:
        if event.get("type") == "error" or "error" in event:
            raise ProxyError(json.dumps(event))
    return data


def chat(model: str) -> str:
    (message,) = events(model, messages=[{"role": "user", "content": "What is the capital of France?"}])
    return "".join(part["text"] for part in message["content"])


def stream(model: str) -> list[str]:
    question = {"role": "user", "content": "What is the capital of France?"}
    received = events(model, messages=[question], stream=True)
    return [event["delta"]["text"] for event in received if event["type"] == "content_block_delta"]


def tools(model: str) -> str:
    city = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    weather = {"name": "get_weather", "input_schema": city}
    messages: list[Any] = [{"role": "user", "content": "How is the weather in Paris?"}]
    (message,) = events(model, messages=messages, tools=[weather])
    used = next(part for part in message["content"] if part["type"] == "tool_use")
    text = f"sunny in {used['input']['city']}"
    result = {"type": "tool_result", "tool_use_id": used["id"], "content": text}
    messages += [{"role": "assistant", "content": message["content"]}, {"role": "user", "content": [result]}]
    (message,) = events(model, messages=messages, tools=[weather])
    return "".join(part["text"] for part in message["content"])
