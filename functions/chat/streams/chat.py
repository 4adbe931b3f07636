"""Chat completions as engines send them, read into events and brought into the contract's shape.

A run of events passes unread if every event in it is one line of `data: {…}` that bears this stream's
identity and plain content, and none finishes a choice, calls a tool, counts tokens or reports an error.
Unescaped quotes delimit JSON strings, so what is searched for, such as `"finish_reason":null`, cannot be part
of a text that the model wrote. Any other event is read: it passes as it came where the contract allows it, is
normalised where it can be, and ends the stream as failed where it cannot
(`docs/decisions/0003-what-is-repaired-in-a-stream.md`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from functions.chat.engines.engine import Chunks, End, Event, Failure, Reply, Run
from functions.chat.engines.errors import INCOMPLETE, translate
from functions.chat.errors import ApiError, UpstreamError
from functions.chat.json_text import dump, parse

from .sse import MAX_EVENT_BYTES, EventSplitter, event, payload_of

FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})
BROKEN = "The engine sent something that is not part of a completion. Nothing after this can be trusted."


class ChatStream:
    """Read one streamed completion.

    Shape:  feed every piece, then flush. Each returns events, often none; what was returned before a failure
            stays valid.
    """

    def __init__(
        self,
        *,
        model: str,
        n: int = 1,
        include_usage: bool = False,
        continuous_usage: bool = False,
        expects_call: bool = False,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        self.ended = False
        self._model = model
        self._n = n
        self._include_usage = include_usage
        self._usage: dict[str, Any] | None = None
        self._usage_sent = False
        self._usage_mark = b'"usage":{' if include_usage else b'"usage":'
        self._splitter = EventSplitter()
        self._identity: dict[str, Any] = {}
        self._identity_mark = b""
        self._started: set[int] = set()
        self._calling: set[int] = set()
        self._finished: set[int] = set()

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take what the engine sent; return the events that are whole by now."""
        if self.ended:
            return ()
        try:
            run = self._splitter.feed(data)
        except ApiError as failure:
            return (self._fail(failure),)
        if self._identity:
            return self._events(run)
        # The first event is read by itself, as those after it can pass only once it is known.
        first, end, rest = run.partition(b"\n\n")
        return [*self._events(first + end), *self._events(rest)]

    def flush(self) -> Sequence[Event]:
        """Take the end of the engine's stream; an end before `[DONE]` is a failure."""
        events = [] if self.ended else self._read(self._splitter.flush())
        if not self.ended:
            cut = UpstreamError("The engine ended its stream before the completion was whole. Try again.")
            events.append(self._fail(cut))
        return events

    def _events(self, run: bytes) -> Sequence[Event]:
        if not run or self.ended:
            return ()
        count = run.count(b"}\n\ndata: {") + 1
        return (Run(run, count),) if self._passes(run, count) else self._read(run)

    def _passes(self, run: bytes, count: int) -> bool:
        """Return whether a run may go out unread: the hot path, a few searches over the whole run.

        `count` is one more than the ends of events within the run, so with its start, its end and twice as
        many line feeds every event is one line of `data: {…}`.
        """
        mark = self._identity_mark
        return (
            mark != b""
            and run.count(mark) == count
            and run.count(b'"delta":{"content":"') == count
            and run.count(b'"finish_reason":null') == count
            and run.count(b"\n") == 2 * count
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

    def _read(self, run: bytes) -> list[Event]:
        out: list[bytes] = []
        values: list[dict[str, Any]] = []
        last: Event | None = None
        for text in run.split(b"\n\n"):
            payload = payload_of(text)
            try:
                if payload == b"[DONE]":
                    last = self._end(out, values)
                elif payload:
                    self._chunk(payload, out, values)
            except ApiError as failure:
                last = self._fail(failure)
            if last:
                break
        data = b"".join(out)
        events: list[Event] = [Chunks(data, data.count(b'"delta":{"'), values, self._usage)] if data else []
        return [*events, last] if last else events

    def _chunk(self, payload: bytes, out: list[bytes], values: list[dict[str, Any]]) -> None:
        """Read one event, and add what the caller may see of it."""
        chunk = _parse_chunk(payload, self._model)
        payload = self._identify(chunk, payload)
        changed = [self._drop_late_choices(chunk)]
        usage = chunk.get("usage") if isinstance(chunk.get("usage"), dict) else None
        if usage is not None:
            self._usage = usage
        if not chunk["choices"] and not (self._include_usage and usage is not None):
            return
        changed += [self._normalise_choice(choice) for choice in chunk["choices"]]
        changed.append(self._separate_usage(chunk))
        out.append(event(dump(chunk) if any(changed) or b"\n" in payload else payload))
        values.append(chunk)

    def _end(self, out: list[bytes], values: list[dict[str, Any]]) -> End:
        if not set(range(self._n)) <= self._finished:
            raise UpstreamError(
                "The engine ended its stream without saying why the completion stops. Try again."
            )
        self.ended = True
        if self._include_usage and self._usage and not self._usage_sent:
            drop_nulls(self._usage)
            values.append({**self._identity, "choices": [], "usage": self._usage})
            out.append(event(dump(values[-1])))
        return End(self._usage)

    def _fail(self, failure: ApiError) -> Failure:
        self.ended = True
        return Failure(failure, self._usage)

    def _identify(self, chunk: dict[str, Any], payload: bytes) -> bytes:
        """Set id, object, created and model to those of the first event, by splicing where they differ."""
        is_first = not self._identity
        if is_first:
            self._identity = {
                "id": typed(chunk.get("id"), "chatcmpl-unknown"),
                "object": "chat.completion.chunk",
                "created": typed(chunk.get("created"), 0),
                "model": self._model,
            }
        for key, value in self._identity.items():
            if chunk.get(key) != value:
                old, new = _member(key, chunk.get(key)), _member(key, value)
                in_place = key in chunk and old in payload
                chunk[key] = value
                payload = payload.replace(old, new, 1) if in_place else dump(chunk)
        if is_first:
            self._identity_mark = _span(payload, self._identity)
        return payload

    def _drop_late_choices(self, chunk: dict[str, Any]) -> bool:
        """Leave out what comes of a choice after its finish reason; return whether anything did."""
        came, finished = chunk["choices"], list(self._finished)
        kept = [each for each in came if not isinstance(each, dict) or each.get("index", 0) not in finished]
        chunk["choices"] = kept
        return len(kept) < len(came)

    def _normalise_choice(self, choice: Any) -> bool:
        """Note one choice's progress; normalise it in place and return whether that changed it."""
        if not isinstance(choice, dict) or not isinstance(choice.get("delta"), dict):
            raise UpstreamError(BROKEN)
        changed = not {"index", "finish_reason"} <= choice.keys()
        index = choice.setdefault("index", 0)
        if index not in range(self._n):
            raise UpstreamError(BROKEN)
        changed |= self._normalise_delta(index, choice["delta"])
        changed |= _complete_logprobs(choice)
        reason = choice.setdefault("finish_reason", None)
        if reason is not None:
            choice["finish_reason"] = _finish_reason(reason)
            self._finished.add(index)
        return changed or choice["finish_reason"] is not reason

    def _normalise_delta(self, index: int, delta: dict[str, Any]) -> bool:
        changed = index not in self._started and delta.get("role") != "assistant"
        if changed:
            delta["role"] = "assistant"
        self._started.add(index)
        if delta.get("tool_calls"):
            self._calling.add(index)
            changed |= _complete_calls(delta["tool_calls"])
        elif index not in self._calling and not isinstance(delta.get("content"), str):
            # Simple clients read `delta.content` of every event, the last one too.
            delta["content"] = ""
            changed = True
        return changed

    def _separate_usage(self, chunk: dict[str, Any]) -> bool:
        """Keep usage to the last chunk, and only if requested; return whether this changed the chunk."""
        if chunk["choices"]:
            shown = chunk.get("usage", ...)
            if shown is ... or (shown is None and self._include_usage):
                return False
            del chunk["usage"]
            return True
        self._usage_sent = True
        return drop_nulls(chunk["usage"])


class ChatReply:
    """Read one completion that comes whole."""

    def __init__(self, *, model: str, n: int, request_id: str, expects_call: bool = False) -> None:
        self.ended = False
        self._model, self._n, self._request_id = model, n, request_id
        self._body = b""

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take a piece of the body."""
        self._body += data
        return ()

    def flush(self) -> Sequence[Event]:
        """Take the end of the body; return the reply and the end, or a failure."""
        self.ended = True
        try:
            reply = parse(self._body)
        except (ValueError, RecursionError):
            return (Failure(UpstreamError(INCOMPLETE)),)
        usage = reply.get("usage") if isinstance(reply, dict) else None
        try:
            return (Reply(self._normalise(reply)), End(usage))
        except ApiError as failure:
            return (Failure(failure, usage),)

    def _normalise(self, reply: Any) -> dict[str, Any]:
        choices = reply.get("choices") if isinstance(reply, dict) else None
        if not isinstance(choices, list) or len(choices) < self._n:
            raise UpstreamError(INCOMPLETE)
        for place, choice in enumerate(choices):
            _normalise_message(choice, place)
        drop_nulls(reply)
        if isinstance(reply.get("usage"), dict):
            drop_nulls(reply["usage"])
        reply["id"] = typed(reply.get("id"), f"chatcmpl-{self._request_id}")
        reply["created"] = typed(reply.get("created"), int(time.time()))
        return {**reply, "object": "chat.completion", "model": self._model}


def _parse_chunk(payload: bytes, model: str) -> dict[str, Any]:
    """Parse an event's payload.

    Raises: ApiError, for an error that the engine reports, and for what is no chunk.
    """
    try:
        chunk = parse(payload)
    except (ValueError, RecursionError) as error:
        raise UpstreamError(BROKEN) from error
    if not isinstance(chunk, dict):
        raise UpstreamError(BROKEN)
    if fault := chunk.get("error"):
        code = fault.get("code") if isinstance(fault, dict) else None
        raise translate(model, code if isinstance(code, int) else 500, chunk)
    if not isinstance(chunk.get("choices"), list):
        raise UpstreamError(BROKEN)
    return chunk


def _normalise_message(choice: Any, place: int) -> None:
    """Bring one whole choice to the contract's shape, in place: null where it requires null, nowhere else."""
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict):
        raise UpstreamError(INCOMPLETE)
    choice["finish_reason"] = _finish_reason(choice.get("finish_reason"))
    choice.setdefault("index", place)
    choice.setdefault("logprobs", None)
    _complete_logprobs(choice)
    drop_nulls(choice, keep=("logprobs",))
    message["role"] = "assistant"
    message.setdefault("content", None)
    message.setdefault("refusal", None)
    drop_nulls(message, keep=("content", "refusal"))


def _finish_reason(reason: Any) -> str:
    """Return the contract's word for why a choice ended.

    Raises: UpstreamError for a reason that means it did not end by itself, such as vLLM's `abort`.
    """
    if reason == "repetition":  # vLLM cut a loop
        return "stop"
    if not isinstance(reason, str) or reason not in FINISH_REASONS:
        raise UpstreamError("The engine stopped the completion before it was whole. Try again.")
    return reason


def _complete_logprobs(choice: dict[str, Any]) -> bool:
    """Give a choice's logprobs the members that the contract requires; return whether any lacked."""
    logprobs = choice.get("logprobs")
    if not isinstance(logprobs, dict) or {"content", "refusal"} <= logprobs.keys():
        return False
    choice["logprobs"] = {"content": None, "refusal": None, **logprobs}
    return True


def _complete_calls(calls: Any) -> bool:
    """Give a tool call's first piece its arguments; return whether any lacked them."""
    if not isinstance(calls, list):
        raise UpstreamError(BROKEN)
    changed = False
    for call in calls:
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and "name" in function and function.get("arguments") is None:
            function["arguments"] = ""
            changed = True
    return changed


def drop_nulls(value: dict[str, Any], keep: tuple[str, ...] = ()) -> bool:
    """Remove members that are null, in place; return whether there were any."""
    nulls = [key for key, member in value.items() if member is None and key not in keep]
    for key in nulls:
        del value[key]
    return bool(nulls)


def typed(value: Any, otherwise: Any) -> Any:
    """Return an engine's value if it is of the type of the other and not empty; else the other."""
    return value if value and type(value) is type(otherwise) else otherwise


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
