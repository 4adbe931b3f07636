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
    encoding = (stream or sys.stdout).encoding or "ascii"
    try:
        shown.encode(encoding)
    except UnicodeEncodeError:
        return shown.translate(_PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return shown
