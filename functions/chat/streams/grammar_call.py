"""A tool call that an engine wrote as JSON, since a grammar left it nothing else, as the call that it is.

The engine streams the call as text; its name is known before its arguments are, but whether the JSON is whole
only at its end. So a stream leaves at its end, in two chunks for each choice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from functions.chat.engines.engine import Chunks, End, Event, Failure, Reader, Reply, Run
from functions.chat.errors import ApiError, UpstreamError
from functions.chat.json_text import dump, parse

from .calls import new_call_id
from .sse import event, fields_of

# The beginning of a call that was cut, as the grammar spells it.
_BEGUN = re.compile(r'\s*\{\s*"name"\s*:\s*"([^"\\]+)"\s*,\s*"arguments"\s*:\s*(.*)', re.DOTALL)
_SAID = ("content", "reasoning", "reasoning_content", "refusal")


class GrammarCalls:
    """Read with another reader, and turn the text of each choice into a call."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._failed = False
        self._identity: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self._last: dict[str, Any] | None = None  # the chunk of usage

    @property
    def ended(self) -> bool:
        """Whether nothing more comes."""
        return self._failed or self._reader.ended

    def feed(self, data: bytes) -> Sequence[Event]:
        """Take a piece of the body; return what is ready by now."""
        return self._turned(self._reader.feed(data))

    def flush(self) -> Sequence[Event]:
        """Take the end of the body; return the calls and the end, or a failure."""
        return self._turned(self._reader.flush())

    def _turned(self, events: Iterable[Event]) -> Sequence[Event]:
        ready: list[Event] = []
        events = list(events)
        for came in events:
            if isinstance(came, Run | Chunks):
                self._collect(came.values if isinstance(came, Chunks) else _values_in(came.data))
                ready.append(Run(b"", came.tokens))  # it counts, but nothing can leave yet
                continue
            try:
                if isinstance(came, Reply):
                    for choice in came.value["choices"]:
                        turn(choice, choice["message"])
                elif isinstance(came, End) and self._choices:
                    ready.append(self._chunks(came.usage))
                ready.append(came)
            except ApiError as failure:
                self._failed = True
                usage = next((each.usage for each in events if isinstance(each, End)), None)
                return [*ready, Failure(failure, usage)]
        return ready

    def _collect(self, chunks: Iterable[dict[str, Any]]) -> None:
        """Put the pieces of each choice together."""
        for chunk in chunks:
            self._identity = self._identity or {
                name: chunk[name] for name in ("id", "object", "created", "model")
            }
            if not chunk["choices"]:
                self._last = chunk
            for piece in chunk["choices"]:
                choice = self._choices.setdefault(piece["index"], {"message": {}, "finish_reason": None})
                choice["finish_reason"] = piece["finish_reason"] or choice["finish_reason"]
                for name in _SAID:
                    if text_piece := piece["delta"].get(name):
                        choice["message"][name] = choice["message"].get(name, "") + text_piece

    def _chunks(self, usage: Any) -> Chunks:
        values = []
        for index, choice in sorted(self._choices.items()):
            turn(choice, choice["message"])
            said = {name: text for name, text in choice["message"].items() if text is not None}
            for number, call in enumerate(said.get("tool_calls", ())):
                call["index"] = number
            whole = {"role": "assistant", "content": "", **said}
            rest = {} if "tool_calls" in said else {"content": ""}
            for delta, reason in ((whole, None), (rest, choice["finish_reason"])):
                left = {"index": index, "delta": delta, "logprobs": None, "finish_reason": reason}
                values.append({**self._identity, "choices": [left]})
        if self._last:
            values.append(self._last)
        return Chunks(b"".join(event(dump(value)) for value in values), 0, values, usage)


def _values_in(run: bytes) -> Iterable[dict[str, Any]]:
    return (parse(fields_of(text)[1]) for text in run.removesuffix(b"\n\n").split(b"\n\n"))


def turn(choice: dict[str, Any], message: dict[str, Any]) -> None:
    """Turn the text of a choice into its call, in place; one that was cut keeps what it has.

    Raises: UpstreamError, for a text that is no call.
    """
    text = message.get("content") or ""
    is_whole = choice["finish_reason"] == "stop"
    try:
        call = parse(text.encode())
        name, arguments = call["name"], dump(call["arguments"]).decode()
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        if is_whole:
            other = "The model answered with something else than the call that 'tool_choice' requires."
            raise UpstreamError(other, retry=False) from error
        if not (begun := _BEGUN.match(text)):
            return
        name, arguments = begun.groups()
    function = {"name": name, "arguments": arguments}
    message |= {
        "content": None,
        "tool_calls": [{"id": new_call_id(), "type": "function", "function": function}],
    }
    if is_whole:
        choice["finish_reason"] = "tool_calls"
