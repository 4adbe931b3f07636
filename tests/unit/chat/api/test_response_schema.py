"""Response requests: what is accepted, and the error for each fault, in the caller's names."""

import json
from typing import Any

import pytest

from functions.chat.api import chat_schema, response_schema, responses
from functions.chat.api.response_schema import LOGPROBS, RESPONSE_REQUEST
from functions.chat.errors import InvalidRequest
from tests.engines import schema
from tests.engines.recordings import request_bodies

PROBES = request_bodies("responses-requests/probes.json")
TOOL = {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}
NOTE = {"type": "custom", "name": "note"}
SPACE = {"type": "namespace", "name": "files", "tools": [{"type": "function", "name": "read"}]}
CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "c", "output": "ok"}
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
PERSON = {"type": "json_schema", "name": "person", "schema": {"type": "object"}}


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "tiny", "input": "Hi", **fields}


def items(*given: Any) -> dict[str, Any]:
    return body(input=list(given))


def message(*parts: Any, role: str = "user") -> dict[str, Any]:
    return {"role": role, "content": list(parts)}


def chat_of(fields: dict[str, Any]) -> dict[str, Any]:
    """Return the chat completion for a body: it is one that chat accepts."""
    chat, _ = responses.to_chat(response_schema.check(fields))
    chat_schema.check(chat)
    return chat


def refused(fields: dict[str, Any]) -> tuple[str | None, str | None, str]:
    with pytest.raises(InvalidRequest) as raised:
        chat_of(fields)
    schema.validate_error(raised.value.body())
    return raised.value.param, raised.value.code, raised.value.message


GOOD: list[dict[str, Any]] = [
    body(instructions="", max_output_tokens=1, temperature=2, top_p=0, stream=False),
    body(text={"format": {"type": "text"}, "verbosity": "low"}),
    body(text={"format": {**PERSON, "strict": None, "description": None}}),
    body(tools=[TOOL, NOTE, SPACE, {"type": "web_search"}], tool_choice="required"),
    body(tools=[{"type": "web_search_preview"}], tool_choice="auto", parallel_tool_calls=False),
    body(tools=[{**NOTE, "format": {"type": "text"}}], tool_choice={"type": "custom", "name": "note"}),
    body(tools=[], include=[], metadata={}),
    body(tools=[{"type": "function", "name": "f" * 128}]),
    body(reasoning={"effort": "xhigh", "summary": "auto"}, truncation="auto", store=True),
    body(include=["reasoning.encrypted_content", LOGPROBS], top_logprobs=20),
    body(top_logprobs=5),
    body(stream=True, stream_options={"include_usage": True, "include_obfuscation": False}),
    body(background=False, previous_response_id=None, conversation=None, n=None),
    body(metadata={"k" * 64: "v" * 512}, user="u", safety_identifier="s", prompt_cache_key="p"),
    body(max_tool_calls=3, prompt_cache_retention="in-memory", service_tier="flex", client_metadata={"a": 1}),
    body(stop=["x"], seed=1, presence_penalty=0, frequency_penalty=0, logit_bias={"1": 1}, top_k=3),
    items(message({"type": "input_text", "text": "a"}, {**IMAGE, "detail": "low", "file_id": None})),
    items({"type": None, "role": "user", "content": "a", "id": "msg_1", "status": "completed"}),
    items(message({"type": "refusal", "refusal": "no"}, role="assistant"), {"role": "user", "content": "a"}),
    items({"role": "assistant", "content": []}),
    items({**CALL, "arguments": None, "status": None, "id": None}, {**OUTPUT, "output": None}),
    items(CALL, {**OUTPUT, "output": [{"type": "input_text", "text": "ok"}]}),
    items({"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}, CALL),
]


@pytest.mark.parametrize("fields", GOOD, ids=lambda fields: json.dumps(fields)[:80])
def test_accepts(fields: dict[str, Any]) -> None:
    chat_of(fields)


def test_every_optional_field_may_be_null() -> None:
    optional = [name for name in RESPONSE_REQUEST.members if name not in ("model", "input")]
    assert chat_of(body(**dict.fromkeys(optional))) == chat_of(body())


IN_TOOLS = "Send `name`, `description` and `parameters` beside `type`"
# A body → the param and the code of its error, and what the message says.
FAULTS: list[tuple[dict[str, Any], str, str | None, str]] = [
    ({"input": "Hi"}, "model", "missing_required_parameter", ""),
    ({"model": "tiny"}, "input", "missing_required_parameter", ""),
    (body(input=None), "input", "invalid_type", "a string or an array, but got null"),
    (body(input=5), "input", "invalid_type", "a string or an array"),
    (body(input={"role": "user"}), "input", "invalid_type", "a string or an array"),
    (body(input=""), "input", "invalid_value", "Expected text"),
    (body(input=[]), "input", "empty_array", ""),
    (items("Hi"), "input[0]", "invalid_type", "an object"),
    (items({}), "input[0].role", "missing_required_parameter", ""),
    (items({"type": "banana"}), "input[0].type", "invalid_value", "'function_call_output'"),
    (
        items({"type": "item_reference", "id": "x"}),
        "input[0].type",
        "unsupported_value",
        "Send the item itself",
    ),
    (
        items({"role": "user", "content": "a"}, {"type": "compaction", "encrypted_content": "x"}),
        "input[1].type",
        "unsupported_value",
        "Send the items that it stands for",
    ),
    (
        items({"type": "local_shell_call", "call_id": "c", "action": {}}),
        "input[0].type",
        "unsupported_value",
        "a `function` tool",
    ),
    (
        items({"type": "input_text", "text": "a"}),
        "input[0].type",
        "unsupported_value",
        "`content` of a message",
    ),
    (body(text={"type": "json_object"}), "text.type", "unsupported_parameter", "within `format`"),
    (items({"role": "wizard", "content": "a"}), "input[0].role", "invalid_value", "'developer'"),
    (
        items({"role": "tool", "content": "a", "tool_call_id": "c"}),
        "input[0].tool_call_id",
        "unsupported_parameter",
        "`function_call_output`",
    ),
    (
        items({"role": "assistant", "content": None, "tool_calls": []}),
        "input[0].tool_calls",
        "unsupported_parameter",
        "`function_call`",
    ),
    (
        items(message({"type": "image_url", "image_url": {"url": "x"}})),
        "input[0].content[0].type",
        "unsupported_value",
        "`input_image`",
    ),
    (items({"role": "user"}), "input[0].content", "missing_required_parameter", ""),
    (items({"role": "user", "content": 1}), "input[0].content", "invalid_type", "a string or an array"),
    (
        items({"role": "user", "content": "a"}, message({"type": "x"})),
        "input[1].content[0].type",
        "invalid_value",
        "'input_text'",
    ),
    (items(message({"type": "input_text"})), "input[0].content[0].text", "missing_required_parameter", ""),
    (
        items(message({"type": "input_file", "file_data": ""})),
        "input[0].content[0].type",
        "unsupported_value",
        "input_text",
    ),
    (
        items(message({"type": "input_image"})),
        "input[0].content[0].image_url",
        "missing_required_parameter",
        "",
    ),
    (
        items(message({**IMAGE, "file_id": "f"})),
        "input[0].content[0].file_id",
        "unsupported_parameter",
        "Send `image_url`",
    ),
    (items(message(IMAGE, role="system")), "input[0].content[0].type", "invalid_value", "'input_text'"),
    (
        items(CALL, message(IMAGE, role="assistant")),
        "input[1].content[0].type",
        "invalid_value",
        "'input_text'",
    ),
    (items({**CALL, "call_id": None}), "input[0].call_id", "invalid_type", "a string"),
    (items(OUTPUT), "input[0].call_id", "invalid_value", "a call that comes before it"),
    (items(OUTPUT, CALL), "input[0].call_id", "invalid_value", "a call that comes before it"),
    (
        items(CALL, {**OUTPUT, "output": [IMAGE]}),
        "input[1].output[0].type",
        "unsupported_value",
        "a message of the user",
    ),
    (items({"type": "reasoning", "summary": []}), "input", "invalid_value", "at least one message"),
    (items({"role": "system", "content": ""}), "input", "invalid_value", "at least one message"),
    (body(instructions=["a"]), "instructions", "invalid_type", ""),
    (body(max_output_tokens=0), "max_output_tokens", "integer_below_min_value", ""),
    (body(max_output_tokens="many"), "max_output_tokens", "invalid_type", ""),
    (body(temperature=2.1), "temperature", "decimal_above_max_value", ""),
    (body(top_p=-0.1), "top_p", "decimal_below_min_value", ""),
    (body(text={"format": {"type": "yaml"}}), "text.format.type", "invalid_value", "'json_schema'"),
    (body(text={"format": {}}), "text.format.type", "missing_required_parameter", ""),
    (
        body(text={"format": {"type": "json_schema", "name": "x"}}),
        "text.format.schema",
        "missing_required_parameter",
        "",
    ),
    (
        body(text={"format": {"type": "json_schema", "schema": {}}}),
        "text.format.name",
        "missing_required_parameter",
        "",
    ),
    (
        body(text={"format": {"type": "json_schema", "json_schema": PERSON}}),
        "text.format.json_schema",
        "unsupported_parameter",
        "beside `type`",
    ),
    (
        body(text={"format": {**PERSON, "schema": {"enum": ["x"] * 1001}}}),
        "text.format.schema",
        "invalid_value",
        "1000",
    ),
    (body(text={"verbosity": "x"}), "text.verbosity", "invalid_value", ""),
    (body(tools="x"), "tools", "invalid_type", "an array"),
    (
        body(tools=[TOOL, {"type": "file_search"}]),
        "tools[1].type",
        "unsupported_value",
        "Send a `function` tool",
    ),
    (body(tools=[{"type": "mcp", "server_label": "x"}]), "tools[0].type", "unsupported_value", ""),
    (body(tools=[{"type": "banana"}]), "tools[0].type", "invalid_value", "'namespace'"),
    (
        body(tools=[{"type": "function", "function": {"name": "f"}}]),
        "tools[0].function",
        "unsupported_parameter",
        IN_TOOLS,
    ),
    (body(tools=[{"type": "function"}]), "tools[0].name", "missing_required_parameter", ""),
    (body(tools=[{"type": "function", "name": "a.b"}]), "tools[0].name", "invalid_value", ""),
    (body(tools=[{**TOOL, "parameters": []}]), "tools[0].parameters", "invalid_type", ""),
    (
        body(tools=[{**NOTE, "format": {"type": "grammar"}}]),
        "tools[0].format.type",
        "unsupported_value",
        "Leave `format` out",
    ),
    (
        body(tools=[{**SPACE, "tools": [{"type": "function"}]}]),
        "tools[0].tools[0].name",
        "missing_required_parameter",
        "",
    ),
    (
        body(tools=[{**SPACE, "tools": [TOOL] * 2 + [{**TOOL, "name": f"g{i}"} for i in range(1000)]}]),
        "tools",
        "array_above_max_length",
        "1000",
    ),
    (body(tools=[TOOL], tool_choice="always"), "tool_choice", "invalid_value", "'required'"),
    (body(tool_choice="required"), "tool_choice", None, "'tools'"),
    (body(tools=[{"type": "web_search"}], tool_choice="required"), "tool_choice", None, "'tools'"),
    (
        body(tools=[TOOL], tool_choice={"type": "function", "name": "g"}),
        "tool_choice",
        "invalid_value",
        "'g' is not among 'tools'",
    ),
    (
        body(tools=[TOOL], tool_choice={"type": "custom", "name": "f"}),
        "tool_choice",
        "invalid_value",
        "'f' is not among 'tools'",
    ),
    (
        body(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "f"}}),
        "tool_choice.function",
        "unsupported_parameter",
        "beside `type`",
    ),
    (
        body(tools=[TOOL], tool_choice={"type": "web_search"}),
        "tool_choice.type",
        "unsupported_value",
        "Name a `function`",
    ),
    (
        body(
            tools=[TOOL],
            tool_choice={
                "type": "allowed_tools",
                "mode": "auto",
                "tools": [{"type": "function", "name": "g"}],
            },
        ),
        "tool_choice.tools[0]",
        "invalid_value",
        "'g' is not among 'tools'",
    ),
    (body(reasoning={"effort": "lots"}), "reasoning.effort", "invalid_value", "'xhigh'"),
    (body(include=["everything"]), "include[0]", "invalid_value", LOGPROBS),
    (body(top_logprobs=21, include=[LOGPROBS]), "top_logprobs", "integer_above_max_value", ""),
    (body(stream_options={"include_usage": True}), "stream_options", None, "'stream' is true"),
    (
        body(previous_response_id="resp_1"),
        "previous_response_id",
        "previous_response_not_found",
        "Send the earlier items in `input`",
    ),
    (
        body(conversation="conv_1"),
        "conversation",
        "unsupported_parameter",
        "Send the earlier items in `input`",
    ),
    (body(prompt={"id": "p"}), "prompt", "unsupported_parameter", "`input`"),
    (body(background=True), "background", "unsupported_parameter", "`stream: true`"),
    (body(background="x"), "background", "invalid_type", ""),
    (body(context_management=[{"type": "compaction"}]), "context_management", "unsupported_parameter", ""),
    (body(moderation={"type": "x"}), "moderation", "unsupported_parameter", ""),
    (body(truncation="some"), "truncation", "invalid_value", "'disabled'"),
    (body(metadata={"a": 1}), "metadata.a", "invalid_type", ""),
    (body(metadata={str(i): "" for i in range(17)}), "metadata", "object_above_max_length", ""),
    (body(service_tier="x"), "service_tier", "invalid_value", ""),
    (body(client_metadata=[]), "client_metadata", "invalid_type", ""),
    (body(n=1), "n", "unsupported_parameter", "/v1/chat/completions"),
    (body(modalities=["text"]), "modalities", "unsupported_parameter", "/v1/chat/completions"),
    ({"model": "tiny", "messages": []}, "messages", "unsupported_parameter", "`input`"),
    (body(max_tokens=5), "max_tokens", "unsupported_parameter", "`max_output_tokens`"),
    (body(response_format={"type": "text"}), "response_format", "unsupported_parameter", "`text.format`"),
    (body(reasoning_effort="low"), "reasoning_effort", "unsupported_parameter", "`reasoning.effort`"),
    (body(stop=["a"] * 5), "stop", "array_above_max_length", ""),
]


@pytest.mark.parametrize(("fields", "param", "code", "text"), FAULTS, ids=lambda each: json.dumps(each)[:60])
def test_a_fault_is_reported_in_the_callers_names(
    fields: dict[str, Any], param: str, code: str | None, text: str
) -> None:
    got_param, got_code, got_text = refused(fields)
    assert (got_param, got_code) == (param, code)
    assert text in got_text
    assert param.partition("[")[0] in got_text or code in ("invalid_value", "unsupported_value")


# What the recorded engines accepted or refused in other ways → where it is wrong here, and its code.
REFUSED_PROBES = {
    "background": ("background", "unsupported_parameter"),
    "conversation": ("conversation", "unsupported_parameter"),
    "err_bad_item_type": ("input[0].type", "invalid_value"),
    "err_bad_role": ("input[0].role", "invalid_value"),
    "err_empty_list": ("input", "empty_array"),
    "err_empty_string": ("input", "invalid_value"),
    "err_input_number": ("input", "invalid_type"),
    "err_input_object": ("input", "invalid_type"),
    "err_max_negative": ("max_output_tokens", "integer_below_min_value"),
    "err_max_type": ("max_output_tokens", "invalid_type"),
    "err_max_zero": ("max_output_tokens", "integer_below_min_value"),
    "err_missing_input": ("input", "missing_required_parameter"),
    "err_missing_model": ("model", "missing_required_parameter"),
    "err_null_input": ("input", "invalid_type"),
    "err_required_without_tools": ("tool_choice", None),
    "err_temperature_high": ("temperature", "decimal_above_max_value"),
    "err_temperature_negative": ("temperature", "decimal_below_min_value"),
    "err_temperature_type": ("temperature", "invalid_type"),
    "err_text_format": ("text.format.type", "invalid_value"),
    "err_tool_choice_unknown": ("tool_choice", "invalid_value"),
    "err_tool_shape_chat": ("tools[0].function", "unsupported_parameter"),
    "err_tools_type": ("tools", "invalid_type"),
    "err_top_p": ("top_p", "decimal_above_max_value"),
    "file": ("input[0].content[1].type", "unsupported_value"),
    "multi_turn_item_reference": ("input[0].type", "unsupported_value"),
    "previous_stored": ("previous_response_id", "previous_response_not_found"),
    "previous_unknown": ("previous_response_id", "previous_response_not_found"),
    "prompt_template": ("prompt", "unsupported_parameter"),
    "stream_codex_custom": ("tools[2].format.type", "unsupported_value"),
    "tool_custom_grammar": ("tools[0].format.type", "unsupported_value"),
    "tool_file_search": ("tools[0].type", "unsupported_value"),
    "tool_mcp": ("tools[0].type", "unsupported_value"),
    "tool_result_orphan": ("input[1].call_id", "invalid_value"),
}


def test_the_probes_are_refused_that_should_be_and_no_others() -> None:
    found = {}
    for case, fields in PROBES.items():
        try:
            chat_of(fields)
        except InvalidRequest as error:
            found[case] = (error.param, error.code)
    assert found == REFUSED_PROBES
