"""One completion's stream: runs of events in, runs that the caller may see out, and how it ended.

A run passes unread if every event in it is one line of `data: {…}` that bears this stream's identity
and plain content, and nothing in it ends, calls a tool, counts or complains. Any other event is read;
it passes as it came where the contract allows it, is mended where it can be, and ends the stream as
failed where it cannot. Unescaped quotes delimit JSON strings, so what is searched for, such as
`"finish_reason":null`, cannot be part of a text that the model wrote.
"""

from __future__ import annotations

import enum
from typing import Any

from functions.chat.errors import ApiError, UpstreamError
from functions.chat.json_text import dump
from functions.chat.streams.chunks import (
    BROKEN,
    drop_nulls,
    finish_reason,
    mend_calls,
    mend_logprobs,
    read_chunk,
    typed,
)
from functions.chat.streams.sse import DONE, EventSplitter, event, payload_of


class State(enum.Enum):
    """Where a completion's stream stands."""

    OPEN = enum.auto()
    DONE = enum.auto()
    FAILED = enum.auto()


class CompletionStream:
    """Check one completion's stream as it passes.

    Shape:  `feed` every chunk, then `flush` at the end of the input. Each returns whole events to send,
            often none. Once `state` is not OPEN, nothing more comes; if it is FAILED, `failure` says why,
            and what was returned before stays valid. `usage` is the engine's own count, once it came.
    """

    def __init__(self, *, model: str, n: int = 1, include_usage: bool = False) -> None:
        self.state = State.OPEN
        self.failure: ApiError | None = None
        self.usage: dict[str, Any] | None = None
        self._model = model
        self._n = n
        self._include_usage = include_usage
        self._usage_sent = False
        self._usage_mark = b'"usage":{' if include_usage else b'"usage":'
        self._splitter = EventSplitter()
        self._identity: dict[str, Any] = {}
        self._identity_mark = b""
        self._started: set[int] = set()
        self._calling: set[int] = set()
        self._finished: set[int] = set()

    def feed(self, chunk: bytes) -> bytes:
        """Take what the engine sent; return the events that the caller may see by now."""
        if self.state is not State.OPEN:
            return b""
        try:
            run = self._splitter.feed(chunk)
        except ApiError as failure:
            return self._fail(failure)
        return run if not run or self._passes(run) else self._read(run)

    def flush(self) -> bytes:
        """Take the end of the engine's stream; an end before `[DONE]` is a failure."""
        out = self._read(self._splitter.flush()) if self.state is State.OPEN else b""
        if self.state is State.OPEN:
            self._fail(
                UpstreamError("The engine ended its stream before the completion was whole. Try again.")
            )
        return out

    def _passes(self, run: bytes) -> bool:
        """Tell whether a run may go out unread: the hot path, a few searches over the whole run."""
        events = run.count(b"\n\n")
        mark = self._identity_mark
        return (
            mark != b""
            and run.count(mark) == events
            and run.count(b'"delta":{"content":"') == events
            and run.count(b'"finish_reason":null') == events
            and run.count(b"}\n\ndata: {") == events - 1
            and run.count(b"\n") == 2 * events
            and run.startswith(b"data: {")
            and run.endswith(b"}\n\n")
            and b'"finish_reason":"' not in run
            and b'"tool_calls":' not in run
            and b'"logprobs":{' not in run
            and b'"error":' not in run
            and self._usage_mark not in run
            and len(self._started) == self._n
            and not self._finished
        )

    def _read(self, run: bytes) -> bytes:
        out = []
        for text in run.split(b"\n\n"):
            try:
                out.append(self._event(text))
            except ApiError as failure:
                self._fail(failure)
            if self.state is not State.OPEN:
                break
        return b"".join(out)

    def _event(self, text: bytes) -> bytes:
        payload = payload_of(text)
        if not payload:
            return b""
        if payload == b"[DONE]":
            return self._done()
        chunk = read_chunk(payload, self._model)
        payload = self._identified(chunk, payload)
        mended = [self._drop_late(chunk)]
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        if not chunk["choices"] and not (self._include_usage and isinstance(chunk.get("usage"), dict)):
            return b""
        mended += [self._choice(choice) for choice in chunk["choices"]]
        mended.append(self._hold_usage(chunk))
        return event(dump(chunk) if any(mended) or b"\n" in payload else payload)

    def _done(self) -> bytes:
        if not set(range(self._n)) <= self._finished:
            raise UpstreamError(
                "The engine ended its stream without saying why the completion stops. Try again."
            )
        self.state = State.DONE
        if self._include_usage and self.usage and not self._usage_sent:
            drop_nulls(self.usage)
            return event(dump({**self._identity, "choices": [], "usage": self.usage})) + DONE
        return DONE

    def _fail(self, failure: ApiError) -> bytes:
        self.state, self.failure = State.FAILED, failure
        return b""

    def _identified(self, chunk: dict[str, Any], payload: bytes) -> bytes:
        """Hold id, object, created and model to those of the first event, by splicing where they differ."""
        if not self._identity:
            self._identity = {
                "id": typed(chunk.get("id"), "chatcmpl-unknown"),
                "object": "chat.completion.chunk",
                "created": typed(chunk.get("created"), 0),
                "model": self._model,
            }
            payload = self._spliced(chunk, payload)
            self._identity_mark = _span(payload, self._identity)
            return payload
        return self._spliced(chunk, payload)

    def _spliced(self, chunk: dict[str, Any], payload: bytes) -> bytes:
        for key, value in self._identity.items():
            if chunk.get(key) != value:
                old, new = _member(key, chunk.get(key)), _member(key, value)
                in_place = key in chunk and old in payload
                chunk[key] = value
                payload = payload.replace(old, new, 1) if in_place else dump(chunk)
        return payload

    def _drop_late(self, chunk: dict[str, Any]) -> bool:
        """Leave out what comes of a choice after its finish reason; tell whether anything did."""
        came, finished = chunk["choices"], list(self._finished)
        kept = [each for each in came if not isinstance(each, dict) or each.get("index", 0) not in finished]
        chunk["choices"] = kept
        return len(kept) < len(came)

    def _choice(self, choice: Any) -> bool:
        """Note one choice's progress; mend its delta in place and tell whether that was needed."""
        if not isinstance(choice, dict) or not isinstance(choice.get("delta"), dict):
            raise UpstreamError(BROKEN)
        mended = not {"index", "finish_reason"} <= choice.keys()
        index = choice.setdefault("index", 0)
        if index not in range(self._n):
            raise UpstreamError(BROKEN)
        mended |= self._mend_delta(index, choice["delta"])
        mended |= mend_logprobs(choice)
        return self._finish(index, choice) or mended

    def _mend_delta(self, index: int, delta: dict[str, Any]) -> bool:
        mended = index not in self._started and delta.get("role") != "assistant"
        if mended:
            delta["role"] = "assistant"
        self._started.add(index)
        if delta.get("tool_calls"):
            self._calling.add(index)
            mended |= mend_calls(delta["tool_calls"])
        elif index not in self._calling and not isinstance(delta.get("content"), str):
            # Simple clients read `delta.content` of every event, the last one too.
            delta["content"] = ""
            mended = True
        return mended

    def _finish(self, index: int, choice: dict[str, Any]) -> bool:
        reason = choice.setdefault("finish_reason", None)
        if reason is not None:
            choice["finish_reason"] = finish_reason(reason)
            self._finished.add(index)
        return choice["finish_reason"] is not reason

    def _hold_usage(self, chunk: dict[str, Any]) -> bool:
        """Keep usage to a chunk of its own, the last, and only if asked for; tell whether this changed."""
        if chunk["choices"]:
            shown = chunk.get("usage", ...)
            if shown is ... or (shown is None and self._include_usage):
                return False
            del chunk["usage"]
            return True
        self._usage_sent = True
        return drop_nulls(chunk["usage"])


def _member(key: str, value: Any) -> bytes:
    return dump({key: value})[1:-1]


def _span(payload: bytes, identity: dict[str, Any]) -> bytes:
    """Return the bytes that hold all of the identity, if they stand together; else b""."""
    members = [_member(key, value) for key, value in identity.items()]
    places = [payload.find(member) for member in members]
    if min(places) < 0:
        return b""
    end = max(place + len(member) for place, member in zip(places, members, strict=True))
    span = payload[min(places) : end]
    return b"" if b'"choices"' in span else span
