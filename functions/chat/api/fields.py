"""Which fields of a request are sent on: those that the model's kind of engine reads (`engines/kinds.py`)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from functions.chat.api import faults
from functions.chat.api.chat_schema import CHAT_COMPLETION_REQUEST, ChatCompletionRequest
from functions.chat.api.checks import Map
from functions.chat.engines.kinds import NEVER
from functions.chat.errors import InvalidRequest
from functions.chat.models import Model
from functions.chat.settings import Settings

OPENAI = CHAT_COMPLETION_REQUEST.members
DEFAULT_TEMPERATURE = 0.7
MAX_INTEGER = 2**63 - 1
# What the tokenizer's own function takes: some engines hand it all that is given for the template.
CHAT_TEMPLATE_KWARGS = Map(
    refused=frozenset(
        {"chat_template", "conversation", "conversations", "messages", "tools", "documents", "tokenize"}
        | {"tokenizer_kwargs", "padding", "truncation", "max_length", "return_dict", "return_tensors"}
        | {"add_generation_prompt", "continue_final_message", "add_special_tokens"}
        | {"return_assistant_tokens_mask"}
    )
)
# What to do about a field that no list has.
ADVICE = (
    "Expected fields of OpenAI's, or those that the model's engine is sent. If it should be sent this one, "
    "the operator of this API adds it to `extra_fields` of the model in MODELS (with `make run`, "
    "EXTRA_FIELDS)."
)


def select(
    parsed: dict[str, Any], checked: ChatCompletionRequest, model: Model, max_tokens: int
) -> dict[str, Any]:
    """Return the body for the engine: the fields that it reads, our defaults, and one limit of tokens.

    Raises: InvalidRequest, for a field that is neither OpenAI's nor the engine's, and for what it cannot do.
    """
    known = model.kind.openai
    sent = {name: value for name, value in checked.fields.items() if name in model.fields}
    sent |= others(parsed, OPENAI, model.fields)
    if "chat_template_kwargs" in sent:
        CHAT_TEMPLATE_KWARGS.check(sent["chat_template_kwargs"], (None, "chat_template_kwargs"))
    if "tool_choice" not in model.fields and checked.fields.get("tool_choice") == "none":
        del sent["tools"]
    sent.setdefault("temperature", DEFAULT_TEMPERATURE)
    for name in ("max_tokens", "max_completion_tokens", "stream_options"):
        sent.pop(name, None)
    is_new = bool(checked.max_completion_tokens) or "max_tokens" not in known
    limit = "max_completion_tokens" if is_new and "max_completion_tokens" in known else "max_tokens"
    sent[limit] = max_tokens
    if checked.stream and "stream_options" in known:
        sent["stream_options"] = {"include_usage": True}
        if checked.stream_options.continuous_usage_stats and model.kind.continuous_usage:
            sent["stream_options"]["continuous_usage_stats"] = True
    return {**sent, "model": model.served_name}


def others(parsed: dict[str, Any], openai: Collection[str], sent_on: frozenset[str]) -> dict[str, Any]:
    """Return the fields of a body that are not OpenAI's, all of which the engine reads.

    Raises: InvalidRequest, for one that it is not sent.
    """
    own = {name: value for name, value in parsed.items() if name not in openai and value is not None}
    for name, value in own.items():
        if name not in sent_on:
            never = (
                f"It is never sent: it {reason}, so `extra_fields` (EXTRA_FIELDS) cannot have it. "
                "Leave it out."
                for reason, names in NEVER.items()
                if name in names
            )
            raise faults.unknown(None, name, next(never, ADVICE))
        if type(value) is int and abs(value) > MAX_INTEGER:
            raise faults.above_maximum("integer", abs(value), MAX_INTEGER, (None, name))
    return own


def check_limits(checked: ChatCompletionRequest, model: Model, settings: Settings) -> None:
    """Check a request against the limits of the API and of its model.

    Raises: InvalidRequest.
    """
    if len(checked.messages) > settings.max_messages:
        raise InvalidRequest(
            f"Invalid 'messages': array too long. Expected a length of at most "
            f"{settings.max_messages}, but got {len(checked.messages)} instead.",
            param="messages",
            code="array_above_max_length",
        )
    for param, value, limit in (
        ("n", checked.n, settings.max_n),
        ("max_tokens", checked.max_tokens or 0, model.max_tokens_limit),
        ("max_completion_tokens", checked.max_completion_tokens or 0, model.max_tokens_limit),
    ):
        if value > limit:
            raise faults.above_maximum("integer", value, limit, (None, param))


def check_engine_can(checked: ChatCompletionRequest, model: Model) -> None:
    """Check that the model's engine can do what is requested, where it would ignore or fail it.

    Raises: InvalidRequest.
    """
    if checked.n > 1 and "n" not in model.fields:
        raise faults.above_maximum("integer", checked.n, 1, (None, "n"))
    choice = checked.fields.get("tool_choice")
    if not model.kind.takes_all:
        for index, tool in enumerate(checked.fields.get("tools", ())):
            if tool["type"] != "function":
                raise faults.unsupported(tool["type"], ("function",), (((None, "tools"), index), "type"))
        if isinstance(choice, dict) and choice["type"] != "function":
            raise faults.unsupported(choice["type"], ("function",), ((None, "tool_choice"), "type"))
    if checked.needs_call and not model.kind.forces_calls:
        raise InvalidRequest(
            "Invalid value for 'tool_choice': the engine of this model cannot be made to call a tool. "
            "Send 'auto', and describe in a message when to call one.",
            param="tool_choice",
            code="invalid_value",
        )
