"""Characters that a stream takes and a terminal shows."""

from __future__ import annotations

import sys
from typing import TextIO

# What stands for characters that an encoding lacks.
_PLAIN = str.maketrans({"…": "...", "·": "-", "–": "-", "’": "'"})


def visible(text: str, stream: TextIO | None = None) -> str:
    """Return a text in characters that stdout has and that do not control a terminal; others are escaped.

    Lines stay lines. `stream`: another one than stdout.
    """
    shown = "".join(each if each.isprintable() or each == "\n" else ascii(each)[1:-1] for each in text)
    if can_show(shown, stream):
        return shown
    encoding = _encoding(stream)
    return shown.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)


def can_show(text: str, stream: TextIO | None = None) -> bool:
    """Return whether the encoding of stdout, or of another stream, has these characters."""
    try:
        text.encode(_encoding(stream))
    except UnicodeEncodeError:
        return False
    return True


def _encoding(stream: TextIO | None) -> str:
    return (stream or sys.stdout).encoding or "ascii"
