"""Errors that engines report, translated into ours.

An engine's text may hold the prompt, a path or a stack trace. It is compared with recorded wordings
(`wordings.py`), each at the beginning of a sentence of the engine's own, and never repeated. An error counts
alike as a status, in a body with 200 and as an event. Known shapes, one inside another too:

    {"error": {"message", "type", "param", "code"}}     the code is a number, a string or a name
    {"error": "text", "error_type"}, {"object": "error", "message"}, {"message"}, {"detail"}, plain text
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from functions.chat.errors import (
    ApiError,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    UpstreamError,
    UpstreamTimeout,
)

from .wordings import CODES, FIELDS, NAMES, WORDINGS

INCOMPLETE = "The engine's reply was broken or incomplete. Try again."

_MAX_LENGTH = 64 * 1024
_MAX_DEPTH = 8
# What may stand before an engine's own sentence, with the class of the error.
_WRAPPERS = re.compile(
    r"\s+|b['\"](?=\{)"
    r"|(?:\w{1,40}\.){0,6}(?P<name>[A-Z]\w{1,60}(?:Error|Exception|Timeout)|Timeout)\s?(?::|-)\s?"
    r"|An error occurred \((?P<aws>\w{1,60})\) when calling the \w{1,60} operation[^:\n]{0,60}: "
    r"|(?:OpenAI )?(?:API )?[Ee]rror code: \d{3} - |\d{3} (?:[A-Z][A-Za-z ]{1,40}: )?(?=\S)"
    r"|(?:Input validation|Template|template|Tool|Internal server|Server|vLLM) error(?: \d{3})?: "
    r"|Value error, |invalid operation: |syntax error: |undefined value: |got exception: |Jinja Exception: "
    r"|The model returned the following errors: |Malformed input request: (?:#[^:\n]{0,60}: )?"
    r"|Request failed during generation: "
    r"|Failed to (?:initialize samplers|create new sequence|format input): "
    r"|Failed to deserialize the JSON body into the target type: (?:[\w.\[\]]{1,80}: )?"
    r"|\{['\"](?:error|detail)['\"]: ?['\"]?|\{(?:['\"](?:type|object)['\"]: ?['\"][\w ]{0,60}['\"], ?)?"
    r"(?:['\"]error['\"]: ?\{(?:['\"]type['\"]: ?['\"][\w ]{0,60}['\"], ?)?)?['\"]message['\"]: ?['\"]"
)
_TEMPLATE_TRACE = re.compile(r"While executing \w{1,40} at line \d+")
# Where in a request something is wrong, as OpenAI's API and FastAPI name it.
_PLACE = re.compile(r"(?:body\.)?([a-z_]{1,40})((?:\[\d{1,4}\]|\.[a-z_]{1,40}){0,8})")
# Pydantic's report as text: the place stands before the value, which is the caller's.
_VALIDATION = re.compile(
    r"(?:\d+ validation errors?:\s+|\[)\{'type': '(?P<type>\w{1,60})', 'loc': "
    r"(?P<loc>'[\w.]{1,200}'|\((?:'[\w.-]{1,60}'|\d{1,6}|, ?){1,60}\)), 'msg': ['\"]"
    r"|\d+ validation errors? for \w{1,80}\n(?P<path>[\w.]{1,200})\n  "
)


@dataclass(slots=True)
class _Report:
    """What an engine says of a failure; `names` are what stands in `code`, `type` and the like."""

    texts: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    codes: list[int] = field(default_factory=list)
    param: str | None = None
    size: int | None = None
    unknown: bool = False


def reports_error(value: Any) -> bool:
    """Return whether the JSON of a reply or an event is an error, in any of the shapes that engines use."""
    if not isinstance(value, dict):
        return False
    is_bare = "choices" not in value and bool({"detail", "message"} & value.keys())
    return is_bare or bool(value.get("error")) or value.get("object") == "error"


def translate(model: str, status: int, body: Any, retry_after_s: float = 1.0) -> ApiError:
    """Turn an engine's error into ours.

    Shape:  `status` is the HTTP status, 200 for an error in a reply or an event; `body` parsed JSON, text or
            None; `retry_after_s` the wait that the engine set.
    """
    report = _Report()
    _read(body, report, _MAX_DEPTH)
    wording, groups = _recorded(report)
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
    if kind in _WAITS:
        error, message = _WAITS[kind]
        return error(message, retry_after_s=retry_after_s)
    return _FAILURES[kind]() if kind in _FAILURES else _rejected(kind, groups, report)


def _read(value: Any, report: _Report, depth: int) -> None:
    """Collect what a body says, however deep its shape hides it."""
    if depth == 0:
        return
    if isinstance(value, str):
        _read_text(value[:_MAX_LENGTH], report, depth)
    elif isinstance(value, list):
        _read_validation(value, report, depth)
    elif isinstance(value, dict):
        for key in ("code", "status", "error_type", "type", "__type"):
            _add_name(value.get(key), report)
        if place := _PLACE.fullmatch(str(value.get("param"))):
            report.param = report.param or (place[1] in FIELDS and place[1] + place[2]) or None
        if isinstance(value.get("n_ctx"), int):
            report.size = value["n_ctx"]
        for key in ("error", "message", "Message", "detail", "innererror", "metadata", "raw"):
            _read(value.get(key), report, depth - 1)


def _read_text(text: str, report: _Report, depth: int) -> None:
    """Add a text, and what is left of it as each wrapper is taken off; JSON inside is read as such."""
    for _ in range(16):
        if text.startswith("{"):
            with suppress(ValueError, RecursionError):
                _read(json.JSONDecoder().raw_decode(text)[0], report, depth - 1)
                return
        if _TEMPLATE_TRACE.match(text):
            report.names.append("template")
            text = text.rpartition("\nError: ")[2]
        if place := _VALIDATION.match(text):
            kind, loc = place["type"] or "", place["loc"] or place["path"]
            report.unknown |= kind == "extra_forbidden"
            report.param = report.param or _field_in(loc)
            text = text[place.end() :]
        report.texts.append(text)
        wrapper = _WRAPPERS.match(text)
        if not wrapper or wrapper.end() == 0:
            return
        _add_name(wrapper["name"] or wrapper["aws"], report)
        text = text[wrapper.end() :]
        if wrapper[0].startswith("{"):  # JSON that was cut, or Python's form of a dict
            text = text.replace('\\"', '"').replace("\\n", "\n")


def _read_validation(errors: list[Any], report: _Report, depth: int) -> None:
    """Read a list of validation errors: what they are about and say, never the `input` that they quote."""
    for error in errors[:20]:
        if isinstance(error, dict):
            loc = error.get("loc")
            report.param = report.param or _field_in(
                " ".join(map(str, loc)) if isinstance(loc, list) else str(loc)
            )
            report.unknown |= error.get("type") == "extra_forbidden"
            if isinstance(message := error.get("msg"), str):
                _read_text(message[:_MAX_LENGTH], report, depth - 1)


def _add_name(value: Any, report: _Report) -> None:
    if isinstance(value, str) and len(value) <= 200:
        if re.fullmatch(r"\d{3}", value):
            report.codes.append(int(value))
        else:
            letters = re.sub("[^a-z]", "", value.rpartition("#")[2].lower())
            report.names += [re.sub("(?:error|exception)$", "", letters), value]
    elif isinstance(value, int | float) and not isinstance(value, bool) and 100 <= value <= 599:
        report.codes.append(int(value))


def _field_in(place: str) -> str | None:
    """Return the first name in a place that is a field of a request."""
    return next((name for name in re.findall(r"[a-z_]+", place[:1000]) if name in FIELDS), None)


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    return tuple((re.compile(pattern), kind) for kind, rows in WORDINGS.items() for _, pattern in rows)


def _recorded(report: _Report) -> tuple[str | None, dict[str, str]]:
    """Return the kind of the first recorded wording, and what it names."""
    for text in reversed(report.texts):
        for pattern, kind in _patterns():
            found = pattern.match(text)
            if found and (found.groupdict().get("param") or "stop") in FIELDS:
                return kind, {name: group for name, group in found.groupdict().items() if group}
    code = next((name for name in report.names if name in CODES), None)
    return (CODES[code], {"code": code}) if code and report.param else (None, {})


def _rejected(kind: str, groups: dict[str, str], report: _Report) -> InvalidRequest:
    """Return what is wrong with the request, in our own words."""
    param = groups.get("param") or report.param
    if kind == "rejected" and param:
        field_name = re.split(r"[.\[]", param)[0]
        kind = _OF_FIELDS.get(field_name, "unsupported" if report.unknown else "value")
    if kind == "context":
        size = report.size or groups.get("size")
        limit = f"This model's context length is {size} tokens" if size else "This model's context is limited"
        return InvalidRequest(
            f"{limit}, and the messages and 'max_tokens' together need more. Shorten one of them.",
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
    **dict.fromkeys((400, 413, 422, 501), "rejected"),
    **dict.fromkeys((401, 403), "credentials"),
    **{402: "quota", 404: "model", 408: "timeout", 429: "rate_limited", 503: "overloaded", 504: "timeout"},
}
# These names are right whatever the text beside them.
_CERTAIN = {"quota", "content_filter", "context"}
_VALUE, _UNSUPPORTED = "invalid_value", "unsupported_parameter"
# Our text, the parameter that it is about (else the one that the engine names), and our code.
_REJECTIONS: dict[str, tuple[str, str | None, str]] = {
    "rejected": (
        "The engine rejected the request as invalid. Check the roles, their order and the optional fields.",
        None,
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
    "tokens": ("The messages hold tokens that this model does not have.", "messages", _VALUE),
    "empty": ("The messages come to an empty prompt. Send some text.", "messages", _VALUE),
    "no_chat": ("This model does not answer chat completions. Send another 'model'.", "model", _VALUE),
    "content_filter": (
        "The engine's content filter refused the messages. Change them: the same will be refused again.",
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
    "draining": lambda: UpstreamError("The engine is shutting down. Try again."),
    "memory": lambda: UpstreamError(
        "The engine ran out of memory. A shorter prompt may fit; else its operator has to look.", retry=False
    ),
    "output": lambda: UpstreamError("The engine could not read what its model wrote.", retry=False),
    "no_template": lambda: UpstreamError(
        "The engine has no chat template for this model. Its operator has to set one.", retry=False
    ),
    "credentials": lambda: UpstreamError(
        "The engine does not accept this service's own credentials. Its operator has to correct them.",
        retry=False,
    ),
    "quota": lambda: QuotaExhausted("The engine's own quota is used up. Its operator has to raise it."),
    "timeout": lambda: UpstreamTimeout(
        "The engine did not answer in time, and may still run the request. Request fewer tokens.", retry=False
    ),
}
