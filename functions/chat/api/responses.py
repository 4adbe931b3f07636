"""`POST /v1/responses`: a chat completion in another shape. Nothing is kept."""

from __future__ import annotations

from typing import Any

from functions.chat.engines.engine import EngineRequest
from functions.chat.models import Model
from functions.chat.settings import Settings
from functions.chat.streams.responses import ResponseWriter

from . import body, chat_schema, faults, media, response_schema
from .answer import Endpoint
from .chat_completions import engine_request
from .fields import DEFAULT_TEMPERATURE
from .response_input import Conversation
from .response_schema import LOGPROBS, ResponseRequest
from .service import Invocation

# What callers call the parameters of the chat completion.
NAMES = {
    # Messages and tools stand at other places than their items, so only what they are called is right.
    r"messages(?:[\[.][^'`]*)?": "input",
    r"tools(?:[\[.][^'`]*)?": "tools",
    "response_format.json_schema": "text.format",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "reasoning_effort": "reasoning.effort",
    "verbosity": "text.verbosity",
    "logprobs": "include",
}


def to_chat(checked: ResponseRequest) -> tuple[dict[str, Any], list[media.Medium]]:
    """Return the body of the chat completion that answers a request, and the images in it.

    Raises: InvalidRequest, with the place in the caller's shape.
    """
    get = checked.fields.get
    conversation = Conversation.of(get("instructions", ""), checked.items, checked.tools)
    text = get("text", {})
    form = text.get("format")
    if form and form["type"] == "json_schema":
        schema = {name: value for name, value in form.items() if name != "type"}
        form = {"type": "json_schema", "json_schema": schema}
    fields = {
        **checked.more,
        "model": checked.model,
        "messages": conversation.messages,
        "stream": get("stream"),
        "max_completion_tokens": get("max_output_tokens"),
        "temperature": get("temperature"),
        "top_p": get("top_p"),
        "tools": checked.tools.sent or None,
        "tool_choice": checked.tools.choice,
        "parallel_tool_calls": get("parallel_tool_calls"),
        "response_format": form,
        "verbosity": text.get("verbosity"),
        "reasoning_effort": get("reasoning", {}).get("effort"),
    }
    if LOGPROBS in get("include", ()):
        fields |= {"logprobs": True, "top_logprobs": get("top_logprobs")}
    return {name: value for name, value in fields.items() if value is not None}, conversation.media


async def prepare(
    _: dict[str, Any], checked: ResponseRequest, model: Model, settings: Settings, request_id: str
) -> EngineRequest:
    """Turn a checked request into that of a chat completion.

    Raises: InvalidRequest.
    """
    if len(checked.items) > settings.max_messages:
        raise faults.too_long("array", settings.max_messages, (None, "input"))
    body.to_json({"tools": checked.raw_tools})  # the response repeats them as they came
    chat, images = to_chat(checked)
    call = engine_request(chat, chat_schema.check(chat), model, settings, request_id, as_values=True)
    await media.check(images, model)
    return call


def writer(checked: ResponseRequest, model: Model, invocation: Invocation) -> ResponseWriter:
    """Return the writer of the response to a request."""
    calls = {sent: called for called, sent in checked.tools.names.items()}
    return ResponseWriter(echo(checked, model), calls, invocation.reply_id.removeprefix("req_"))


RESPONSES = Endpoint(serves="chat", check=response_schema.check, prepare=prepare, writer=writer, names=NAMES)


def echo(checked: ResponseRequest, model: Model) -> dict[str, Any]:
    """Return the members of a response that repeat the request.

    Shape:  valid under OpenAI's schema: what that has no null for is left out, where nothing was sent.
    """
    get = checked.fields.get
    tools = [{name: value for name, value in each.items() if value is not None} for each in checked.raw_tools]
    repeated = {
        "model": model.id,
        "instructions": get("instructions"),
        "max_output_tokens": get("max_output_tokens"),
        "previous_response_id": None,
        "background": False,
        "tools": [
            {"strict": None, "parameters": None, **each} if each["type"] == "function" else each
            for each in tools
        ],
        "tool_choice": get("tool_choice", "auto"),
        "parallel_tool_calls": get("parallel_tool_calls", True),
        "temperature": get("temperature", DEFAULT_TEMPERATURE),
        "top_p": get("top_p", 1),
        "top_logprobs": get("top_logprobs", 0),
        "text": {"format": {"type": "text"}, **get("text", {})},
        "reasoning": {"effort": get("reasoning", {}).get("effort"), "summary": None},
        "metadata": get("metadata", {}),
        "truncation": "disabled",
        "store": False,
        "service_tier": "default",
    }
    for name in ("user", "safety_identifier", "prompt_cache_key", "max_tool_calls"):
        if name in checked.fields:
            repeated[name] = checked.fields[name]
    return repeated
