"""Chat completion requests: what is accepted, and the error for each fault."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.chat.api import chat_schema
from functions.chat.api.chat_schema import CHAT_COMPLETION_REQUEST
from functions.chat.errors import InvalidRequest
from tests.engines import schema
from tests.engines.recordings import ROOT, Recording, distinct, recordings

USER = {"role": "user", "content": "Hi"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "tiny", "messages": [USER], **fields}


def with_messages(*messages: Any) -> dict[str, Any]:
    return body(messages=list(messages))


def refused(fields: dict[str, Any]) -> tuple[str | None, str | None, str]:
    with pytest.raises(InvalidRequest) as raised:
        chat_schema.check(fields)
    schema.validate_error(raised.value.body())
    return raised.value.param, raised.value.code, raised.value.message


GOOD: list[dict[str, Any]] = [
    body(),
    body(model="default", max_tokens=0, temperature=0.7, top_p=1, n=1, stream=False),
    body(temperature=2, top_p=0, presence_penalty=-2, frequency_penalty=2.0),
    body(max_tokens=1, max_completion_tokens=1, n=128, seed=-(2**63)),
    body(seed=2**63 - 1, user="u", store=True, safety_identifier="x" * 64),
    body(stream=True, stream_options={"include_usage": True, "include_obfuscation": False}),
    body(stream=True, stream_options={}),
    body(stop="a"),
    body(stop=["a", "b", "c", "d"]),
    body(logprobs=True, top_logprobs=20),
    body(logit_bias={"50256": -100, "1": 100}),
    body(metadata={"k" * 64: "v" * 512}),
    body(response_format={"type": "text"}),
    body(response_format={"type": "json_object"}),
    body(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {}}}),
    body(tools=[TOOL], tool_choice="auto", parallel_tool_calls=False),
    body(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "f"}}),
    body(tools=[TOOL], tool_choice={"type": "allowed_tools", "allowed_tools": {}}),
    body(tools=[{"type": "custom", "custom": {"name": "c"}}]),
    body(reasoning_effort="xhigh", verbosity="low", service_tier="auto"),
    body(top_k=5, min_p=0.1, chat_template_kwargs={}, anything=[None]),
    with_messages(
        {"role": "system", "content": "s"}, {"role": "developer", "content": "d", "name": "x"}, USER
    ),
    with_messages({"role": "user", "content": [{"type": "text", "text": "a"}]}),
    with_messages(
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:", "detail": "low"}}]}
    ),
    with_messages({"role": "user", "content": [AUDIO]}),
    with_messages({"role": "user", "content": [{"type": "file", "file": {}}]}),
    with_messages(USER, {"role": "assistant", "content": None, "tool_calls": [CALL]}),
    with_messages(USER, {"role": "assistant", "tool_calls": [{"id": "c", "type": "custom", "custom": {}}]}),
    with_messages(USER, {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}),
    with_messages(USER, {"role": "assistant", "refusal": "no"}),
    with_messages(USER, {"role": "tool", "content": "x", "tool_call_id": "c"}),
    with_messages(USER, {"role": "function", "content": None, "name": "f"}),
]


@pytest.mark.parametrize("fields", GOOD, ids=lambda fields: json.dumps(fields)[:80])
def test_accepts(fields: dict[str, Any]) -> None:
    chat_schema.check(fields)


def has_request(recorded: Recording) -> bool:
    return (ROOT / recorded.engine / f"{recorded.case}.request.json").exists()


RECORDED = [each for each in recordings("*/chat_*") + recordings("*/stream_*") if has_request(each)]


@pytest.mark.parametrize("recorded", distinct(RECORDED, lambda each: each.request_shape), ids=str)
def test_accepts_what_was_sent_to_the_recorded_engines(recorded: Recording) -> None:
    chat_schema.check(recorded.request["body"])


OPTIONAL = [name for name in CHAT_COMPLETION_REQUEST.members if name not in ("model", "messages")]


def test_every_optional_field_may_be_null() -> None:
    chat_schema.check(body(**dict.fromkeys(OPTIONAL)))


NESTED: dict[str, Any] = {"a": None, "b": [None, {}], "type": None}
CALLS = {"role": "assistant", "tool_calls": [CALL]}
NAMED = {"type": "function", "function": {"name": "f"}}
EMPTY = {"role": "assistant", "content": ""}
# What a body holds → what may be sent on of it.
KEPT: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (body(anything=[None], n=None), body()),
    (body(stop=[], functions=[], metadata={}, logit_bias={}, modalities=[]), body()),
    (body(tools=[]), body()),
    (body(tools=[], tool_choice=None), body()),
    (body(tools=[], tool_choice="auto", parallel_tool_calls=True), body()),
    (body(tools=[], tool_choice="none"), body()),
    (body(tool_choice="auto", parallel_tool_calls=False), body()),
    (body(tools=None, tool_choice="none"), body()),
    (body(stop=""), body()),
    (body(stop=[""]), body()),
    (body(stop=["a", ""]), body(stop=["a"])),
    (body(top_logprobs=0, logprobs=False), body(logprobs=False)),
    (body(stream_options={}), body()),
    (body(stream=False, stream_options={"include_usage": False, "x": 1}), body(stream=False)),
    (body(parallel_tool_calls=False), body()),
    (
        body(stream=True, stream_options={"include_usage": None, "x": 1}),
        body(stream=True, stream_options={}),
    ),
    (
        body(tools=[{**TOOL, "cache_control": {"type": "ephemeral"}, "defer_loading": None}]),
        body(tools=[TOOL]),
    ),
    (
        body(tools=[{"type": "function", "function": {"name": "f", "description": None, "strict": None}}]),
        body(tools=[{"type": "function", "function": {"name": "f"}}]),
    ),
    (
        body(tools=[{"type": "function", "function": {"name": "f", "parameters": NESTED, "x": 1}}]),
        body(tools=[{"type": "function", "function": {"name": "f", "parameters": NESTED}}]),
    ),
    (
        body(tools=[TOOL], tool_choice={**NAMED, "function": {"name": "f", "x": None}, "x": 1}),
        body(tools=[TOOL], tool_choice=NAMED),
    ),
    (
        body(
            response_format={
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": NESTED, "strict": None, "description": None, "x": 1},
            }
        ),
        body(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": NESTED}}),
    ),
    (
        body(response_format={"type": "json_object", "schema": NESTED}),
        body(response_format={"type": "json_schema", "json_schema": {"name": "response", "schema": NESTED}}),
    ),
    (
        body(response_format={"type": "json_object", "schema": {}, "json_schema": None}),
        body(response_format={"type": "json_object"}),
    ),
    (body(metadata={"a": "b"}), body(metadata={"a": "b"})),
    (with_messages({**USER, "name": None, "cache_control": {}, "tools": [TOOL]}), body()),
    (
        with_messages({"role": "user", "content": [{"type": "text", "text": "Hi", "uuid": "1"}]}),
        with_messages({"role": "user", "content": [{"type": "text", "text": "Hi"}]}),
    ),
    (
        with_messages(
            {
                "role": "user",
                "content": [{"type": "text", "text": "Hi", "video_url": {"url": "http://169.254.169.254/"}}],
            }
        ),
        with_messages({"role": "user", "content": [{"type": "text", "text": "Hi"}]}),
    ),
    (
        with_messages(
            {
                "role": "user",
                "content": [
                    {
                        "type": "image_url",
                        "image_url": {"url": "data:", "detail": None, "content_hash": "x"},
                        "uuid": None,
                    }
                ],
            }
        ),
        with_messages({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}),
    ),
    (
        with_messages(
            {
                "role": "assistant",
                "content": "Hi",
                "tool_calls": [],
                "refusal": None,
                "audio": None,
                "function_call": None,
                "annotations": [{"type": "url_citation"}],
                "reasoning": None,
                "reasoning_content": None,
                "reasoning_details": [],
                "tool_call_id": None,
                "provider_specific_fields": {"a": 1},
            }
        ),
        with_messages({"role": "assistant", "content": "Hi"}),
    ),
    (
        with_messages({**CALLS, "content": None, "tool_calls": [{**CALL, "index": 0, "x": None}]}),
        with_messages(CALLS),
    ),
    (
        with_messages({"role": "assistant", "audio": {"id": "a", "data": "A", "transcript": "t"}}),
        with_messages({"role": "assistant", "audio": {"id": "a"}}),
    ),
    (
        with_messages({"role": "assistant", "content": None, "reasoning_content": "Let me think"}),
        with_messages({"role": "assistant", "reasoning_content": "Let me think"}),
    ),
    (
        with_messages({"role": "assistant", "content": ""}),
        with_messages({"role": "assistant", "content": ""}),
    ),
    (
        with_messages({"role": "assistant", "content": None, "tool_calls": None}),
        with_messages({"role": "assistant"}),
    ),
    (with_messages({"role": "assistant", "content": []}), with_messages({"role": "assistant"})),
    (
        with_messages({"role": "assistant", "tool_calls": [{"id": "c", "function": CALL["function"]}]}),
        with_messages(CALLS),
    ),
    (with_messages({**CALLS, "tool_calls": [{**CALL, "type": None}]}), with_messages(CALLS)),
    (
        with_messages({**CALLS, "tool_calls": [{**CALL, "function": {"name": "f", "arguments": None}}]}),
        with_messages({**CALLS, "tool_calls": [{**CALL, "function": {"name": "f"}}]}),
    ),
    (
        with_messages({"role": "user", "content": [{"type": "image_url", "image_url": "data:"}]}),
        with_messages({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}),
    ),
    (
        with_messages({"role": "tool", "content": None, "tool_call_id": "c", "name": None}),
        with_messages({"role": "tool", "tool_call_id": "c"}),
    ),
    (
        with_messages({"role": "tool", "content": [], "tool_call_id": "c"}),
        with_messages({"role": "tool", "tool_call_id": "c"}),
    ),
    (
        with_messages({"role": "tool", "content": "x", "tool_call_id": "c", "is_error": False}),
        with_messages({"role": "tool", "content": "x", "tool_call_id": "c"}),
    ),
]


@pytest.mark.parametrize(("fields", "kept"), KEPT, ids=lambda fields: json.dumps(fields)[60:140])
def test_nulls_and_unknown_members_are_left_out(fields: dict[str, Any], kept: dict[str, Any]) -> None:
    came = json.dumps(fields)
    assert chat_schema.check(fields).fields == kept
    assert json.dumps(fields) == came


@pytest.mark.parametrize(
    ("choice", "needs_call"),
    [
        (None, False),
        ("auto", False),
        ("none", False),
        ("required", True),
        (NAMED, True),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": [NAMED]}}, False),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": [NAMED]}}, True),
    ],
    ids=str,
)
def test_a_tool_choice_says_whether_the_reply_must_be_a_call(choice: Any, needs_call: bool) -> None:
    assert chat_schema.check(body(tools=[TOOL], tool_choice=choice)).needs_call is needs_call


STRING, INTEGER, NUMBER, BOOLEAN, OBJECT = "x", 7, 1.5, True, {"a": 1}
ARRAY: list[int] = []
KINDS: dict[str, tuple[str, list[Any]]] = {
    "model": ("a string", [INTEGER, NUMBER, BOOLEAN, ARRAY, OBJECT, None]),
    "messages": ("an array", [STRING, INTEGER, BOOLEAN, OBJECT, None]),
    "max_tokens": ("an integer", [STRING, "7", NUMBER, 1.0, BOOLEAN, ARRAY, OBJECT]),
    "max_completion_tokens": ("an integer", [STRING, "7", NUMBER, BOOLEAN, ARRAY, OBJECT]),
    "temperature": ("a number", [STRING, "1", BOOLEAN, ARRAY, OBJECT]),
    "top_p": ("a number", [STRING, "1", BOOLEAN, ARRAY, OBJECT]),
    "n": ("an integer", [STRING, NUMBER, BOOLEAN, ARRAY, OBJECT]),
    "stream": ("a boolean", [STRING, "true", INTEGER, 0, 1, NUMBER, ARRAY, OBJECT]),
    "stream_options": ("an object", [STRING, INTEGER, BOOLEAN, ARRAY]),
    "stop": ("a string or an array", [INTEGER, NUMBER, BOOLEAN]),
    "presence_penalty": ("a number", [STRING, BOOLEAN, ARRAY, OBJECT]),
    "frequency_penalty": ("a number", [STRING, BOOLEAN, ARRAY, OBJECT]),
    "logprobs": ("a boolean", [STRING, 1, ARRAY, OBJECT]),
    "top_logprobs": ("an integer", [STRING, NUMBER, BOOLEAN, ARRAY, OBJECT]),
    "logit_bias": ("an object", [STRING, INTEGER, BOOLEAN, ARRAY]),
    "seed": ("an integer", [STRING, NUMBER, BOOLEAN, ARRAY, OBJECT]),
    "response_format": ("an object", [STRING, INTEGER, BOOLEAN, ARRAY]),
    "tools": ("an array", [STRING, INTEGER, BOOLEAN, OBJECT]),
    "parallel_tool_calls": ("a boolean", [STRING, 1, ARRAY, OBJECT]),
    "user": ("a string", [INTEGER, BOOLEAN, ARRAY, OBJECT]),
    "safety_identifier": ("a string", [INTEGER, BOOLEAN, ARRAY, OBJECT]),
    "metadata": ("an object", [STRING, INTEGER, BOOLEAN, ARRAY]),
    "store": ("a boolean", [STRING, 0, ARRAY, OBJECT]),
    "prompt_cache_key": ("a string", [INTEGER, BOOLEAN, ARRAY, OBJECT]),
    "prompt_cache_retention": ("a string", [INTEGER, BOOLEAN, ARRAY, OBJECT]),
    "prompt_cache_options": ("an object", [STRING, INTEGER, BOOLEAN, ARRAY]),
    "modalities": ("an array", [STRING, INTEGER, BOOLEAN, OBJECT]),
    "audio": ("an object", [STRING, INTEGER, BOOLEAN, ARRAY]),
    "prediction": ("an object", [STRING, INTEGER, BOOLEAN, ARRAY]),
    "web_search_options": ("an object", [STRING, INTEGER, BOOLEAN, ARRAY]),
    "moderation": ("an object", [STRING, INTEGER, BOOLEAN, ARRAY]),
    "functions": ("an array", [STRING, INTEGER, BOOLEAN, OBJECT]),
}
GOT = {str: "a string", int: "an integer", float: "a number", bool: "a boolean", list: "an array"}


@pytest.mark.parametrize("name", KINDS)
def test_a_wrong_type_is_reported_with_both_types(name: str) -> None:
    expected, values = KINDS[name]
    for value in values:
        param, code, message = refused(body(**{name: value}))
        got = "null" if value is None else GOT.get(type(value), "an object")
        assert (param, code) == (name, "invalid_type")
        assert message == f"Invalid type for '{name}': expected {expected}, but got {got} instead."


def test_every_field_with_a_type_of_its_own_is_in_the_table() -> None:
    others = {"tool_choice", "reasoning_effort", "verbosity", "service_tier", "function_call"}
    assert KINDS.keys() | others == CHAT_COMPLETION_REQUEST.members.keys()


MISSING, TYPE, VALUE = "missing_required_parameter", "invalid_type", "invalid_value"
FAULTS: list[tuple[dict[str, Any], str, str | None]] = [
    ({}, "model", MISSING),
    ({"model": "tiny"}, "messages", MISSING),
    (body(model=""), "model", "empty_string"),
    (body(messages=[]), "messages", "empty_array"),
    (body(max_tokens=-1), "max_tokens", "integer_below_min_value"),
    (body(max_completion_tokens=0), "max_completion_tokens", "integer_below_min_value"),
    (body(temperature=200), "temperature", "decimal_above_max_value"),
    (body(temperature=2.0001), "temperature", "decimal_above_max_value"),
    (body(temperature=-0.1), "temperature", "decimal_below_min_value"),
    (body(temperature=float("inf")), "temperature", TYPE),
    (body(temperature=10**400), "temperature", "decimal_above_max_value"),
    (body(top_p=1.1), "top_p", "decimal_above_max_value"),
    (body(top_p=-1), "top_p", "decimal_below_min_value"),
    (body(n=0), "n", "integer_below_min_value"),
    (body(n=129), "n", "integer_above_max_value"),
    (body(n=10**100), "n", "integer_above_max_value"),
    (body(seed=2**63), "seed", "integer_above_max_value"),
    (body(seed=-(2**63) - 1), "seed", "integer_below_min_value"),
    (body(presence_penalty=3), "presence_penalty", "decimal_above_max_value"),
    (body(frequency_penalty=-3), "frequency_penalty", "decimal_below_min_value"),
    (body(top_logprobs=21, logprobs=True), "top_logprobs", "integer_above_max_value"),
    (body(top_logprobs=-1, logprobs=True), "top_logprobs", "integer_below_min_value"),
    (body(top_logprobs=1), "top_logprobs", None),
    (body(stream=False, stream_options={"include_usage": True}), "stream_options", None),
    (body(stream=True, stream_options={"include_usage": "yes"}), "stream_options.include_usage", TYPE),
    (body(stop=list("abcde")), "stop", "array_above_max_length"),
    (body(stop=["a", 1]), "stop[1]", TYPE),
    (body(stop={"a": 1}), "stop", TYPE),
    (body(logit_bias={"5": 101}), "logit_bias.5", "integer_above_max_value"),
    (body(logit_bias={"5": "x"}), "logit_bias.5", TYPE),
    (body(safety_identifier="x" * 65), "safety_identifier", "string_above_max_length"),
    (body(metadata={"a": 1}), "metadata.a", TYPE),
    (body(metadata={"a": "v" * 513}), "metadata.a", "string_above_max_length"),
    (body(metadata={"k" * 65: "v"}), f"metadata.{'k' * 65}", "string_above_max_length"),
    (body(metadata={str(n): "v" for n in range(17)}), "metadata", "object_above_max_length"),
    (body(metadata={"<a>": 1}), "metadata.<a>", TYPE),
    (body(metadata={"a": "\ud800"}), "metadata.a", VALUE),
    (body(model="\ud800"), "model", VALUE),
    (body(reasoning_effort="huge"), "reasoning_effort", VALUE),
    (body(reasoning_effort=1), "reasoning_effort", VALUE),
    (body(verbosity="loud"), "verbosity", VALUE),
    (body(response_format={}), "response_format.type", MISSING),
    (body(response_format={"type": "yaml"}), "response_format.type", VALUE),
    (body(response_format={"type": 1}), "response_format.type", TYPE),
    (body(response_format={"type": "json_schema"}), "response_format.json_schema", MISSING),
    (
        body(response_format={"type": "json_schema", "json_schema": {}}),
        "response_format.json_schema.name",
        MISSING,
    ),
    (
        body(response_format={"type": "json_schema", "json_schema": {"name": "a b"}}),
        "response_format.json_schema.name",
        VALUE,
    ),
    (
        body(response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": []}}),
        "response_format.json_schema.schema",
        TYPE,
    ),
    (body(tools=[], tool_choice="required"), "tool_choice", None),
    (body(tools=[], tool_choice={"type": "function", "function": {"name": "f"}}), "tool_choice", None),
    (body(tool_choice="required"), "tool_choice", None),
    (body(tools=None, tool_choice={"type": "function", "function": {"name": "f"}}), "tool_choice", None),
    (body(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "g"}}), "tool_choice", VALUE),
    (body(tools={}), "tools", TYPE),
    (body(stop={}), "stop", TYPE),
    (body(service_tier="fastest"), "service_tier", VALUE),
    (body(modalities=["video"]), "modalities[0]", VALUE),
    (body(functions=[{}]), "functions[0].name", MISSING),
    (body(function_call={}), "function_call.name", MISSING),
    (body(audio={"voice": "alloy"}), "audio.format", MISSING),
    (body(tools=["x"]), "tools[0]", TYPE),
    (body(tools=[{}]), "tools[0].type", MISSING),
    (body(tools=[{"type": "x"}]), "tools[0].type", VALUE),
    (body(tools=[{"type": "function"}]), "tools[0].function", MISSING),
    (body(tools=[{"type": "function", "function": {}}]), "tools[0].function.name", MISSING),
    (body(tools=[TOOL, {"type": "function", "function": {"name": "é"}}]), "tools[1].function.name", VALUE),
    (body(tool_choice="maybe"), "tool_choice", VALUE),
    (body(tool_choice=1), "tool_choice", VALUE),
    (body(tool_choice=[]), "tool_choice", TYPE),
    (body(tool_choice={}), "tool_choice.type", MISSING),
    (body(tool_choice={"type": "x"}), "tool_choice.type", VALUE),
    (body(tool_choice={"type": "function"}), "tool_choice.function", MISSING),
    (with_messages("Hi"), "messages[0]", TYPE),
    (with_messages(None), "messages[0]", TYPE),
    (with_messages({}), "messages[0].role", MISSING),
    (with_messages({"content": "Hi"}), "messages[0].role", MISSING),
    (with_messages({"role": None}), "messages[0].role", TYPE),
    (with_messages({"role": 1}), "messages[0].role", TYPE),
    (with_messages({"role": "string", "content": "Hi"}), "messages[0].role", VALUE),
    (with_messages({"role": ""}), "messages[0].role", VALUE),
    (with_messages({"role": "<user>"}), "messages[0].role", VALUE),
    (with_messages(USER, {"role": "user"}), "messages[1].content", MISSING),
    (with_messages({"role": "user", "content": None}), "messages[0].content", TYPE),
    (with_messages({"role": "user", "content": 1}), "messages[0].content", TYPE),
    (with_messages({"role": "user", "content": {}}), "messages[0].content", TYPE),
    (with_messages({"role": "user", "content": []}), "messages[0].content", "empty_array"),
    (with_messages({"role": "user", "content": ["x"]}), "messages[0].content[0]", TYPE),
    (with_messages({"role": "user", "content": [{}]}), "messages[0].content[0].type", MISSING),
    (with_messages({"role": "user", "content": [{"type": "x"}]}), "messages[0].content[0].type", VALUE),
    (with_messages({"role": "user", "content": [{"type": "text"}]}), "messages[0].content[0].text", MISSING),
    (
        with_messages({"role": "user", "content": [{"type": "image_url", "image_url": 7}]}),
        "messages[0].content[0].image_url",
        TYPE,
    ),
    (
        with_messages({"role": "system", "content": [{"type": "image_url", "image_url": {"url": ""}}]}),
        "messages[0].content[0].type",
        VALUE,
    ),
    (with_messages({"role": "system", "content": None}), "messages[0].content", TYPE),
    (with_messages({"role": "assistant"}), "messages[0].content", MISSING),
    (with_messages({"role": "assistant", "tool_calls": []}), "messages[0].content", MISSING),
    (with_messages({"role": "assistant", "tool_calls": {}}), "messages[0].tool_calls", TYPE),
    (with_messages({"role": "assistant", "reasoning": ["x"]}), "messages[0].reasoning", TYPE),
    (with_messages({"role": "assistant", "audio": {}}), "messages[0].audio.id", MISSING),
    (with_messages({"role": "assistant", "tool_calls": ["x"]}), "messages[0].tool_calls[0]", TYPE),
    (with_messages({"role": "assistant", "tool_calls": [{}]}), "messages[0].tool_calls[0].id", MISSING),
    (
        with_messages({"role": "assistant", "tool_calls": [{"type": "function", "id": "c"}]}),
        "messages[0].tool_calls[0].function",
        MISSING,
    ),
    (with_messages({"role": "tool", "content": "x"}), "messages[0].tool_call_id", MISSING),
    (with_messages({"role": "tool", "tool_call_id": "c"}), "messages[0].content", MISSING),
    (with_messages({"role": "function", "content": "x"}), "messages[0].name", MISSING),
]


@pytest.mark.parametrize(("fields", "param", "code"), FAULTS, ids=lambda value: json.dumps(value)[:70])
def test_a_fault_is_reported_with_its_param_and_code(
    fields: dict[str, Any], param: str, code: str | None
) -> None:
    refused_param, refused_code, message = refused(fields)
    assert refused_param == param
    assert refused_code == code
    assert len(message) < 400


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            body(temperature=200),
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 200 instead.",
        ),
        (
            body(max_completion_tokens=0),
            "Invalid 'max_completion_tokens': integer below minimum value. "
            "Expected a value >= 1, but got 0 instead.",
        ),
        (
            body(temperature=float("inf")),
            "Invalid type for 'temperature': expected a finite number, but got a number instead.",
        ),
        (
            with_messages({"role": "user", "content": {"type": "text", "text": "Hi"}}),
            "Invalid type for 'messages[0].content': expected a string or an array, "
            "but got an object instead.",
        ),
        (
            with_messages({"role": "string", "content": "Hi"}),
            "Invalid value: 'string'. Supported values are: "
            "'developer', 'system', 'user', 'assistant', 'tool', 'function'.",
        ),
    ],
)
def test_texts_are_those_of_openai(fields: dict[str, Any], message: str) -> None:
    assert refused(fields)[2] == message


ORDER: list[tuple[dict[str, Any], str, str]] = [
    ({"n": 0, "temperature": 9, **with_messages({"role": "user"})}, "messages[0].content", MISSING),
    ({"stop": [], "n": 0, "model": "tiny", "messages": [USER]}, "n", "integer_below_min_value"),
    (body(n=0, stream_options={}), "n", "integer_below_min_value"),
    (body(stop=[1, 2, 3, 4, 5]), "stop", "array_above_max_length"),
    (body(metadata={str(n): n for n in range(17)}), "metadata", "object_above_max_length"),
    (body(metadata={"k" * 65: 1}), f"metadata.{'k' * 65}", "string_above_max_length"),
]


@pytest.mark.parametrize(("fields", "param", "code"), ORDER, ids=lambda value: json.dumps(value)[:70])
def test_the_first_of_several_faults_is_that_of_the_table(
    fields: dict[str, Any], param: str, code: str
) -> None:
    assert refused(fields)[:2] == (param, code)


def test_a_checked_request_has_the_defaults_of_the_api() -> None:
    request = chat_schema.check(body(n=None, stream=None))
    assert (request.model, request.messages, request.n, request.stream) == ("tiny", [USER], 1, False)
    assert (request.max_tokens, request.max_completion_tokens, request.needs_call) == (None, None, False)
    assert request.stream_options == chat_schema.StreamOptions()


def test_a_checked_request_has_what_was_sent() -> None:
    fields = {"max_tokens": 0, "max_completion_tokens": 2, "n": 3}
    request = chat_schema.check(body(stream=True, stream_options={"include_usage": True}, **fields))
    assert {name: getattr(request, name) for name in fields} == fields
    assert request.stream
    assert request.stream_options == chat_schema.StreamOptions(include_usage=True)


def test_long_values_are_cut_in_texts() -> None:
    assert len(refused(with_messages({"role": "x" * 10_000}))[2]) < 300
    assert len(refused(body(n=10**4000))[2]) < 300
    assert len(refused(body(metadata={"k" * 10_000: "v"}))[0] or "") <= 200


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "role", "content", "function", "name"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(st.dictionaries(st.sampled_from(list(CHAT_COMPLETION_REQUEST.members)), JSON, max_size=3), JSON)
def test_no_json_raises_anything_else(fields: dict[str, Any], message: Any) -> None:
    try:
        chat_schema.check({"model": "tiny", "messages": [message], **fields})
    except InvalidRequest as error:
        schema.validate_error(error.body())
