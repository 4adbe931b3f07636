"""The hot path: events that differ from the last one by their text alone are sent as that one was.

An event that was read has a head, a text and a tail, as it came and as it left. A run of events with the same
heads and tails needs no reading: the normaliser reads no text, so it would do with each what it did before.
Quotes within JSON strings are escaped, so no text that a model writes can be taken for a head or a tail.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from functions.chat.json_text import LINE_SEPARATORS

_CONTENT = re.compile(rb'"content":\s*"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True, slots=True)
class Template:
    """The head of an event and its tail, as they came and as they left; a `joint` is a tail and a head."""

    head: bytes
    joint: bytes
    tail: bytes
    left: tuple[bytes, bytes, bytes] | None

    @classmethod
    def of(cls, came: bytes, left: bytes) -> Template | None:
        """Return the template of an event; None where it has no single text that left as it came."""
        ours, theirs = _around_text(came), _around_text(left)
        if not ours or not theirs or ours[1] != theirs[1]:
            return None
        (head, _, tail), (left_head, _, left_tail) = ours, theirs
        changed = (left_head, left_tail + left_head, left_tail) if came != left else None
        return cls(head, tail + head, tail, changed)

    def apply(self, run: bytes) -> tuple[bytes, int]:
        """Return a run as it leaves, and of how many events; b"" if any is not of this template."""
        is_long_enough = len(run) >= len(self.head) + len(self.tail)
        if not (is_long_enough and run.startswith(self.head) and run.endswith(self.tail)):
            return b"", 0
        between = run[len(self.head) : len(run) - len(self.tail)]
        # By a space, so that halves of a character in two events do not look whole.
        texts = between.replace(self.joint, b" ")
        if not _is_plain(texts):
            return b"", 0
        count = 1 + (len(between) - len(texts)) // (len(self.joint) - 1)
        if not self.left:
            return run, count
        head, joint, tail = self.left
        return head + between.replace(self.joint, joint) + tail, count


def _around_text(event: bytes) -> tuple[bytes, bytes, bytes] | None:
    found = list(_CONTENT.finditer(event))
    if len(found) != 1 or event.count(b"\n") != 2:
        return None
    start, end = found[0].span(1)
    return event[:start], event[start:end], event[end:]


def _is_plain(texts: bytes) -> bool:
    """Return whether this is the inside of a JSON string, without line separators."""
    try:
        text = texts.decode()
        json.loads(f'"{text}"')
    except ValueError:
        return False
    return not LINE_SEPARATORS.search(text)
