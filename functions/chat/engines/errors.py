"""Errors that engines report, translated into ours.

An engine's text may hold the prompt, a path or a stack trace. It is compared with recorded wordings
(`wordings.py`), each at the beginning of a sentence of the engine's own, and never repeated. An error counts
alike as a status, in a body with 200 and as an event. Known shapes, one inside another too:

    {"error": {"message", "type", "param", "code"}}     the code is a number, a string or a name
    {"error": "text", "error_type"}, {"object": "error", "message"}, {"message"}, {"detail"}, plain text
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from functions.chat.errors import (
    ApiError,
    EngineDraining,
    InvalidRequest,
    ModelNotFound,
    ModelNotServed,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    UpstreamError,
    UpstreamTimeout,
)

if TYPE_CHECKING:
    from .reports import Report

INCOMPLETE = "The engine's reply was broken or incomplete. Try again."


def reports_error(value: Any) -> bool:
    """Return whether the JSON of a reply or an event is an error, in any of the shapes that engines use."""
    if isinstance(value, list) and value:  # Gemini's
        value = value[0]
    if not isinstance(value, dict):
        return False
    is_bare = "choices" not in value and bool({"detail", "message"} & value.keys())
    return is_bare or bool(value.get("error")) or value.get("object") == "error"


def translate(model: str, status: int, body: Any, retry_after_s: float = 1.0) -> ApiError:
    """Turn an engine's error into ours.

    Shape:  `status` is the HTTP status, 200 for an error in a reply or an event; `body` parsed JSON, text or
            None; `retry_after_s` the wait that the engine set.
    """
    from .reports import Report  # here: only a failure needs their patterns
    from .wordings import NAMES

    report = Report(body)
    wording, groups = report.recorded()
    named = [NAMES[name] for name in report.names if name in NAMES]
    kinds = [each for each in named if isinstance(each, str)]
    kind = next((each for each in kinds if each in _CERTAIN), None) or wording or next(iter(kinds), None)
    if kind is None:
        codes = [*report.codes, *(each for each in named if isinstance(each, int))]
        if status in (200, 500):
            status = next(iter(codes), 500)
        kind = _STATUSES.get(status, "failed")
    if kind == "model":
        return ModelNotFound(model)
    if kind == "not_served":
        return ModelNotServed(
            f"The engine of the model `{model}` does not serve this endpoint. Send another 'model'. If it "
            "should, the operator of this API corrects its `serves` or `base_url` in MODELS."
        )
    if kind in _WAITS:
        error, message = _WAITS[kind]
        return error(message, retry_after_s=retry_after_s)
    return _FAILURES[kind]() if kind in _FAILURES else rejected(kind, groups, report)


def rejected(kind: str, groups: dict[str, str], report: Report) -> InvalidRequest:
    """Return the error for a kind of wrong request, in our own words."""
    param = groups.get("param") or report.param
    if kind == "rejected" and param:
        field_name = re.split(r"[.\[]", param)[0]
        kind = _OF_FIELDS.get(field_name, "unsupported" if report.is_unknown else "value")
    if kind == "context":
        size = report.size or groups.get("size", "").replace(",", "")
        limit = f"This model's context length is {size} tokens" if size else "This model's context is limited"
        return InvalidRequest(
            f"{limit}, and the request needs more. Shorten 'messages'. A lower 'max_tokens' helps as well.",
            param="messages",
            code="context_length_exceeded",
        )
    most = groups.get("most", "").replace("one", "1")
    text, own, code = _REJECTIONS["no_media" if most == "0" else kind]
    what = _MEDIA.get(groups.get("what", "").lower(), "images, audio or video")
    limit = f", at most {most}" if most else ""
    message = text.format(limit=limit, what=what, param=param)
    return InvalidRequest(message, param=own or param, code=groups.get("code", code))


_MEDIA = {"image": "images", "audio": "audio", "video": "videos"}
_OF_FIELDS = {"response_format": "schema", "tool_choice": "tool_choice", "messages": "messages"}
# What a status alone stands for.
_STATUSES = {
    **dict.fromkeys((400, 422, 501), "rejected"),
    413: "too_large",
    **dict.fromkeys((401, 403), "credentials"),
    **{402: "quota", 404: "model", 408: "timeout", 429: "rate_limited", 503: "overloaded", 504: "timeout"},
    529: "overloaded",  # as hosted models say it
}
# These names are right whatever the text beside them.
_CERTAIN = {"quota", "content_filter", "context"}
_VALUE, _UNSUPPORTED = "invalid_value", "unsupported_parameter"
# Our text, the parameter that it is about (else the one that the engine names), and our code.
_REJECTIONS: dict[str, tuple[str, str | None, str]] = {
    "rejected": (
        "The engine rejected the request as invalid. Check 'messages' and the optional fields.",
        None,
        _VALUE,
    ),
    "too_large": (
        "The request is too large for the engine, or for a proxy before it. Send less.",
        "messages",
        _VALUE,
    ),
    "messages": (
        "The engine rejected 'messages' as invalid. Check the roles, their order and their content.",
        "messages",
        _VALUE,
    ),
    "value": ("This engine does not take this value of '{param}'.", None, _VALUE),
    "unsupported": ("This engine does not take '{param}' for this model. Leave it out.", None, _UNSUPPORTED),
    "unsupported_value": (
        "This engine does not take this value of '{param}' for this model. Leave '{param}' out.",
        None,
        "unsupported_value",
    ),
    "max_tokens": (
        "This engine generates fewer tokens{limit}. Send a lower 'max_tokens'.",
        "max_tokens",
        _VALUE,
    ),
    "text_only": ("This model takes text only.", "messages", _VALUE),
    "no_media": ("This model takes no {what}.", "messages", _VALUE),
    "too_many_media": (
        "This engine takes fewer {what} in one request{limit}. Leave some out.",
        "messages",
        _VALUE,
    ),
    "media_invalid": (
        "The {what} in 'messages' could not be read. Send whole files of usual types, in base64.",
        "messages",
        _VALUE,
    ),
    "media_too_large": ("The {what} in 'messages' are too large for this engine.", "messages", _VALUE),
    "media_url": (
        "The engine does not fetch from a URL in 'messages'. Send the file itself, as a data URL.",
        "messages",
        _VALUE,
    ),
    "tools_off": (
        "This engine is not set up for tool calls with this model. Leave out 'tools', or let its operator "
        "enable them.",
        "tools",
        _UNSUPPORTED,
    ),
    "tool_choice": (
        "'tool_choice' does not fit 'tools', or this model was not set up for it.",
        "tool_choice",
        _VALUE,
    ),
    "tools_schema": ("A function in 'tools' is not one that this engine can follow.", "tools", _VALUE),
    "format_or_tools": (
        "This engine takes 'response_format' or 'tools', not both in one request.",
        "response_format",
        _VALUE,
    ),
    "schema": (
        "The schema in 'response_format' or 'tools' is not one that this engine can follow.",
        "response_format",
        _VALUE,
    ),
    "roles": (
        "This model takes messages of 'user' and 'assistant' in turns, the user's first. Merge neighbours of "
        "one role.",
        "messages",
        _VALUE,
    ),
    "no_system": (
        "This model takes no system message. Move its text into the first message of the user.",
        "messages",
        _VALUE,
    ),
    "system_first": (
        "This model takes a system message at the beginning only. Merge yours into one, as the first.",
        "messages",
        _VALUE,
    ),
    "history": (
        "This model does not take messages in this order. Each tool call needs its tool messages right after "
        "it, and the last message is the user's or a tool's.",
        "messages",
        _VALUE,
    ),
    "template": (
        "The model's chat template does not take these messages. Check their roles, order and content.",
        "messages",
        _VALUE,
    ),
    "json_word": (
        "With 'response_format' of the type json_object, 'messages' must contain the word JSON.",
        "messages",
        _VALUE,
    ),
    "top_logprobs": (
        "This engine gives fewer log-probabilities of a token{limit}. Send a lower 'top_logprobs'.",
        "top_logprobs",
        _VALUE,
    ),
    "logprobs": (
        "This engine gives no 'logprobs' for this model, or not with these fields. Leave them out.",
        "logprobs",
        _UNSUPPORTED,
    ),
    "greedy": (
        "This engine gives one choice at temperature 0. Send n = 1, or a temperature above 0.",
        "n",
        _VALUE,
    ),
    "choices": ("This engine gives fewer choices{limit}. Send a lower 'n'.", "n", _VALUE),
    "best_of": ("This engine does not take this value of 'best_of'. Leave it out.", "best_of", _VALUE),
    "reasoning": (
        "This model does not take this value of 'reasoning_effort'. Leave it out.",
        "reasoning_effort",
        "unsupported_value",
    ),
    "logit_bias": ("'logit_bias' has tokens that this model does not have.", "logit_bias", _VALUE),
    "tokens": ("'messages' has tokens that this model does not have.", "messages", _VALUE),
    "empty": ("'messages' comes to an empty prompt. Send some text.", "messages", _VALUE),
    "dimensions": (
        "This model gives no such number of dimensions. Leave 'dimensions' out.",
        "dimensions",
        "unsupported_value",
    ),
    "no_stream": ("This model does not stream. Send 'stream' false.", "stream", _UNSUPPORTED),
    "no_chat": ("This model does not answer chat completions. Send another 'model'.", "model", _VALUE),
    "content_filter": (
        "The engine's content filter refused 'messages'. Change them: the same will be refused again.",
        "messages",
        "content_filter",
    ),
}
_WAITS: dict[str, tuple[type[Overloaded] | type[RateLimited], str]] = {
    "overloaded": (Overloaded, "The engine is busy and takes no new requests. Try again shortly."),
    "loading": (Overloaded, "The engine is still loading the model. Try again shortly."),
    "rate_limited": (RateLimited, "The engine takes no more requests right now. Try again shortly."),
}
_FAILURES: dict[str, Callable[[], ApiError]] = {
    "failed": lambda: UpstreamError("The engine failed, and may have run the request.", retry=False),
    "dead": lambda: UpstreamError("The engine has crashed. Its operator has to look.", retry=False),
    "draining": EngineDraining,
    "memory": lambda: UpstreamError(
        "The engine ran out of memory. A shorter prompt may fit; else its operator has to look.", retry=False
    ),
    "output": lambda: UpstreamError("The engine could not read what its model wrote.", retry=False),
    "no_template": lambda: UpstreamError(
        "The engine has no chat template for this model. Its operator has to set one.", retry=False
    ),
    # A key that has been rotated is fetched again for the next request.
    "credentials": lambda: UpstreamError(
        "The engine does not accept this service's own credentials. Its operator has to correct them."
    ),
    "no_access": lambda: UpstreamError(
        "This service has no access to the model at its host. Its operator has to enable it there."
    ),
    "quota": lambda: QuotaExhausted("The engine's own quota is used up. Its operator has to raise it."),
    "timeout": lambda: UpstreamTimeout(
        "The engine did not answer in time, and may still run the request. Request fewer tokens.", retry=False
    ),
}
