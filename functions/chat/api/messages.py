"""A request's messages as the model's engine reads them.

What one engine cannot read is translated where another member says the same: a refusal is text, a function
call of the old kind is a tool call. Thoughts go where the engine reads them. Arguments of a call that are not
the JSON of an object, such as those of a turn that was cut, are sent as the one member of an object, because
engines parse them. Half of a surrogate pair in a turn of the model's, which a stream may have ended with,
becomes a question mark.
"""

from __future__ import annotations

from typing import Any

from functions.chat.json_text import dump, parse
from functions.chat.models import Model

UNPARSED = "unparsed"
Message = dict[str, Any]


def fit(messages: list[Message], model: Model) -> None:
    """Change checked messages, in place, into what the model's engine reads."""
    for message in messages:
        role, content = message["role"], message.get("content")
        if role == "assistant":
            is_plain = len(message) == 2 and type(content) is str and content.isascii()
            if not is_plain:  # most are, and need nothing
                _fit_answer(message, model)
        elif role == "developer" and model.developer_as_system:
            message["role"] = "system"
        elif role == "function" and not model.kind.takes_all:
            message |= {"role": "tool", "tool_call_id": _call_id(message["name"])}
        if message["role"] == "tool":
            message.setdefault("content", "")
            if not model.kind.names_tools:
                message.pop("name", None)


def _fit_answer(message: Message, model: Model) -> None:
    """Fit a turn of the model's."""
    thoughts = message.pop("reasoning", "") or message.pop("reasoning_content", "")
    message.pop("reasoning_content", None)
    if model.kind.reasoning and thoughts:
        message[model.kind.reasoning] = thoughts
    if "function_call" in message:
        message["function_call"].setdefault("arguments", "")
    if not model.kind.takes_all:
        _translate(message)
    content = message.get("content")
    for part in [message, *(content if isinstance(content, list) else ())]:
        for name, value in part.items():
            if type(value) is str and not value.isascii():
                part[name] = value.encode("utf-8", "replace").decode()
    for call in message.get("tool_calls", ()):
        if call["type"] == "function":
            call["function"]["arguments"] = parsable(call["function"].get("arguments", ""))
    if not message.keys() & {"content", "tool_calls", "function_call", "audio"}:
        message["content"] = ""


def _translate(message: Message) -> None:
    """Say what only OpenAI's own engines read in members that all read."""
    message.pop("audio", None)
    refusal = message.pop("refusal", "")
    content = message.get("content")
    if isinstance(content, list):
        texts = ({"type": "text", "text": part.get("text", part.get("refusal"))} for part in content)
        message["content"] = list(texts)
    elif refusal and not content:
        message["content"] = refusal
    if function := message.pop("function_call", None):
        call = {"id": _call_id(function["name"]), "type": "function", "function": function}
        message.setdefault("tool_calls", [call])


def _call_id(function_name: str) -> str:
    """Return the id that pairs a function call of the old kind with its result."""
    return f"call_{function_name}"


def parsable(arguments: str) -> str:
    """Return the arguments of a call as the JSON of an object."""
    text = arguments.encode("utf-8", "replace")
    try:
        if not text.strip():
            return "{}"
        if isinstance(parse(text), dict):
            return text.decode()
    except (ValueError, RecursionError):
        pass
    return dump({UNPARSED: text.decode()}).decode()
