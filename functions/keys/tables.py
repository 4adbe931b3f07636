"""Text tables, at most 100 characters wide.

What does not fit is made to, in this order: long numbers lose digits (12,345,678 → 12.3M), then the widest
texts lose their ends.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence

WIDTH = 100
_GAP = "  "
_NARROWEST = 8

Cell = str | int | None


def table(columns: Sequence[str], rows: Iterable[Sequence[Cell]], shrinking: Iterable[str] = ()) -> str:
    """Write rows below their column names: numbers to the right, texts to the left, None as `-`.

    Shape:  `shrinking` names the columns whose texts may lose their ends.
    """
    kept = [list(row) for row in rows]
    numeric = [not any(isinstance(row[at], str) for row in kept) for at in range(len(columns))]
    for write in (_exact, _short):
        texts = [list(columns), *([_text(cell, write) for cell in row] for row in kept)]
        widths = [max(_width(row[at]) for row in texts) for at in range(len(columns))]
        if _total(widths) <= WIDTH:
            break
    _shrink(widths, [columns.index(name) for name in shrinking])
    return "\n".join(_line(row, widths, numeric) for row in texts)


def pairs(rows: Iterable[tuple[str, str]]) -> str:
    """Write names and what they stand for, a line each; long texts go on below themselves."""
    kept = list(rows)
    indent = max(_width(name) for name, _ in kept) + len(_GAP)
    return "\n".join(
        line for name, text in kept for line in _folded(_padded(name, indent), text.split(" "), " " * indent)
    )


def _folded(start: str, words: list[str], indent: str) -> list[str]:
    lines, line = [], start + words[0]
    for word in words[1:]:
        if _width(line) + 1 + _width(word) > WIDTH:
            lines.append(line)
            line = indent + word
        else:
            line += " " + word
    return [*lines, line]


def _shrink(widths: list[int], at: list[int]) -> None:
    """Take from the widest, one character at a time."""
    while _total(widths) > WIDTH:
        widest = max(at, key=lambda column: widths[column], default=-1)
        if widest < 0 or widths[widest] <= _NARROWEST:
            return
        widths[widest] -= 1


def _line(row: list[str], widths: list[int], numeric: list[bool]) -> str:
    cells = [
        _padded(_cut(text, width), width, right=right)
        for text, width, right in zip(row, widths, numeric, strict=True)
    ]
    return _GAP.join(cells).rstrip()


def _text(cell: Cell, write: Callable[[int], str]) -> str:
    if cell is None:
        return "-"
    return write(cell) if isinstance(cell, int) else cell


def _exact(count: int) -> str:
    return f"{count:,}"


def _short(count: int) -> str:
    """Write three digits and a unit from a million on."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6)):
        if count >= size:
            return f"{count / size:.{max(0, 3 - len(str(count // size)))}f}{unit}"
    return _exact(count)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _width(text: str) -> int:
    """Count the columns that a terminal gives a text."""
    return sum(_columns(character) for character in text)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def _padded(text: str, width: int, *, right: bool = False) -> str:
    blank = " " * (width - _width(text))
    return blank + text if right else text + blank


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    while _width(text) > width - 1:
        text = text[:-1]
    return text + "…"
