"""Completions of a text, streamed and whole, brought into the contract's shape.

What they share with chat completions is there. A choice has its text and nothing else: what engines add to it
is left out.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any

from functions.chat.engines.engine import Chunks, End, Event, Failure, Reply, Run
from functions.chat.engines.errors import INCOMPLETE
from functions.chat.errors import UpstreamError

from .chat import ChatReply, ChatStream, typed
from .normalise import Choice, broken, logprob_of

# What llama.cpp calls itself where its build has no number.
_UNKNOWN_BUILD = "b0-unknown"


class TextStream(ChatStream):
    """Read one streamed completion.

    Shape:  `n` choices of all prompts together, numbered prompt by prompt, `each` of one. `logprobs`: the
            request's. `counts_by_choice`: the last chunk of each choice has the count of that choice.
    """

    def __init__(
        self,
        *,
        each: int = 1,
        logprobs: int | None = None,
        counts_by_choice: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._each, self._logprobs, self._counts_by_choice = each, logprobs, counts_by_choice
        self._lengths: dict[int, int] = {}
        self._counts: dict[int, dict[str, Any]] = {}

    def _identify(self, chunk: dict[str, Any]) -> dict[str, Any]:
        return identity(chunk, self._model, "unknown")

    def _kept(self, chunk: dict[str, Any]) -> dict[str, Any]:
        return kept(chunk)

    def _counted(self, usage: dict[str, Any], chunk: dict[str, Any]) -> dict[str, Any]:
        choices = chunk.get("choices")
        if not (self._counts_by_choice and isinstance(choices, list)):
            return usage
        for choice in choices:
            if isinstance(choice, dict) and type(choice.get("index")) is int:
                self._counts[choice["index"]] = usage
        return added(self._counts, self._each) or usage

    def _piece(self, choice: Choice, index: int, came: dict[str, Any]) -> dict[str, Any]:
        choice.has_begun = True
        offset = self._lengths.get(index, 0)
        left = text_choice(choice, index, came, self._logprobs, offset)
        self._lengths[index] = offset + len(left["text"])
        return left


class TextReply(ChatReply):
    """Read one completion that comes whole."""

    def __init__(self, *, logprobs: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._logprobs = logprobs

    def _identify(self, reply: dict[str, Any]) -> dict[str, Any]:
        return identity(reply, self._model, self._request_id)

    def _kept(self, reply: dict[str, Any]) -> dict[str, Any]:
        return kept(reply)

    def _normalise(self, reply: dict[str, Any], usage: dict[str, Any] | None) -> dict[str, Any]:
        left = super()._normalise(reply, usage)
        return {**left, "choices": sorted(left["choices"], key=lambda choice: int(choice["index"]))}

    def _choice(self, came: Any, place: int) -> dict[str, Any]:
        if not isinstance(came, dict):
            raise UpstreamError(INCOMPLETE, retry=False)
        index = place if came.get("index") is None else came["index"]
        choice = Choice(expects_call=False)
        left = text_choice(choice, index, came, self._logprobs, 0)
        if type(index) is not int or not choice.is_finished:
            raise UpstreamError(INCOMPLETE, retry=False)
        return left


class Assembled:
    """Read a stream, and return it as a whole reply: of some engines, only a stream counts each choice."""

    def __init__(self, stream: TextStream) -> None:
        self._stream = stream
        self._reply: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self._stream.ended

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take a piece of the body; what came of it counts."""
        return self._collected(self._stream.feed(data))

    def flush(self) -> Sequence[Event]:
        """Take the end of the body; return the reply and the end, or a failure."""
        return self._collected(self._stream.flush())

    def _collected(self, events: Iterable[Event]) -> Sequence[Event]:
        ready: list[Event] = []
        for event in events:
            if isinstance(event, Chunks):
                for chunk in event.values:
                    self._add(chunk)
                ready.append(Run(b"", event.tokens))
            elif isinstance(event, End):
                choices = [choice for _, choice in sorted(self._choices.items())]
                usage = {"usage": event.usage} if event.usage else {}
                ready += (Reply({**self._reply, "choices": choices, **usage}), event)
            elif isinstance(event, Failure):
                ready.append(event)
        return ready

    def _add(self, chunk: dict[str, Any]) -> None:
        self._reply = self._reply or {key: value for key, value in chunk.items() if key != "usage"}
        for piece in chunk["choices"]:
            whole = self._choices.setdefault(piece["index"], {**piece, "text": "", "logprobs": None})
            whole["text"] += piece["text"]
            whole["finish_reason"] = piece["finish_reason"]
            if piece["logprobs"]:
                whole["logprobs"] = whole["logprobs"] or {name: [] for name in piece["logprobs"]}
                for name, more in piece["logprobs"].items():
                    whole["logprobs"][name] += more


def identity(reply: dict[str, Any], model: str, otherwise: str) -> dict[str, Any]:
    """Return what is the same in all chunks of a completion."""
    own = typed(reply.get("id"), otherwise)
    return {
        "id": f"cmpl-{own.removeprefix('chatcmpl-').removeprefix('cmpl-')}",
        "object": "text_completion",
        "created": typed(reply.get("created"), int(time.time())),
        "model": model,
    }


def kept(reply: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept of a reply, or a chunk, besides its identity and its choices."""
    build = reply.get("system_fingerprint")
    is_known = isinstance(build, str) and build != _UNKNOWN_BUILD
    return {"system_fingerprint": build} if is_known else {}


def text_choice(
    choice: Choice, index: int, came: dict[str, Any], logprobs: int | None, offset: int
) -> dict[str, Any]:
    """Return a choice, or a piece of one, as it leaves.

    Raises: UpstreamError, for what cannot be read.
    """
    text = came.get("text")
    if not isinstance(text, str | None) or "delta" in came or "message" in came:
        raise broken()
    found = came.get("logprobs")
    return {
        "index": index,
        "text": text or "",
        "logprobs": None if found is None or logprobs is None else _logprobs(found, logprobs, offset),
        "finish_reason": choice.finish(came.get("finish_reason")),
    }


def _logprobs(found: Any, count: int, offset: int) -> dict[str, Any]:
    """Return log-probabilities in the shape of completions; llama.cpp's are in that of chat.

    Raises: UpstreamError, for what are none.
    """
    try:
        if "content" in found:
            entries = found["content"] or []
            tokens = [entry["token"] for entry in entries]
            values = [entry["logprob"] for entry in entries]
            tops = [
                {top["token"]: top["logprob"] for top in entry.get("top_logprobs") or ()} for entry in entries
            ]
        else:
            tokens, values = [*found["tokens"]], found["token_logprobs"]
            tops = found.get("top_logprobs") or [{} for _ in tokens]
        if count == 0:
            tops = [{} for _ in tokens]
        tops = [top | {token: value} for token, value, top in zip(tokens, values, tops, strict=True)]
        tops = [{token: logprob_of(value) for token, value in top.items()} for top in tops]
        *offsets, _ = accumulate(map(len, tokens), initial=offset)
        values = [top[token] for token, top in zip(tokens, tops, strict=True)]
        if not all(isinstance(token, str) for token in tokens):
            raise TypeError
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise broken() from error
    return {"tokens": tokens, "token_logprobs": values, "top_logprobs": tops, "text_offset": offsets}


def added(counts: dict[int, dict[str, Any]], each: int) -> dict[str, Any] | None:
    """Return the count of all choices together: a prompt counts once, however many choices it has."""
    by_prompt = {index // each: usage for index, usage in sorted(counts.items(), reverse=True)}
    if not by_prompt:
        return None
    prompt = sum(usage["prompt_tokens"] for usage in by_prompt.values())
    completion = sum(usage["completion_tokens"] for usage in counts.values())
    total: dict[str, Any] = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
    }
    details = [usage.get("prompt_tokens_details") for usage in by_prompt.values()]
    cached = [each.get("cached_tokens") for each in details if isinstance(each, dict)]
    if cached and all(type(each) is int for each in cached):
        total["prompt_tokens_details"] = {"cached_tokens": sum(cached)}
    return total
