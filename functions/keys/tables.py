"""Tables as a terminal shows them: nothing is cut off, at any width, in any encoding of stdout.

Where no terminal is, a row is a line. On a terminal too narrow for the columns, it is a block of lines:

    key_8c1f0b7ad24e96b3  alice
      STATUS active  RPM 60  BUDGET 1M/month
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from rich.cells import cell_len, chop_cells

from .characters import visible

_GAP = "  "
# How narrow a column that may be folded can become, and into how many lines at most it is folded there.
_LEAST = 8
_FOLDS = 4
# A word is not divided, such as the id of a request, unless it is longer.
_WHOLE = 36

Cell = str | int | None


@dataclass(frozen=True)
class Rows:
    """A row for each thing.

    Shape:  numbers stand to the right, None is `-`. On a terminal, the columns of `folding` are folded, and
            those of `sparse` left out while all their cells are None. `heading`: how many columns name a row.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    folding: Sequence[str] = ()
    sparse: Sequence[str] = ()
    heading: int = 1

    def without_empty_columns(self) -> Rows:
        """Return the table without those of `sparse` that are empty."""
        kept = [
            at
            for at, name in enumerate(self.columns)
            if name not in self.sparse or any(row[at] is not None for row in self.rows)
        ]
        rows = [[row[at] for at in kept] for row in self.rows]
        return Rows([self.columns[at] for at in kept], rows, self.folding, self.sparse, self.heading)


@dataclass(frozen=True)
class Details:
    """What is known of one thing, by name."""

    values: Mapping[str, str]

    def lines(self, width: int) -> Iterator[str]:
        """Yield the lines: names, and values beside them."""
        names = max(map(len, self.values), default=0)
        for name, value in self.values.items():
            first, *others = _folded(_written(value), width - names - len(_GAP))
            yield f"{name:<{names}}{_GAP}{first}".rstrip()
            yield from (" " * names + _GAP + other for other in others)


def render(shown: Rows | Details) -> str:
    """Return a table as stdout takes it: as wide as the terminal, where there is one."""
    terminal = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if terminal else sys.maxsize
    if isinstance(shown, Details):
        return "\n".join(shown.lines(width))
    if terminal:
        shown = shown.without_empty_columns()
    texts = [[_written(cell) for cell in row] for row in shown.rows]
    for gap in (_GAP, " "):
        if widths := _widths(shown, texts, width, gap):
            return "\n".join(_lines(shown, texts, widths, gap))
    return "\n".join(_blocks(shown, texts, width))


def _written(cell: Cell) -> str:
    if cell is None:
        return "-"
    return f"{cell:,}" if isinstance(cell, int) else visible(cell).replace("\n", r"\n")


def _widths(shown: Rows, texts: Sequence[Sequence[str]], width: int, gap: str) -> list[int]:
    """Return how wide each column is; [] if what must stay whole does not fit."""
    widths = [
        max(cell_len(name), *(cell_len(row[at]) for row in texts)) if texts else cell_len(name)
        for at, name in enumerate(shown.columns)
    ]
    folding = [at for at, name in enumerate(shown.columns) if name in shown.folding]
    least = {}
    spare = width - sum(widths) - len(gap) * (len(widths) - 1)
    for at in folding if spare < 0 else ():
        words = (cell_len(word) for row in texts for word in row[at].split(" "))
        longest = max((each for each in words if each <= _WHOLE), default=0)
        most = max(_LEAST, len(shown.columns[at]), longest, -(-widths[at] // _FOLDS))
        least[at] = min(widths[at], most)
    while spare < 0:
        widest = max(folding, key=lambda at: widths[at] - least[at], default=None)
        if widest is None or widths[widest] == least[widest]:
            return []
        widths[widest] -= 1
        spare += 1
    return widths


def _lines(shown: Rows, texts: Sequence[Sequence[str]], widths: Sequence[int], gap: str) -> Iterator[str]:
    right = [not any(isinstance(row[at], str) for row in shown.rows) for at in range(len(widths))]

    def line(cells: Sequence[str]) -> str:
        padded = [
            space + cell if to_right else cell + space
            for cell, width, to_right in zip(cells, widths, right, strict=True)
            for space in (" " * (width - cell_len(cell)),)
        ]
        return gap.join(padded).rstrip()

    for row in (shown.columns, *texts):
        folded = [_folded(cell, width) for cell, width in zip(row, widths, strict=True)]
        yield from map(line, zip_longest(*folded, fillvalue=""))


def _blocks(shown: Rows, texts: Sequence[Sequence[str]], width: int) -> Iterator[str]:
    """Yield the lines of all rows: what names a row, and below it what is known, by column."""
    for row, cells in zip(shown.rows, texts, strict=True):
        yield from _folded(_GAP.join(cells[: shown.heading]), width)
        line = ""
        for at in range(shown.heading, len(cells)):
            if row[at] is None:
                continue
            part = f"{_GAP}{shown.columns[at]} {cells[at]}"
            if line and cell_len(line) + cell_len(part) > width:
                yield line
                line = ""
            *folded, last = _folded((line + part).removeprefix(_GAP), width - len(_GAP))
            yield from (_GAP + each for each in folded)
            line = _GAP + last
        if line:
            yield line


def _folded(text: str, width: int) -> list[str]:
    """Return a text in lines of a width, divided between words where that is possible."""
    if cell_len(text) <= width:
        return [text]
    lines = [""]
    for word in text.split(" "):
        joined = f"{lines[-1]} {word}" if lines[-1] else word
        if cell_len(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        *full, lines[-1] = chop_cells(word, max(width, 2)) or [""]
        lines[-1:] = [*full, lines[-1]]
    return lines
