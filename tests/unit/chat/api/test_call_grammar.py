"""A forced call as a schema: which calls it allows."""

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from functions.chat.api import chat_schema
from functions.chat.api.chat_completions import engine_request
from functions.chat.engines.engine import joined
from functions.chat.streams.chat import ChatReply, ChatStream
from functions.chat.streams.grammar_call import GrammarCalls
from tests.unit.chat.fakes import USER, model, settings

TREE = {
    "type": "object",
    "properties": {"root": {"$ref": "#/$defs/Node"}, "$ref": {"type": "string"}},
    "required": ["root"],
    "$defs": {"Node": {"type": "object", "properties": {"next": {"anyOf": [{"$ref": "#/$defs/Node"}]}}}},
}
TOOLS = [
    {"type": "function", "function": {"name": "tree", "parameters": TREE}},
    {"type": "function", "function": {"name": "noop"}},
]


def sent(**fields: Any) -> tuple[dict[str, Any], Any]:
    body = {"model": "tiny", "messages": [USER], "tools": TOOLS, **fields}
    tiny = model(engine="llama.cpp")
    request = engine_request(body, chat_schema.check(body), tiny, settings(tiny), "abc")
    return json.loads(joined(request.body)), request.reader()


def validator(choice: Any) -> Draft202012Validator:
    schema = sent(tool_choice=choice)[0]["json_schema"]
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


NODE: dict[str, Any] = {"next": {"next": {}}}


@pytest.mark.parametrize(
    ("call", "required", "named"),
    [
        ({"name": "tree", "arguments": {"root": NODE}}, True, True),
        ({"name": "noop", "arguments": {"x": 1}}, True, False),
        ({"name": "tree", "arguments": {}}, False, False),
        ({"name": "tree", "arguments": {"root": {"next": 1}}}, False, False),
        ({"name": "other", "arguments": {}}, False, False),
        ({"name": "noop"}, False, False),
        ({"name": "noop", "arguments": {}, "x": 1}, False, False),
    ],
    ids=str,
)
def test_the_schema_allows_the_calls_that_the_choice_does(call: Any, required: bool, named: bool) -> None:
    assert validator("required").is_valid(call) is required
    assert validator({"type": "function", "function": {"name": "tree"}}).is_valid(call) is named


def test_the_schema_takes_the_place_of_what_the_engine_does_not_hold() -> None:
    body, _ = sent(tool_choice="required", parallel_tool_calls=False, response_format={"type": "json_object"})
    assert not body.keys() & {"tool_choice", "parallel_tool_calls", "response_format"}
    assert body["tools"] == TOOLS


@pytest.mark.parametrize(("stream", "plain"), [(False, ChatReply), (True, ChatStream)])
def test_only_a_forced_call_is_read_from_text(stream: bool, plain: type) -> None:
    assert isinstance(sent(tool_choice="required", stream=stream)[1], GrammarCalls)
    assert isinstance(sent(tool_choice="auto", stream=stream)[1], plain)
    body = sent(tool_choice="auto")[0]
    assert body["tool_choice"] == "auto"
    assert "json_schema" not in body
