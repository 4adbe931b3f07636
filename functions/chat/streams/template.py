"""The hot path: events that differ from the last one by their text alone are sent as that one was.

An event that was read has a head, a text and a tail, as it came and as it left. A run of events with the same
heads and tails needs no reading: the normaliser reads no text, so it would do with each what it did before.
Quotes within JSON strings are escaped, so no text that a model writes can be taken for a head or a tail.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from functions.chat.json_text import is_text

_TEXT = re.compile(rb'"(?:content|reasoning|reasoning_content|text)":\s*"((?:[^"\\]|\\.)+)"')


class Template(NamedTuple):
    """What surrounds the text of an event as it came, and as it left; the `joint` is a tail and a head.

    Shape:  `left` has one part more than the text has places, of which reasoning has two; it is empty where
            events leave as they come.
    """

    head: bytes
    joint: bytes
    tail: bytes
    left: tuple[bytes, ...]

    @classmethod
    def of(cls, came: bytes, left: bytes) -> Template | None:
        """Return the template of an event; None where it has no single text that left as it came."""
        found = list(_TEXT.finditer(came))
        if len(found) != 1 or came.count(b"\n") != 2:
            return None
        text, (start, end) = found[0][1], found[0].span(1)
        head, tail = came[:start], came[end:]
        if came == left:
            return cls(head, tail + head, tail, ())
        parts, begin = [], 0
        for place in _TEXT.finditer(left):
            if place[1] != text:
                return None
            parts.append(left[begin : place.start(1)])
            begin = place.end(1)
        is_known = len(parts) in (1, 2)
        return cls(head, tail + head, tail, (*parts, left[begin:])) if is_known else None

    def apply(self, run: bytes) -> tuple[bytes, int]:
        """Return a run as it leaves, and of how many events; b"" if any is not of this template."""
        start, end = len(self.head), len(run) - len(self.tail)
        if start > end or not (run.startswith(self.head) and run.endswith(self.tail)):
            return b"", 0
        between = run[start:end]
        # By a space, so that halves of a character in two events do not look whole.
        texts = between.replace(self.joint, b" ")
        if not is_text(texts):
            return b"", 0
        count = 1 + (len(between) - len(texts)) // (len(self.joint) - 1)
        return (self._changed(between) if self.left else run), count

    def _changed(self, between: bytes) -> bytes:
        head, *middle, tail = self.left
        texts = between.split(self.joint)
        if not all(texts):
            return b""  # the normaliser leaves empty reasoning out
        for part in middle:
            texts = [text + part + text for text in texts]
        return head + (tail + head).join(texts) + tail
