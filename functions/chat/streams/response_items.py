"""The items of a response's `output`, as they grow.

    text     output_item.added, (content_part.added, delta…, done, content_part.done)…, output_item.done
    a call   output_item.added, delta…, done, output_item.done

One item is open at a time, and each knows its own events.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from functions.chat.json_text import dump
from functions.shared.frozen import Frozen

Json = dict[str, Any]
Event = tuple[str, Json]
# The types of content parts: the item that has them, and the member that holds the text.
_PARTS = {
    "output_text": ("message", "text"),
    "refusal": ("message", "refusal"),
    "reasoning_text": ("reasoning", "text"),
}
# The one argument of a custom tool: all of it, or its beginning. Nothing is tried twice, so nothing is kept.
_INPUT = re.compile(r'\s*\{\s*"input"\s*:\s*"((?:[^"\\]++|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+)')
_PREFIXES = {"message": "msg", "reasoning": "rs", "function_call": "fc", "custom_tool_call": "ctc"}


class CalledAs(Frozen):
    """What a function that the engine was sent is to the caller.

    Shape:  `kind`: `function` or `custom`; its tool's own `name`, and the namespace that it is in.
    """

    kind: str
    name: str
    namespace: str | None = None


class Delta:
    """The event of one more piece, written in advance up to its sequence number and its text."""

    def __init__(self, name: str, places: Json, tail: bytes = b"}\n\n") -> None:
        self._head = b'event: %b\ndata: {"type":"%b","sequence_number":' % (name.encode(), name.encode())
        self._middle = b"," + dump(places)[1:-1] + b',"delta":'
        self._tail = tail

    def write(self, number: int, text: str) -> bytes:
        """Return the event with its number."""
        return b"%b%d%b%b%b" % (self._head, number, self._middle, dump(text), self._tail)


@dataclass(slots=True)
class Part:
    """One content part of an item."""

    kind: str
    places: Json
    pieces: list[str] = field(default_factory=list)
    logprobs: list[Json] = field(default_factory=list)

    def value(self, text: str) -> Json:
        """Return the part with this text."""
        value = {"type": self.kind, _PARTS[self.kind][1]: text}
        return value | {"annotations": [], "logprobs": self.logprobs} if self.kind == "output_text" else value

    def delta(self) -> Delta:
        """Return the event of its next pieces."""
        tail = b',"logprobs":[]}\n\n' if self.kind == "output_text" else b"}\n\n"
        return Delta(f"response.{self.kind}.delta", self.places, tail)

    def added(self) -> Event:
        """Return the event that opens it."""
        return "response.content_part.added", {**self.places, "part": self.value("")}

    def done(self) -> Iterator[Event]:
        """Yield the events that close it."""
        text = "".join(self.pieces)
        whole = {**self.places, _PARTS[self.kind][1]: text}
        if self.kind == "output_text":
            whole["logprobs"] = [without_bytes(each) for each in self.logprobs]
        yield f"response.{self.kind}.done", whole
        yield "response.content_part.done", {**self.places, "part": self.value(text)}


class TextItem:
    """A message, or what the model thought before it."""

    def __init__(self, part: str, number: str, index: int) -> None:
        self.kind = _PARTS[part][0]
        self.status = "in_progress"
        self.place: int | None = None  # of a call only
        self.id = f"{_PREFIXES[self.kind]}_{number}{index}"
        self.parts: list[Part] = []
        self._index = index

    def takes(self, part: str) -> bool:
        """Return whether a part of this type is one of the item's."""
        return _PARTS[part][0] == self.kind

    def value(self) -> Json:
        """Return the item as it is by now."""
        content = [part.value("".join(part.pieces)) for part in self.parts]
        item: Json = {"id": self.id, "type": self.kind, "status": self.status}
        if self.kind == "message":
            return {**item, "role": "assistant", "content": content}
        return {**item, "summary": [], "content": content}

    def add(self, kind: str) -> Iterator[Event]:
        """Open its next part; yield the events that close the last one and open this."""
        yield from self.close()
        places = {"item_id": self.id, "output_index": self._index, "content_index": len(self.parts)}
        part = Part(kind, places)
        self.parts.append(part)
        yield part.added()

    def close(self) -> Iterator[Event]:
        """Yield the events that close its last part."""
        if self.parts:
            yield from self.parts[-1].done()


class CallItem:
    """A call of a function or of a custom tool.

    A custom tool was sent as a function of one argument, so its input is known when the arguments are whole.
    """

    def __init__(self, call: Json, called: CalledAs, number: str, index: int) -> None:
        self.is_custom = called.kind == "custom"
        self.kind = "custom_tool_call" if self.is_custom else "function_call"
        self.status = "in_progress"
        self.place: int | None = call["index"]
        self.id = f"{_PREFIXES[self.kind]}_{number}{index}"
        self.pieces: list[str] = []
        self._called, self._call_id = called, call["id"]
        self.places = {"item_id": self.id, "output_index": index}

    def value(self) -> Json:
        """Return the item as it is by now."""
        item: Json = {"id": self.id, "type": self.kind, "call_id": self._call_id, "name": self._called.name}
        if self._called.namespace:
            item["namespace"] = self._called.namespace
        if self.is_custom:
            return {**item, "input": "" if self.status == "in_progress" else self.input()}
        return {**item, "arguments": "".join(self.pieces), "status": self.status}

    def is_whole(self) -> bool:
        """Return whether its arguments are the JSON of an object: no more can follow."""
        last = next((piece for piece in reversed(self.pieces) if not piece.isspace()), "")
        if not last.rstrip().endswith("}"):
            return False
        try:
            return isinstance(json.loads("".join(self.pieces)), dict)
        except (ValueError, RecursionError):
            return False

    def input(self) -> str:
        """Return what a custom tool is called with: the one argument, also one that was cut.

        Where the model wrote something else, that is the input.
        """
        text = "".join(self.pieces)
        begun = _INPUT.match(text)
        return str(json.loads(f'"{begun[1]}"', strict=False)) if begun else text

    def delta(self) -> Delta:
        """Return the event of its next pieces."""
        what = "custom_tool_call_input" if self.is_custom else "function_call_arguments"
        return Delta(f"response.{what}.delta", self.places)

    def close(self) -> Iterator[Event]:
        """Yield the event that has all of it."""
        if self.is_custom:
            yield "response.custom_tool_call_input.done", {**self.places, "input": self.input()}
        else:
            whole = {"name": self._called.name, "arguments": "".join(self.pieces)}
            yield "response.function_call_arguments.done", {**self.places, **whole}


def logprobs_of(choice: Mapping[str, Any], text: str | None) -> list[Json]:
    """Return the log probabilities of a chunk's tokens, all with their bytes.

    Shape:  only those of the `text`, where engines send those of thoughts and calls along with them.
    """
    found = (choice.get("logprobs") or {}).get("content") or ()
    if text is not None:
        begin = "".join(each["token"] for each in found).rfind(text)
        starts = accumulate((len(each["token"]) for each in found), initial=-begin)
        found = [each for each, at in zip(found, starts, strict=False) if begin < 0 or 0 <= at < len(text)]
    return [
        {**_token(each), "top_logprobs": [_token(other) for other in each.get("top_logprobs") or ()]}
        for each in found
    ]


def without_bytes(logprob: Json) -> Json:
    """Return a log probability as the events of a text have it."""
    top = [{"token": each["token"], "logprob": each["logprob"]} for each in logprob["top_logprobs"]]
    return {"token": logprob["token"], "logprob": logprob["logprob"], "top_logprobs": top}


def _token(each: Mapping[str, Any]) -> Json:
    token, given = each["token"], each.get("bytes")
    utf8 = list(token.encode("utf-8", "replace")) if given is None else given
    return {"token": token, "logprob": each["logprob"], "bytes": utf8}
