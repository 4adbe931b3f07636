"""A completion's event stream: whatever the engine sends in, what the contract allows out.

    EventSplitter      bytes, split anywhere → runs of whole events with LF line ends
    CompletionStream   runs of events → runs that the caller may see, and how the stream ended

A run passes unread if every event in it is one line of `data: {…}` that bears this stream's identity
and plain content, and nothing in it ends, calls a tool, counts or complains. Any other event is read;
it passes as it came where the contract allows it, is mended where it can be, and ends the stream as
failed where it cannot. Unescaped quotes delimit JSON strings, so what is searched for, such as
`"finish_reason":null`, cannot be part of a text that the model wrote.

Source: `docs/api.md`, "Streams"; WHATWG HTML, "Server-sent events", read 2026-11-22.
"""

from __future__ import annotations

import enum
import json
from typing import Any

from .engine_errors import translate
from .errors import ApiError, UpstreamError

DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
MAX_EVENT_BYTES = 4 * 1024 * 1024
FINISH_REASONS = frozenset({"stop", "length", "tool_calls", "content_filter", "function_call"})

_IDENTITY = ("id", "object", "created", "model")
_BROKEN = "The engine sent something that is not part of a completion. Nothing after this can be trusted."


def parse(text: bytes) -> Any:
    """Parse what an engine sent.

    Raises: ValueError, also for NaN and Infinity; RecursionError.
    """
    return _DECODER.decode(text.decode())


def _no_constant(name: str) -> Any:
    raise ValueError(name)


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def error_event(error: ApiError) -> bytes:
    """Return the last two events of a failed stream."""
    return b"data: " + dump(error.body()) + b"\n\n" + DONE


class EventSplitter:
    """Cut bytes into runs of whole events; hold only the remainder."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> bytes:
        """Return the events that are whole by now, in one piece; b"" if none is.

        Raises: UpstreamError if an event does not end within 4 MiB.
        """
        data = self._rest + chunk if self._rest else chunk
        if b"\r" in data:
            # A CR at the very end may be half of a CRLF: it waits for what comes next.
            held = data[-1:] == b"\r"
            data = (data[:-1] if held else data).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            end = data.rfind(b"\n\n") + 2
            self._rest = (data[end:] if end > 1 else data) + (b"\r" if held else b"")
        else:
            end = data.rfind(b"\n\n") + 2
            self._rest = data[end:] if end > 1 else data
        if len(self._rest) > MAX_EVENT_BYTES:
            raise UpstreamError(_BROKEN)
        return data[:end] if end > 1 else b""

    def flush(self) -> bytes:
        """Return what the end of the input left over, closed as an event."""
        rest, self._rest = self._rest.replace(b"\r", b"\n").rstrip(b"\n"), b""
        return rest + b"\n\n" if rest else b""


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
        for event in run.split(b"\n\n"):
            try:
                out.append(self._event(event))
            except ApiError as failure:
                self._fail(failure)
            if self.state is not State.OPEN:
                break
        return b"".join(out)

    def _event(self, event: bytes) -> bytes:
        payload = _payload(event)
        if not payload:
            return b""
        if payload == b"[DONE]":
            return self._done()
        chunk = _chunk(payload, self._model)
        payload = self._identified(chunk, payload)
        mended = [self._drop_late(chunk)]
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
        if not chunk["choices"] and not (self._include_usage and isinstance(chunk.get("usage"), dict)):
            return b""
        mended += [self._choice(choice) for choice in chunk["choices"]]
        mended.append(self._hold_usage(chunk))
        return b"data: " + (dump(chunk) if any(mended) or b"\n" in payload else payload) + b"\n\n"

    def _done(self) -> bytes:
        if not set(range(self._n)) <= self._finished:
            raise UpstreamError(
                "The engine ended its stream without saying why the completion stops. Try again."
            )
        self.state = State.DONE
        if self._include_usage and self.usage and not self._usage_sent:
            drop_nulls(self.usage)
            return b"data: " + dump({**self._identity, "choices": [], "usage": self.usage}) + b"\n\n" + DONE
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
            raise UpstreamError(_BROKEN)
        mended = not {"index", "finish_reason"} <= choice.keys()
        index = choice.setdefault("index", 0)
        if index not in range(self._n):
            raise UpstreamError(_BROKEN)
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
            mended |= _mend_calls(delta["tool_calls"])
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


def _payload(event: bytes) -> bytes:
    """Return an event's data; other fields, and comments, are the engine's own business."""
    if event.startswith(b"data: ") and b"\n" not in event:
        return event[6:]
    lines = event.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    data = [line[5:].removeprefix(b" ") for line in lines if line.startswith(b"data:")]
    return b"\n".join(data).strip()


def _chunk(payload: bytes, model: str) -> dict[str, Any]:
    try:
        chunk = parse(payload)
    except (ValueError, RecursionError) as error:
        raise UpstreamError(_BROKEN) from error
    if not isinstance(chunk, dict):
        raise UpstreamError(_BROKEN)
    if chunk.get("error"):
        raise _engine_error(chunk, model)
    if not isinstance(chunk.get("choices"), list):
        raise UpstreamError(_BROKEN)
    return chunk


def _engine_error(chunk: dict[str, Any], model: str) -> ApiError:
    code = chunk["error"].get("code") if isinstance(chunk["error"], dict) else None
    return translate(model, code if isinstance(code, int) else 500, chunk)


def _mend_calls(calls: Any) -> bool:
    if not isinstance(calls, list):
        raise UpstreamError(_BROKEN)
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


def dump(value: dict[str, Any]) -> bytes:
    """Write compact JSON; half a surrogate pair, which UTF-8 cannot hold, becomes a question mark."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
