"""Errors that engines report, translated into ours.

An engine's text may hold the prompt, a path or a stack trace. It is searched for the kind of fault, and never
repeated. Known shapes: vLLM `{"error": {…, "code": 400}}` and `{"error": "Unauthorized"}`,
llama.cpp `{"error": {…, "type": "…"}}`, FastAPI `{"detail": …}`, plain text (`tests/recordings`).
"""

from __future__ import annotations

import re
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

INCOMPLETE = "The engine's reply was broken or incomplete. Try again."

_CONTEXT = re.compile(
    r"maximum context length is (\d+)|available context size \((\d+)"
    r"|max_model_len=(\d+)|context_length_exceeded"
)
_REJECTIONS: tuple[tuple[re.Pattern[str], str | None, str], ...] = (
    (
        re.compile(r"image|multi-?modal|mmproj|audio input|video", re.I),
        "messages",
        "This model takes text only.",
    ),
    (
        re.compile(r"greedy", re.I),
        "n",
        "This engine gives one choice at temperature 0. Send n = 1, or a temperature above 0.",
    ),
    (
        re.compile(r"grammar|schema|response_format", re.I),
        "response_format",
        "The schema in 'response_format' or 'tools' is not one that this engine can follow.",
    ),
    (
        re.compile(r"tool_choice", re.I),
        "tool_choice",
        "'tool_choice' does not fit 'tools', or this model was not set up for it.",
    ),
    (re.compile(r"top_p", re.I), "top_p", "This engine does not take this value of 'top_p'."),
)


def translate(model: str, status: int, body: Any, retry_after_s: float = 1.0) -> ApiError:
    """Turn an engine's error reply into ours.

    Shape:  `status` is the HTTP status, or the code within an error event; `body` parsed JSON or None;
            `retry_after_s` the wait that the engine set.
    """
    error = body.get("error", body) if isinstance(body, dict) else body
    text = str(error)
    if isinstance(error, dict):
        text = " ".join(str(error.get(key, "")) for key in ("message", "type", "param", "code"))
    if status == 429:
        if "insufficient_quota" in text:
            return QuotaExhausted("The engine's own quota is used up. Its operator has to raise it.")
        return RateLimited(
            "The engine takes no more requests right now. Try again shortly.", retry_after_s=retry_after_s
        )
    if status == 503:
        return Overloaded(
            "The engine is busy and takes no new requests. Try again shortly.", retry_after_s=retry_after_s
        )
    if status in (408, 504):
        return UpstreamTimeout("The engine did not answer in time. Try again, or request fewer tokens.")
    if status == 404:
        return ModelNotFound(model)
    # llama.cpp answers 500 to an image sent to a text model: the request is wrong, not the server.
    if status in (400, 413, 422) or "input is not supported" in text:
        return _rejected(text)
    return UpstreamError(f"The engine failed to answer (status {status}). Try again.")


def _rejected(text: str) -> InvalidRequest:
    if context := _CONTEXT.search(text):
        size = next((group for group in context.groups() if group), None)
        limit = f"This model's context length is {size} tokens" if size else "This model's context is limited"
        return InvalidRequest(
            f"{limit}, and the messages and 'max_tokens' together need more. Shorten one of them.",
            param="messages",
            code="context_length_exceeded",
        )
    for pattern, param, message in _REJECTIONS:
        if pattern.search(text):
            return InvalidRequest(message, param=param, code="invalid_value")
    return InvalidRequest(
        "The engine rejected the request as invalid. Check the roles, their order and the optional fields.",
        code="invalid_value",
    )
