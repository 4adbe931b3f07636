"""Chat completions as engines send them, read into events and brought into the contract's shape.

A run of events passes unread if each differs from the event before it by its text alone (`template.py`). Any
other event is read and normalised (`normalise.py`, for whole replies too); what cannot be ends the reply as
failed (`docs/decisions/0003-what-is-repaired-in-a-stream.md`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from functions.chat.engines.engine import Chunks, End, Event, Failure, Run
from functions.chat.engines.errors import INCOMPLETE
from functions.chat.errors import ApiError, UpstreamError
from functions.chat.json_text import LINE_SEPARATORS, dump

from .normalise import Choice, broken, complete_logprobs, says_something, tidy, usage_of
from .sse import MAX_EVENT_BYTES, EventSplitter, event, fields_of
from .template import Template
from .whole import WholeReply, object_of

# Events by which engines keep a connection open; what they hold is of no completion.
_KEEP_ALIVE = frozenset({b"ping", b"keepalive", b"keep-alive", b"keep_alive", b"heartbeat"})
# What an event may hold that is of no choice.
_NO_CHOICES = frozenset(
    {"id", "object", "created", "model", "choices", "type", "service_tier", "system_fingerprint"}
)


class ChatStream:
    """Read one streamed completion.

    Shape:  feed every piece, then flush. Each returns events, often none; what was returned before a failure
            stays valid. `continuous_usage`: chunks keep the engine's count so far. `expects_call`: the
            request requires a tool call. `tagged`: contents may begin with reasoning in tags. `as_values`:
            every event is read, into `Chunks` without `data`.
    """

    def __init__(
        self,
        *,
        model: str,
        n: int = 1,
        include_usage: bool = False,
        continuous_usage: bool = False,
        expects_call: bool = False,
        tagged: bool = False,
        as_values: bool = False,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        self.ended = False
        self._model = model
        self._include_usage = include_usage
        self._continuous_usage = continuous_usage
        self._as_values = as_values
        self._usage: dict[str, Any] | None = None
        self._splitter = EventSplitter(max_event_bytes)
        self._identity: dict[str, Any] = {}
        self._choices = [Choice(expects_call=expects_call, tagged=tagged) for _ in range(n)]
        self._template: Template | None = None
        self._last: dict[str, Any] = {}  # the engine's chunk of usage

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take what the engine sent; return the events that are whole by now."""
        if self.ended:
            return ()
        if self._template and not self._splitter.held:  # most often, what came is whole events of one kind
            left, count = self._template.apply(data)
            if left:
                return (Run(left, count),)
        try:
            run = self._splitter.feed(data)
        except ApiError as failure:
            return (self._fail(failure),)
        return self._events(run) if run else ()

    def flush(self) -> Sequence[Event]:
        """Take the end of the engine's stream, which has to be complete by now.

        Every choice that has finished makes it so: some engines send no `[DONE]`.
        """
        events: list[Event] = []
        if not self.ended and (rest := self._splitter.flush()):
            events += self._read(rest)
        if not self.ended:
            events += self._read(b"data: [DONE]\n\n")
        return events

    def _events(self, run: bytes) -> Sequence[Event]:
        if template := self._template:
            end = run.rfind(template.tail) + len(template.tail)  # what follows is mostly the end of the reply
            left, count = template.apply(run[:end])
            if left:
                return (Run(left, count), *self._read(run[end:]))
        return self._read(run)

    def _read(self, run: bytes) -> Sequence[Event]:
        """Read a run event by event, up to the first whose template all that follow have."""
        batch = _Batch()
        events: list[Event] = []
        had_template, start = self._template is not None, 0
        # What is left without one is a line's end too many.
        while not events and (end := run.find(b"\n\n", start) + 2) >= 2:
            came, start = run[start:end], end
            try:
                if self._one(came, batch):
                    events.append(self._end(batch))
            except ApiError as failure:
                events.append(self._fail(failure))
            if self._template and not had_template and start < len(run):
                events += self._events(run[start:])
                break
        return [*batch.events(self._usage), *events]

    def _one(self, came: bytes, batch: _Batch) -> bool:
        """Read one event, and add what the caller may see of it; return whether it is the last."""
        name, payload = fields_of(came[:-2])
        if payload in (b"", b"null") or name in _KEEP_ALIVE:
            return False
        if payload == b"[DONE]":
            return True
        chunk = object_of(payload, self._model, is_error=name == b"error")
        if usage := usage_of(chunk.get("usage")):
            self._usage = self._counted(usage, chunk)
        if not self._identity and chunk.get("choices"):
            self._identity = self._identify(chunk)
        is_plain = all(choice.has_begun and not choice.tagged for choice in self._choices)
        left = {**self._kept(chunk), **self._identity, "choices": self._choices_of(chunk)}
        if not left["choices"]:
            if usage:
                self._last = left
            return False
        if self._as_values:
            batch.add(b"", left)
            return False
        self._show_usage(left, usage)
        is_same = left == chunk and b"\n" not in payload and not LINE_SEPARATORS.search(payload.decode())
        data = event(payload if is_same else dump(left))
        batch.add(data, left)
        self._template = Template.of(came, data) if is_plain and _is_plain_text(left["choices"]) else None
        return False

    def _choices_of(self, chunk: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the choices of a chunk as they leave, without what only repeats that a choice has ended."""
        came = chunk.get("choices")
        if came is None and ("usage" in chunk or chunk.keys() <= _NO_CHOICES):
            return []
        if not isinstance(came, list):
            raise broken()
        by_place = len(self._choices) == max(len(came), 1)
        choices = [self._choice(choice, place if by_place else None) for place, choice in enumerate(came)]
        return [choice for choice in choices if choice]

    def _choice(self, came: Any, place: int | None) -> dict[str, Any] | None:
        if not isinstance(came, dict):
            raise broken()
        index = place if came.get("index") is None else came["index"]
        if type(index) is not int or index not in range(len(self._choices)):
            raise broken()
        choice = self._choices[index]
        had_finished = choice.is_finished
        left = self._piece(choice, index, came)
        if had_finished:
            if _says_something(left):
                raise broken()
            return None
        return left

    def _show_usage(self, chunk: dict[str, Any], usage: dict[str, Any] | None) -> None:
        """Keep usage to a chunk of its own, unless each is to have it."""
        if self._continuous_usage and usage:
            chunk["usage"] = usage
        elif not (self._include_usage and chunk.get("usage", ...) is None):
            chunk.pop("usage", None)

    def _end(self, batch: _Batch) -> End:
        if not all(choice.is_finished for choice in self._choices):
            raise UpstreamError("The engine ended its stream before the completion was whole.", retry=False)
        self.ended = True
        if self._include_usage and self._usage:
            last = {**self._last, **self._identity, "choices": [], "usage": self._usage}
            batch.add(event(dump(last)), last)
        return End(self._usage)

    def _fail(self, failure: ApiError) -> Failure:
        self.ended = True
        return Failure(failure, self._usage)

    # What is of this kind of completion.

    def _identify(self, chunk: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": typed(chunk.get("id"), "chatcmpl-unknown"),
            "object": "chat.completion.chunk",
            "created": typed(chunk.get("created"), 0),
            "model": self._model,
        }

    def _kept(self, chunk: dict[str, Any]) -> dict[str, Any]:
        return tidy(chunk)

    def _counted(self, usage: dict[str, Any], _: dict[str, Any]) -> dict[str, Any]:
        return usage

    def _piece(self, choice: Choice, index: int, came: dict[str, Any]) -> dict[str, Any]:
        said = came.get("delta")
        if is_whole := said is None:
            said = came.get("message")
        if said is None and came.get("text"):
            raise broken()  # a completion of another kind
        left = {key: value for key, value in came.items() if key not in ("message", "error")}
        is_whole = is_whole and said is not None
        is_last = bool(came.get("finish_reason"))
        left |= {"index": index, "delta": choice.message(said, whole=is_whole, last=is_last)}
        left["finish_reason"] = choice.finish(came.get("finish_reason"))
        complete_logprobs(left)
        return left


class _Batch:
    """The chunks of a run, one event of ours."""

    def __init__(self) -> None:
        self._data: list[bytes] = []
        self._values: list[dict[str, Any]] = []

    def add(self, data: bytes, value: dict[str, Any]) -> None:
        self._data.append(data)
        self._values.append(value)

    def events(self, usage: Any) -> list[Event]:
        if not self._values:
            return []
        said = (_says_something(choice) for chunk in self._values for choice in chunk["choices"])
        return [Chunks(b"".join(self._data), sum(said), self._values, usage)]


class ChatReply(WholeReply):
    """Read one completion that comes whole."""

    def __init__(
        self, *, model: str, n: int, request_id: str, expects_call: bool = False, tagged: bool = False
    ) -> None:
        super().__init__(model)
        self._n, self._request_id = n, request_id
        self._expects_call, self._tagged = expects_call, tagged

    def _normalise(self, reply: dict[str, Any], usage: dict[str, Any] | None) -> dict[str, Any]:
        choices = reply.get("choices")
        if not isinstance(choices, list) or len(choices) != self._n:
            raise UpstreamError(INCOMPLETE, retry=False)
        left = {key: value for key, value in self._kept(reply).items() if value is not None}
        left["choices"] = [self._choice(choice, place) for place, choice in enumerate(choices)]
        if sorted(choice["index"] for choice in left["choices"]) != list(range(self._n)):
            raise broken()
        left.pop("usage", None)
        return {**left, **self._identify(reply), **({"usage": usage} if usage else {})}

    # What is of this kind of completion.

    def _identify(self, reply: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": typed(reply.get("id"), f"chatcmpl-{self._request_id}"),
            "object": "chat.completion",
            "created": typed(reply.get("created"), int(time.time())),
            "model": self._model,
        }

    def _kept(self, reply: dict[str, Any]) -> dict[str, Any]:
        return tidy(reply)

    def _choice(self, came: Any, place: int) -> dict[str, Any]:
        if not isinstance(came, dict) or not isinstance(came.get("message"), dict):
            raise UpstreamError(INCOMPLETE, retry=False)
        choice = Choice(expects_call=self._expects_call, tagged=self._tagged)
        left = {"index": place, **{key: value for key, value in came.items() if value is not None}}
        if type(left["index"]) is not int:
            raise broken()
        left["message"] = choice.message(came["message"], whole=True)
        for call in left["message"].get("tool_calls", ()):
            del call["index"]
        left["finish_reason"] = choice.finish(came.get("finish_reason"))
        if not choice.is_finished:
            raise UpstreamError(INCOMPLETE, retry=False)
        left.setdefault("logprobs", None)
        complete_logprobs(left)
        return left


def _says_something(choice: dict[str, Any]) -> bool:
    return says_something(choice.get("delta", choice))


def _is_plain_text(choices: list[dict[str, Any]]) -> bool:
    """Return whether a chunk is a piece of text of one choice that goes on: there may be more of its kind."""
    (choice, *more) = choices
    return not (
        more or choice["finish_reason"] or choice.get("logprobs") or "tool_calls" in choice.get("delta", ())
    )


def typed(value: Any, otherwise: Any) -> Any:
    """Return an engine's value if it is of the type of the other and not empty; else the other."""
    return value if value and type(value) is type(otherwise) else otherwise
