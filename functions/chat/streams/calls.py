"""Tool calls as engines send them, whole or in pieces, in the shape that the contract requires.

A piece belongs to the call of its id, else to the call of its index, else to the last call; a new id is a new
call. What stays ambiguous fails the reply: a call with another call's arguments is worse than none.
"""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import dataclass
from typing import Any

from functions.chat.errors import UpstreamError

# Where each type of call has what the model wrote.
_TEXTS = {"function": "arguments", "custom": "input"}
_TWO_OBJECTS = re.compile(r"\}\s*\{")
_KNOWN = frozenset({"index", "id", "type", "name", "parameters", *_TEXTS, *_TEXTS.values()})


class ToolCalls:
    """The tool calls of one choice."""

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_id: dict[str, _Call] = {}
        self._by_index: dict[int, _Call] = {}

    def __bool__(self) -> bool:
        """Return whether any call has begun."""
        return bool(self._calls)

    def read(self, pieces: Any, *, whole: bool) -> list[dict[str, Any]]:
        """Return the pieces as they leave: id, type and name once a call, the arguments as text.

        Shape:  `whole`: each piece is a call of its own.
        Raises: UpstreamError, for a piece that fits no call.
        """
        if isinstance(pieces, dict):
            pieces = [pieces]
        if not isinstance(pieces, list):
            raise _broken()
        begun: list[_Call] = []  # by this list: its other named pieces are other calls
        leaving = []
        for piece in map(_Piece.of, filter(None, pieces)):
            if not (piece.id or piece.name or piece.text):
                continue
            call = self._add(piece, None) if whole else self._call_of(piece, begun)
            if piece.name:
                begun.append(call)
            if event := call.take(piece):
                leaving.append(event)
        return leaving

    def check_complete(self) -> None:
        """Return if every call has its name, and the arguments of one call.

        Raises: UpstreamError, also where the engine sent the arguments twice.
        """
        if not all(call.name and not call.has_two_objects() for call in self._calls):
            raise _broken()

    def _call_of(self, piece: _Piece, begun: list[_Call]) -> _Call:
        """Return the call that a piece belongs to; a new one, where the piece begins it."""
        if piece.index is not None:
            here = self._by_index.get(piece.index)
        else:
            here = self._calls[-1] if self._calls else None
        if not piece.id:
            if here and not (piece.name and (here in begun or here.is_followed_by(piece))):
                return here
        elif known := self._by_id.get(piece.id):
            if piece.index in (None, known.index):
                return known
        elif here and here.has_our_id and not piece.name:
            return here  # the engine's id comes late: ours has left
        else:
            return self._add(piece, piece.index)
        if not piece.name:
            raise _broken()  # of no call, or one id under two indices
        return self._add(piece, piece.index)

    def _add(self, piece: _Piece, index: int | None) -> _Call:
        has_our_id = not piece.id or piece.id in self._by_id
        call_id = new_call_id() if has_our_id else piece.id
        call = _Call(len(self._calls), index, call_id, has_our_id)
        self._calls.append(call)
        self._by_id[call_id] = call
        if index is not None:
            self._by_index[index] = call
        return call


@dataclass(slots=True)
class _Piece:
    """What a piece holds of a call; "" where it holds nothing.

    Shape:  `is_json`: the arguments came as the JSON itself, so they are whole. `more`: members that pass.
    """

    index: int | None
    id: str
    kind: str
    name: str
    text: str
    is_json: bool
    more: dict[str, Any]

    @classmethod
    def of(cls, value: Any) -> _Piece:
        """Read one piece.

        Raises: UpstreamError.
        """
        if not isinstance(value, dict):
            raise _broken()
        kind = "custom" if value.get("custom") else "function"
        body = value.get(kind, value) or {}  # some engines leave the inner object out
        if not isinstance(body, dict):
            raise _broken()
        index, call_id, name = value.get("index"), value.get("id"), body.get("name")
        if not (index is None or (type(index) is int and index >= 0)):
            raise _broken()
        if not (call_id is None or isinstance(call_id, str) or type(call_id) is int):
            raise _broken()
        if not (name is None or isinstance(name, str)):
            raise _broken()
        text = body.get(_TEXTS[kind], body.get("parameters"))
        return cls(
            index=index,
            id="" if call_id is None else str(call_id),
            kind=kind,
            name=name or "",
            text=text_of_arguments(text),
            is_json=not isinstance(text, str | None),
            more={key: more for key, more in value.items() if more is not None and key not in _KNOWN},
        )


@dataclass(slots=True)
class _Call:
    """One call: its place among the choice's, the engine's index, and what has come of it."""

    place: int
    index: int | None
    id: str
    has_our_id: bool
    kind: str = "function"
    name: str = ""
    text: str = ""
    is_closed: bool = False

    def take(self, piece: _Piece) -> dict[str, Any] | None:
        """Add a piece; return it as it leaves, or None while the call has no name.

        Raises: UpstreamError for a second name, and for arguments after the last.
        """
        begins = not self.name
        if piece.name and not begins and piece.name != self.name:
            raise _broken()
        if piece.text and (self.is_closed or (piece.is_json and self.text)):
            raise _broken()
        if piece.name and piece.text and self._is_whole():
            raise _broken()  # the whole call once more
        self.name, self.text = self.name or piece.name, self.text + piece.text
        self.is_closed |= piece.is_json
        if not self.name:
            return None
        text = _TEXTS[piece.kind]
        if begins:
            self.kind = piece.kind
            inner = {"name": self.name, text: self.text}
            return {"index": self.place, "id": self.id, "type": piece.kind, piece.kind: inner, **piece.more}
        return {"index": self.place, piece.kind: {text: piece.text}, **piece.more}

    def has_two_objects(self) -> bool:
        """Return whether a function's arguments are one JSON object and then another."""
        if self.kind != "function" or not _TWO_OBJECTS.search(self.text):
            return False
        try:
            _, end = json.JSONDecoder().raw_decode(self.text.lstrip())
        except (ValueError, RecursionError):
            return False
        return self.text.lstrip()[end:].lstrip().startswith("{")

    def is_followed_by(self, piece: _Piece) -> bool:
        """Return whether a piece with a name and no id begins another call in the place of this one.

        Raises: UpstreamError where that cannot be known.
        """
        if not self.name or (piece.name == self.name and not piece.text):
            return False
        if piece.name != self.name and not self._is_whole():
            raise _broken()
        return self._is_whole()

    def _is_whole(self) -> bool:
        try:
            return isinstance(json.loads(self.text), dict)
        except (ValueError, RecursionError):
            return False


def new_call_id() -> str:
    """Return an id for a call to which the engine gave none."""
    return f"call_{uuid.uuid4().hex[:24]}"


def text_of_arguments(value: Any) -> str:
    """Return a call's arguments as text: some engines send the JSON itself."""
    if isinstance(value, str | None):
        return value or ""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _broken() -> UpstreamError:
    return UpstreamError("The engine sent a tool call in pieces that do not fit together.", retry=False)
