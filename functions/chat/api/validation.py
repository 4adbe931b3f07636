"""A JSON object held against the contract; faults told in OpenAI's words.

Source: recorded replies of the OpenAI API to faulty requests (`docs/api.md`, "Errors").
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from functions.chat.api.body import kind, shown
from functions.chat.api.schema import ChatCompletionRequest
from functions.chat.errors import InvalidRequest

_ASSISTANT_SAYS = ("content", "tool_calls", "function_call", "refusal", "audio")


def check(body: dict[str, Any]) -> ChatCompletionRequest:
    """Hold a body against the contract.

    Raises: InvalidRequest for the first fault, with its `param` and OpenAI's `code`.
    """
    try:
        request = ChatCompletionRequest.model_validate(body)
    except ValidationError as error:
        raise _translated(error.errors(include_url=False)[0]) from error
    if request.stream_options is not None and not request.stream:
        raise InvalidRequest(
            "The 'stream_options' parameter is only allowed when 'stream' is true.", param="stream_options"
        )
    if request.top_logprobs is not None and not request.logprobs:
        raise InvalidRequest(
            "The 'top_logprobs' parameter is only allowed when 'logprobs' is true.", param="top_logprobs"
        )
    for place, message in enumerate(body["messages"]):
        if message["role"] == "assistant" and all(message.get(key) is None for key in _ASSISTANT_SAYS):
            raise InvalidRequest(
                f"Missing required parameter: 'messages[{place}].content'. "
                "An assistant message needs 'content' or 'tool_calls'.",
                param=f"messages[{place}].content",
                code="missing_required_parameter",
            )
    return request


_EXPECTED = {
    "string_type": "a string",
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "a boolean",
    "list_type": "an array",
    "dict_type": "an object",
    "model_type": "an object",
    "model_attributes_type": "an object",
}


def _translated(fault: ErrorDetails) -> InvalidRequest:
    param = _param(fault["loc"])
    expected = _EXPECTED.get(fault["type"])
    if expected:
        return InvalidRequest(
            f"Invalid type for '{param}': expected {expected}, but got {kind(fault['input'])} instead.",
            param=param,
            code="invalid_type",
        )
    say = _SAY.get(fault["type"], _invalid_value)
    return say(fault, param)


def _missing(_: ErrorDetails, param: str) -> InvalidRequest:
    return InvalidRequest(
        f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter"
    )


def _untagged(fault: ErrorDetails, param: str) -> InvalidRequest:
    key = _discriminator(fault)
    if key not in fault["input"]:
        return _missing(fault, f"{param}.{key}")
    return InvalidRequest(
        f"Invalid type for '{param}.{key}': expected a string, but got {kind(fault['input'][key])} instead.",
        param=f"{param}.{key}",
        code="invalid_type",
    )


def _unknown_tag(fault: ErrorDetails, param: str) -> InvalidRequest:
    context = fault["ctx"]
    key = _discriminator(fault)
    supported = context["expected_tags"].replace("<", "").replace(">", "")
    return InvalidRequest(
        f"Invalid value: {shown(context['tag'][1:-1])}. Supported values are: {supported}.",
        param=f"{param}.{key}",
        code="invalid_value",
    )


def _discriminator(fault: ErrorDetails) -> str:
    return "role" if fault["ctx"]["discriminator"] == "by_role()" else "type"


def _literal(fault: ErrorDetails, param: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid value: {shown(fault['input'])}. Supported values are: "
        f"{fault['ctx']['expected'].replace(' or ', ', ')}.",
        param=param,
        code="invalid_value",
    )


def _bound(bound: str, sign: str, where: str) -> Callable[[ErrorDetails, str], InvalidRequest]:
    def say(fault: ErrorDetails, param: str) -> InvalidRequest:
        limit, value = fault["ctx"][bound], fault["input"]
        number = "integer" if isinstance(limit, int) else "decimal"
        expected = str(limit) if isinstance(limit, int) else f"{limit:g}"
        return InvalidRequest(
            f"Invalid '{param}': {number} {where}imum value. "
            f"Expected a value {sign} {expected}, but got {shown(value)[1:-1]} instead.",
            param=param,
            code=f"{number}_{where.replace(' ', '_')}_value",
        )

    return say


def _length(fault: ErrorDetails, param: str) -> InvalidRequest:
    value, context = fault["input"], fault["ctx"]
    sort = "string" if isinstance(value, str) else "array" if isinstance(value, list) else "object"
    if not value:
        return InvalidRequest(
            f"Invalid '{param}': empty {sort}. Expected a length of at least 1.",
            param=param,
            code=f"empty_{sort}",
        )
    return InvalidRequest(
        f"Invalid '{param}': {sort} too long. Expected a length of at most {context['max_length']}.",
        param=param,
        code=f"{sort}_above_max_length",
    )


def _pattern(fault: ErrorDetails, param: str) -> InvalidRequest:
    return InvalidRequest(
        f"Invalid '{param}': expected a string that matches {fault['ctx']['pattern']}, "
        f"but got {shown(fault['input'])} instead.",
        param=param,
        code="invalid_value",
    )


def _invalid_value(_: ErrorDetails, param: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid value for '{param}'.", param=param, code="invalid_value")


_SAY: dict[str, Callable[[ErrorDetails, str], InvalidRequest]] = {
    "missing": _missing,
    "union_tag_not_found": _untagged,
    "union_tag_invalid": _unknown_tag,
    "literal_error": _literal,
    "string_pattern_mismatch": _pattern,
    "less_than_equal": _bound("le", "<=", "above max"),
    "greater_than_equal": _bound("ge", ">=", "below min"),
    "too_long": _length,
    "too_short": _length,
    "string_too_long": _length,
    "string_too_short": _length,
}


def _param(place: tuple[int | str, ...]) -> str:
    """Spell a place as OpenAI does: `messages[0].content[1].text`."""
    path = ""
    for step in place:
        if isinstance(step, int):
            path += f"[{step}]"
        elif not step.startswith("<") and step != "[key]":
            path += f".{step}" if path else step
    return path[:200]
