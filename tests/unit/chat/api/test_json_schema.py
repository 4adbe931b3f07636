"""The JSON Schema in `/openapi.json` accepts and refuses what the check does."""

import re
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from functions.chat.api.chat_schema import CHAT_COMPLETION_REQUEST
from functions.chat.api.checks import (
    Array,
    Integer,
    Map,
    Member,
    Object,
    Rule,
    String,
    StringOr,
    optional,
    required,
)
from functions.chat.api.json_schema import REF, Schema, add_object
from functions.chat.api.response_schema import RESPONSE_REQUEST
from tests.unit.chat.api import test_response_schema
from tests.unit.chat.api.test_chat_schema import FAULTS, GOOD, KEPT, TOOL, body, with_messages


def schema_of(rule: Object) -> Draft202012Validator:
    components: dict[str, Schema] = {}
    reference = add_object(rule, components)
    schema = {**reference, "components": {"schemas": components}}
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


REQUEST = schema_of(CHAT_COMPLETION_REQUEST)
# What a JSON Schema cannot express: rules between members, and half a surrogate pair.
BEYOND_A_SCHEMA = [
    with_messages({"role": "assistant"}),
    with_messages({"role": "assistant", "tool_calls": []}),
    body(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "g"}}),
]
REFUSED = [
    fields
    for fields, _, code in FAULTS
    if code and fields not in BEYOND_A_SCHEMA and "ud800" not in ascii(fields)
]


ACCEPTED = [*GOOD, *(fields for fields, _ in KEPT)]


@pytest.mark.parametrize("fields", ACCEPTED, ids=range(len(ACCEPTED)))
def test_what_is_accepted_is_valid(fields: dict[str, Any]) -> None:
    REQUEST.validate(fields)


@pytest.mark.parametrize("fields", REFUSED, ids=range(len(REFUSED)))
def test_what_is_refused_is_not_valid(fields: dict[str, Any]) -> None:
    assert not REQUEST.is_valid(fields)


RESPONSE = schema_of(RESPONSE_REQUEST)
# Faults that a JSON Schema cannot express: between members, of chat's fields, and in the size of a schema.
BEYOND_RESPONSES = {
    *(("input", "invalid_value"), ("input[0].call_id", "invalid_value"), ("tool_choice", None)),
    *(("tool_choice", "invalid_value"), ("tool_choice.tools[0]", "invalid_value"), ("stream_options", None)),
    *(("background", "unsupported_parameter"), ("text.format.schema", "invalid_value")),
    ("tools", "array_above_max_length"),
}
IMAGES_OF_OTHERS = [
    f"'role': '{role}', 'content': [{{'type': 'input_image'" for role in ("system", "assistant")
]
RESPONSES_REFUSED = [
    fields
    for fields, param, code, _ in test_response_schema.FAULTS
    if re.split(r"[.\[]", param)[0] in RESPONSE_REQUEST.members
    and (param, code) not in BEYOND_RESPONSES
    and not any(text in str(fields) for text in IMAGES_OF_OTHERS)
]


@pytest.mark.parametrize("fields", test_response_schema.GOOD, ids=range(len(test_response_schema.GOOD)))
def test_a_response_request_that_is_accepted_is_valid(fields: dict[str, Any]) -> None:
    RESPONSE.validate(fields)


@pytest.mark.parametrize("fields", RESPONSES_REFUSED, ids=range(len(RESPONSES_REFUSED)))
def test_a_response_request_that_is_refused_is_not_valid(fields: dict[str, Any]) -> None:
    assert not RESPONSE.is_valid(fields)


def member_schema(member: Member) -> Schema:
    components: dict[str, Schema] = {}
    add_object(Object("Body", {"a": member}), components)
    schema: Schema = components["Body"]["properties"]["a"]
    return schema


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Integer(minimum=1), {"type": "integer", "minimum": 1}),
        (String(not_empty=True, max_length=2), {"type": "string", "minLength": 1, "maxLength": 2}),
        (
            Array(String(), max_length=3),
            {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 3},
        ),
        (Map(), {"type": "object", "additionalProperties": True}),
        (StringOr(Map()), {"oneOf": [{"type": "string"}, {"type": "object", "additionalProperties": True}]}),
        (Object("Other", {}), {"$ref": REF + "Other"}),
    ],
    ids=["integer", "string", "array", "map", "string or", "object"],
)
def test_each_rule_is_described(rule: Rule, expected: Schema) -> None:
    assert member_schema(required(rule)) == expected
    assert member_schema(optional(rule)) == {"anyOf": [expected, {"type": "null"}]}


def test_a_member_is_described_with_its_default() -> None:
    member = optional(Integer(minimum=0), "How many.", default=1)
    assert member_schema(member) == {
        "anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}],
        "description": "How many.",
        "default": 1,
    }
