"""One normaliser for chat completions, streamed and whole: what engines send, in the contract's shape.

What leaves is strict; what comes may be odd, as long as its meaning is plain. What could only be left out
fails the reply instead (`docs/decisions/0003-what-is-repaired-in-a-stream.md`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from functions.chat.errors import UpstreamError

from .calls import ToolCalls, text_of_arguments
from .tagged import TaggedReasoning

BROKEN = "The engine sent something that is not part of a completion. Nothing after this can be trusted."
# OpenAI's words for why a choice ended, and what engines say instead.
FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
_OTHER_REASONS = {
    **dict.fromkeys(
        (
            *("eos", "eos_token", "end", "end_id", "end_turn", "end_of_turn", "stop_token", "stop_sequence"),
            *("stop_words", "complete", "completed", "finish", "finished", "done"),
        ),
        "stop",
    ),
    "repetition": "stop",  # vLLM cut a loop
    **dict.fromkeys(
        (
            *("max_tokens", "max_new_tokens", "max_output_tokens", "max_completion_tokens", "max_length"),
            *("model_length", "token_limit", "out_of_tokens", "model_context_window_exceeded"),
        ),
        "length",
    ),
    **dict.fromkeys(("tool_use", "tool_call", "tool_calling"), "tool_calls"),
    **dict.fromkeys(
        (
            *("content_filtered", "safety", "guardrail_intervened", "refusal", "recitation", "blocklist"),
            *("prohibited_content", "spii", "image_safety", "sensitive", "error_toxic"),
        ),
        "content_filter",
    ),
}
# Members of a reply that engines fill with what the contract does not have, and what it has.
_FITS: Mapping[str, Callable[[Any], bool]] = {
    "error": bool,
    "system_fingerprint": lambda value: isinstance(value, str),
    "service_tier": (None, "auto", "default", "flex", "scale", "priority", "fast").__contains__,
}
_DETAILS = frozenset({"prompt_tokens_details", "completion_tokens_details"})
# How OpenAI writes the log-probability of what is all but impossible.
IMPOSSIBLE = -9999.0
# Engines send one of these; clients read one of the first two.
_REASONING = ("reasoning_content", "reasoning", "thinking", "reasoning_text")
# The types of content parts, by what they hold.
_PARTS = {
    **dict.fromkeys(("text", "output_text"), "content"),
    **dict.fromkeys(("thinking", "reasoning", "reasoning_text", "summary_text"), "reasoning"),
    "refusal": "refusal",
}


class Choice:
    """One choice of a completion: what has come of it, and what it has to become.

    Shape:  `expects_call`: the request left the model no choice but to call a tool. `tagged`: its content may
            begin with reasoning in tags, until which has ended every piece is read.
    """

    def __init__(self, *, expects_call: bool, tagged: bool = False) -> None:
        self.has_begun = self.is_finished = False
        self.tagged = TaggedReasoning() if tagged else None
        self._calls = ToolCalls()
        self._expects_call = expects_call
        self._has_called = False

    def message(self, came: Any, *, whole: bool, last: bool = False) -> dict[str, Any]:
        """Return a message, or a piece of one, as it leaves.

        Shape:  `last`: it is the last piece.
        Raises: UpstreamError, for what cannot be read.
        """
        if not isinstance(came, dict | None):
            raise broken()
        said = {key: value for key, value in (came or {}).items() if not _is_absent(key, value)}
        found = self._read_texts(said, last=whole or last)
        self._read_calls(said, whole=whole)
        if reasoning := found.get("reasoning"):
            said |= {"reasoning_content": reasoning, "reasoning": reasoning}
        _add_refusal(said, found.get("refusal", ""))
        begins, self.has_begun = not self.has_begun, True
        if whole or begins or "role" in said:
            said["role"] = "assistant"
        if whole:
            is_empty = not (self._has_called or reasoning or said.get("refusal"))
            said |= {"content": found.get("content", "" if is_empty else None)}
            said.setdefault("refusal", None)
        elif "content" in found:
            said["content"] = found["content"]
        elif self._has_called and came and "content" in came:
            said["content"] = None
        elif begins or not self._has_called:
            said["content"] = ""  # simple clients read `delta.content` of every event, the last one too
        return said

    def finish(self, reason: Any) -> str | None:
        """Return why the choice ended, in the contract's words; None while it goes on.

        Raises: UpstreamError for a reason that means it did not end by itself, such as vLLM's `abort`.
        """
        if reason is None or reason in ("", "null"):
            return None
        word = reason if isinstance(reason, str) else ""
        if word not in FINISH_REASONS:  # Gemini adds its own word: `content_filter: RECITATION`
            word = word.partition(":")[0].lower().replace("-", "_").removeprefix("finish_reason_")
            word = _OTHER_REASONS.get(word, word)
        if word not in FINISH_REASONS:
            raise UpstreamError("The engine stopped the completion before it was whole.", retry=False)
        self._calls.check_complete()
        if self._expects_call and not self._has_called and word not in ("length", "content_filter"):
            raise UpstreamError(
                "The model answered in words where 'tool_choice' requires a call. "
                'Send tool_choice "auto", or a request that the tool fits.',
                retry=False,
            )
        self.is_finished = True
        return "tool_calls" if word == "stop" and self._calls else word  # agents go on by this word

    def _read_texts(self, said: dict[str, Any], *, last: bool) -> dict[str, str]:
        """Take the content and the reasoning out of what came; return them, with a refusal in the content."""
        found = _texts_of(said.pop("content", None) if "content" in said else said.pop("text", None))
        for name in _REASONING:
            if name in said:
                _add_reasoning(found, said.pop(name))
        if self.tagged:
            found = self.tagged.split(found, last=last)
            if self.tagged.ended:
                self.tagged = None
        return found

    def _read_calls(self, said: dict[str, Any], *, whole: bool) -> None:
        calls = self._calls.read(said.pop("tool_calls", None) or [], whole=whole)
        if calls:
            said["tool_calls"] = calls
        if "function_call" in said:
            call = said["function_call"]
            if not isinstance(call, dict) or not isinstance(call.get("name"), str if whole else str | None):
                raise broken()
            said["function_call"] = {**call, "arguments": text_of_arguments(call.get("arguments"))}
        self._has_called |= bool(self._calls) or "function_call" in said


def says_something(message: dict[str, Any]) -> bool:
    """Return whether a message, or a piece of one, holds anything that the model said."""
    said = ("content", "tool_calls", "function_call", "reasoning", "refusal", "audio", "text")
    return any(message.get(name) for name in said)


def complete_logprobs(choice: dict[str, Any]) -> None:
    """Give a choice's logprobs the members that the contract requires.

    Raises: UpstreamError, for what are none.
    """
    if not choice.get("logprobs"):
        if "logprobs" in choice:
            choice["logprobs"] = None
        return
    try:
        logprobs = choice["logprobs"] = {"content": None, "refusal": None, **choice["logprobs"]}
        for name in ("content", "refusal"):
            if not logprobs[name]:
                logprobs[name] = [] if logprobs[name] == [] else None
                continue
            logprobs[name] = [
                {**_token(each), "top_logprobs": [_token(other) for other in each.get("top_logprobs") or ()]}
                for each in logprobs[name]
            ]
    except (AttributeError, LookupError, TypeError) as error:
        raise broken() from error


def _token(came: dict[str, Any]) -> dict[str, Any]:
    utf8 = came.get("bytes")
    is_utf8 = isinstance(utf8, list) and all(type(byte) is int for byte in utf8)
    if not isinstance(came["token"], str):
        raise TypeError
    return {**came, "logprob": logprob_of(came["logprob"]), "bytes": utf8 if is_utf8 else None}


def logprob_of(value: Any) -> Any:
    """Return a log-probability; of what is impossible, some engines send null.

    Raises: TypeError, for what is none.
    """
    if value is not None and type(value) not in (int, float):
        raise TypeError
    return IMPOSSIBLE if value is None else value


def tidy(reply: dict[str, Any]) -> dict[str, Any]:
    """Return a reply, or a chunk, without empty errors and what has another type or value in the contract."""
    odd = {key for key, fits in _FITS.items() if key in reply and not fits(reply[key])}
    return {key: value for key, value in reply.items() if key not in odd} if odd else reply


def usage_of(value: Any) -> dict[str, Any] | None:
    """Return an engine's count of tokens, complete; None where it is not one."""
    if not isinstance(value, dict):
        return None
    usage = without_nulls(value)
    for name in _DETAILS & usage.keys():
        counts = usage.pop(name)
        if isinstance(counts, dict):
            usage[name] = {key: count for key, count in counts.items() if type(count) is int and count >= 0}
    prompt, completion, total = (usage.get(f"{name}_tokens") for name in ("prompt", "completion", "total"))
    if type(prompt) is not int or prompt < 0:
        return None
    if type(completion) is not int or completion < 0:
        completion = max(total - prompt, 0) if type(total) is int else 0
    total = total if type(total) is int else prompt + completion
    return {**usage, "completion_tokens": completion, "total_tokens": total}


def without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    """Return an object without the members that are null, and its objects likewise."""
    kept = {key: member for key, member in value.items() if member is not None}
    return {
        key: without_nulls(member) if isinstance(member, dict) else member for key, member in kept.items()
    }


def broken() -> UpstreamError:
    """Return the error for what is not part of a completion."""
    return UpstreamError(BROKEN, retry=False)


def _is_absent(name: str, value: Any) -> bool:
    """Return whether a member of a message is the same as absent."""
    return (value is None and name != "refusal") or (not value and name in ("audio", "function_call"))


def _texts_of(content: Any) -> dict[str, str]:
    """Return the text, reasoning and refusal in a content: text by "content", "reasoning", "refusal".

    Raises: UpstreamError for a part of another type, which would be lost.
    """
    if content is None:
        return {}
    if isinstance(content, str):
        return {"content": content}
    found: dict[str, str] = {"content": ""}
    for part in content if isinstance(content, list) else [content]:
        kind, text = ("content", part) if isinstance(part, str) else _part(part)
        found[kind] = found.get(kind, "") + text
    return found


def _part(part: Any) -> tuple[str, str]:
    kind = _PARTS.get(part.get("type", "text")) if isinstance(part, dict) else None
    if not kind:
        raise broken()
    names = (part.get("type", "text"), "text", "content", "summary")
    texts = [part[name] for name in names if name in part]
    if not texts:
        raise broken()
    return kind, next(("".join(_texts_of(text).values()) for text in texts if text is not None), "")


def _add_reasoning(found: dict[str, str], value: Any) -> None:
    """Add what one of its names holds; engines that send two send the same twice."""
    text = "".join(_texts_of(value).values())
    if text and found.get("reasoning", text) != text:
        raise broken()
    if text:
        found["reasoning"] = text


def _add_refusal(said: dict[str, Any], text: str) -> None:
    """Add what the parts of a content hold of a refusal to that of its own name."""
    if not isinstance(said.get("refusal"), str | None):
        raise broken()
    if text:
        said["refusal"] = (said.get("refusal") or "") + text
