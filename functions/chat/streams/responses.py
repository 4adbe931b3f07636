"""A chat completion's events, written as those of a response.

    response.created, response.in_progress, (the events of an item)…, response.completed | response.incomplete
    a failure:  …, error, response.failed

A whole reply goes the same way, without its events.
Source: openai/openai-openapi 2.3.0, `ResponseStreamEvent`, read 2026-11-26.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from functions.chat.engines.engine import Chunks, End, Failure, Run
from functions.chat.errors import ApiError, Overloaded, RateLimited
from functions.chat.json_text import dump

from .calls import new_call_id
from .response_items import CalledAs, CallItem, Delta, Event, Json, TextItem, logprobs_of, without_bytes

# Why a choice ended before it was whole → what a response calls it.
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
# Where a delta of a chat completion has text → the type of the part that it becomes.
_TEXTS = {"reasoning_content": "reasoning_text", "content": "output_text", "refusal": "refusal"}


class ResponseWriter:
    """Write one response.

    Shape:  `base`: the members of the response that repeat the request; `calls` by the name that the engine
            knows; `number`: the 32 hex digits of the ids.
    """

    def __init__(
        self,
        base: Mapping[str, Any],
        calls: Mapping[str, CalledAs],
        number: str,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._identity = {"id": f"resp_{number}", "object": "response", "created_at": int(now())}
        self._base = base
        self._calls, self._number, self._now = calls, number, now
        self._items: list[TextItem | CallItem] = []
        self._open: TextItem | CallItem | None = None
        self._delta: Delta
        self._held: dict[int | None, list[tuple[str, Any]]] = {}  # behind a call that is not whole, by place
        self._logprobs: list[Json] = []  # of tokens whose text is still to come
        self._finish_reason: str | None = None
        self._number_of_events = 0
        self._out: list[bytes] = []

    def write(self, event: Run | Chunks) -> bytes:
        """Return the events that a piece of the completion becomes."""
        if isinstance(event, Chunks):
            for chunk in event.values:
                self._begin()
                for choice in chunk["choices"]:
                    self._take(choice)
        return self._written()

    def end(self, event: End | Failure) -> bytes:
        """Return the last events: those of the open item, and the response's."""
        self._begin()
        if isinstance(event, Failure):
            self._fail(event.error, event.usage)
        else:
            response = self._finish(event.usage)
            self._emit(f"response.{response['status']}", {"response": response})
        return self._written()

    def whole(self, reply: dict[str, Any]) -> dict[str, Any]:
        """Return the response that a whole completion becomes."""
        (choice,) = reply["choices"]
        message = choice["message"]
        calls = [{"index": place, **call} for place, call in enumerate(message.get("tool_calls") or ())]
        self._take({**choice, "delta": {**message, "tool_calls": calls}})
        return self._finish(reply.get("usage"))

    def _begin(self) -> None:
        if not self._number_of_events:
            for name in ("response.created", "response.in_progress"):
                self._emit(name, {"response": self._response("in_progress")})

    def _take(self, choice: Mapping[str, Any]) -> None:
        """Take a piece of the only choice."""
        delta = choice["delta"]
        has_more = delta.get("reasoning_content") or delta.get("tool_calls")
        self._logprobs += logprobs_of(choice, (delta.get("content") or "") if has_more else None)
        for name, kind in _TEXTS.items():
            if text := delta.get(name):
                self._piece(kind, text)
        for call in delta.get("tool_calls") or ():
            self._piece("call", call)
        if (call := delta.get("function_call")) and not delta.get("tool_calls"):  # some engines send both
            begun = {"id": new_call_id()} if call.get("name") else {}
            self._piece("call", {"index": -1, **begun, "function": call})
        self._finish_reason = choice["finish_reason"] or self._finish_reason

    def _piece(self, kind: str, value: Any) -> None:
        """Add to the item that a piece is of; hold it back while another item is a call that is not whole."""
        place = value["index"] if kind == "call" else None
        if (self._open and self._open.place == place) or self._is_free():
            self._add(kind, value)
            self._release()
        else:
            self._held.setdefault(place, []).append((kind, value))

    def _is_free(self) -> bool:
        """Return whether another item may be opened."""
        return not isinstance(self._open, CallItem) or self._open.is_whole()

    def _release(self) -> None:
        """Take what was held back, one item after the other, up to a call that is not whole."""
        while self._held and self._is_free():
            for kind, value in self._held.pop(next(iter(self._held))):
                self._add(kind, value)

    def _add(self, kind: str, value: Any) -> None:
        if kind == "call":
            self._add_call(value)
        else:
            self._add_text(kind, value)

    def _add_text(self, kind: str, text: str) -> None:
        item = self._open
        if not (isinstance(item, TextItem) and item.takes(kind)):
            item = TextItem(kind, self._number, len(self._items))
            self._open_item(item)
        if not item.parts or item.parts[-1].kind != kind:
            self._emit_all(item.add(kind))
            self._delta = item.parts[-1].delta()
        part = item.parts[-1]
        part.pieces.append(text)
        if kind == "output_text" and self._logprobs:
            found, self._logprobs = self._logprobs, []
            part.logprobs += found
            leaving = [without_bytes(each) for each in found]
            self._emit("response.output_text.delta", {**part.places, "delta": text, "logprobs": leaving})
        else:
            self._out.append(self._delta.write(self._next_number(), text))

    def _add_call(self, call: Json) -> None:
        kind = "custom" if "custom" in call else "function"
        body = call[kind]
        text = body.get("arguments") or body.get("input") or ""
        item = self._open
        if not (isinstance(item, CallItem) and item.place == call["index"]):
            if "id" not in call:
                return  # of a call whose arguments are whole: no more than white space
            called = self._calls.get(body["name"]) or CalledAs(kind, body["name"])
            item = CallItem(call, called, self._number, len(self._items))
            self._open_item(item)
            self._delta = item.delta()
        if text:
            item.pieces.append(text)
            if not item.is_custom:
                self._out.append(self._delta.write(self._next_number(), text))

    def _open_item(self, item: TextItem | CallItem) -> None:
        self._close("completed")
        self._emit("response.output_item.added", {"output_index": len(self._items), "item": item.value()})
        self._items.append(item)
        self._open = item

    def _close(self, status: str) -> None:
        """Close the open item."""
        if not self._open:
            return
        item = self._open
        if isinstance(item, CallItem) and not (item.pieces or item.is_custom) and status == "completed":
            self._add_call({"index": item.place, "function": {"arguments": "{}"}})  # clients parse it
        self._open = None
        item.status = status
        if isinstance(item, TextItem) and item.takes("output_text"):
            item.parts[-1].logprobs += self._logprobs
            self._logprobs = []
        if isinstance(item, CallItem) and item.is_custom and (text := item.input()):
            self._out.append(self._delta.write(self._next_number(), text))
        self._emit_all(item.close())
        self._emit("response.output_item.done", {"output_index": len(self._items) - 1, "item": item.value()})

    def _finish(self, usage: Any) -> Json:
        """Close what is open; return the response."""
        while self._held:
            self._close("completed")
            self._release()
        if not self._items:
            self._open_item(item := TextItem("output_text", self._number, 0))
            self._emit_all(item.add("output_text"))
        reason = _INCOMPLETE.get(self._finish_reason or "")
        self._close("incomplete" if reason else "completed")
        if reason:
            return self._response("incomplete", usage or {}, incomplete_details={"reason": reason})
        return self._response("completed", usage or {}, completed_at=int(self._now()))

    def _fail(self, error: ApiError, usage: Any) -> None:
        """Write an error that SDKs raise, then the end that agents and Codex read."""
        code = error.code or error.type
        body = {"message": error.message, "type": error.type, "param": None, "code": code}
        self._emit("error", {"code": code, "message": error.message, "param": None, "error": body})
        if self._open:
            self._open.status = "incomplete"
        is_full = isinstance(error, RateLimited | Overloaded)
        known = (
            "invalid_prompt" if error.status == 400 else "rate_limit_exceeded" if is_full else "server_error"
        )
        failed = self._response("failed", usage, error={"code": known, "message": error.message})
        self._emit("response.failed", {"response": failed})

    def _response(self, status: str, usage: Any = None, **members: Any) -> Json:
        """Return the response as it is by now."""
        response = {
            **self._identity,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "output": [item.value() for item in self._items],
            **self._base,
            **members,
        }
        return response if usage is None else {**response, "usage": usage_of(usage)}

    def _emit_all(self, events: Iterable[Event]) -> None:
        for name, fields in events:
            self._emit(name, fields)

    def _emit(self, name: str, fields: Json) -> None:
        data = dump({"type": name, "sequence_number": self._next_number(), **fields})
        self._out.append(b"event: %b\ndata: %b\n\n" % (name.encode(), data))

    def _next_number(self) -> int:
        self._number_of_events += 1
        return self._number_of_events - 1

    def _written(self) -> bytes:
        written = b"".join(self._out)
        self._out.clear()
        return written


def usage_of(usage: Mapping[str, Any]) -> Json:
    """Return an engine's count of tokens as a response has it; what the engine does not count is 0."""

    def count(where: Any, name: str) -> int:
        value = where.get(name) if isinstance(where, dict) else None
        return value if type(value) is int else 0

    prompt, completion = count(usage, "prompt_tokens"), count(usage, "completion_tokens")
    cached = count(usage.get("prompt_tokens_details"), "cached_tokens")
    reasoning = count(usage.get("completion_tokens_details"), "reasoning_tokens")
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
        "output_tokens": completion,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + completion,
    }
