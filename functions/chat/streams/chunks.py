"""One chunk of a completion, or one choice of a whole one: read, and mended where it falls short.

What is mended is mended in place, and told: an event that needed nothing leaves as the bytes it came in.
`docs/decisions/0003-what-is-repaired-in-a-stream.md` says what and why.
"""

from __future__ import annotations

from typing import Any

from functions.chat.engines.errors import translate
from functions.chat.errors import ApiError, UpstreamError
from functions.chat.json_text import parse

FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
BROKEN = "The engine sent something that is not part of a completion. Nothing after this can be trusted."


def read_chunk(payload: bytes, model: str) -> dict[str, Any]:
    """Parse an event's payload.

    Raises: ApiError, for an error that the engine tells of, and for what is no chunk.
    """
    try:
        chunk = parse(payload)
    except (ValueError, RecursionError) as error:
        raise UpstreamError(BROKEN) from error
    if not isinstance(chunk, dict):
        raise UpstreamError(BROKEN)
    if chunk.get("error"):
        raise _engine_error(chunk, model)
    if not isinstance(chunk.get("choices"), list):
        raise UpstreamError(BROKEN)
    return chunk


def _engine_error(chunk: dict[str, Any], model: str) -> ApiError:
    code = chunk["error"].get("code") if isinstance(chunk["error"], dict) else None
    return translate(model, code if isinstance(code, int) else 500, chunk)


def finish_reason(reason: Any) -> str:
    """Return the contract's word for why a choice ended.

    Raises: UpstreamError for a reason that means it did not end by itself, such as vLLM's `abort`.
    """
    if reason == "repetition":  # vLLM cut a loop
        return "stop"
    if not isinstance(reason, str) or reason not in FINISH_REASONS:
        raise UpstreamError("The engine stopped the completion before it was whole. Try again.")
    return reason


def mend_logprobs(choice: dict[str, Any]) -> bool:
    """Give a choice's logprobs the members that the contract asks for, in place; tell whether any lacked."""
    logprobs = choice.get("logprobs")
    if not isinstance(logprobs, dict) or {"content", "refusal"} <= logprobs.keys():
        return False
    choice["logprobs"] = {"content": None, "refusal": None, **logprobs}
    return True


def drop_nulls(value: dict[str, Any], keep: tuple[str, ...] = ()) -> bool:
    """Remove members that are null, in place; tell whether there were any."""
    nulls = [key for key, member in value.items() if member is None and key not in keep]
    for key in nulls:
        del value[key]
    return bool(nulls)


def mend_calls(calls: Any) -> bool:
    """Give a tool call's first piece its arguments; tell whether any lacked them."""
    if not isinstance(calls, list):
        raise UpstreamError(BROKEN)
    mended = False
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and "name" in function and function.get("arguments") is None:
            function["arguments"] = ""
            mended = True
    return mended


def typed(value: Any, otherwise: Any) -> Any:
    """Return an engine's value if it is of the type of the other and says something; else the other."""
    return value if value and type(value) is type(otherwise) else otherwise
