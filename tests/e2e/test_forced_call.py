"""A forced tool call, by the local llama.cpp, whose model knows no tools."""

import json
from typing import Any

import pytest

from tests.engines import schema
from tests.local_service import Service

TOOL = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"place": {"$ref": "#/$defs/Place"}},
            "required": ["place"],
            "additionalProperties": False,
            "$defs": {
                "Place": {
                    "type": "object",
                    "properties": {"city": {"type": "string", "maxLength": 12}},
                    "required": ["city"],
                    "additionalProperties": False,
                }
            },
        },
    },
}
BODY = {
    "model": "default",
    "messages": [{"role": "user", "content": "What is the weather in Paris?"}],
    "max_tokens": 200,
    "temperature": 0,
    "tools": [TOOL],
}


def check(called: dict[str, Any]) -> None:
    assert called["name"] == "get_weather"
    assert isinstance(json.loads(called["arguments"])["place"]["city"], str)


@pytest.mark.parametrize(
    "choice", ["required", {"type": "function", "function": {"name": "get_weather"}}], ids=str
)
def test_the_reply_is_the_call(service: Service, choice: Any) -> None:
    with service.client() as client:
        whole = client.post("/v1/chat/completions", json={**BODY, "tool_choice": choice})
        stream = client.post("/v1/chat/completions", json={**BODY, "tool_choice": choice, "stream": True})
    (only,) = schema.validate_completion(whole.json())["choices"]
    assert only["finish_reason"] == "tool_calls"
    check(only["message"]["tool_calls"][0]["function"])
    checked = schema.check_stream(stream.content)
    assert checked.finish_reason() == "tool_calls"
    check(checked.choices()[0]["delta"]["tool_calls"][0]["function"])


def test_a_schema_that_is_none_is_refused_before_it_runs(service: Service) -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "number of things"}}}
    with service.client() as client:
        reply = client.post("/v1/chat/completions", json={**BODY, "tools": [tool], "tool_choice": "required"})
    assert reply.status_code == 400
    schema.validate_error(reply.json())
