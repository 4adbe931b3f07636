"""Rows as spreadsheets read them: CSV with a header, and numbers without separators."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

# So begins what spreadsheets take for a formula, which could send the other cells away.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")

Value = str | int | float | bool | list[str] | None


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[Value]]) -> Iterator[str]:
    """Yield the lines, each with its end. A text that looks like a formula gets a `'` before it."""
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    for row in chain([columns], rows):
        writer.writerow([_cell(each) for each in row])
        yield line.getvalue()
        line.seek(0)
        line.truncate()


def _cell(value: Value) -> Value:
    if isinstance(value, list):
        value = ",".join(value)
    if isinstance(value, str) and len(value) > 1 and value.startswith(_FORMULA):
        return f"'{value}"
    if isinstance(value, float):
        return f"{value:.9f}".rstrip("0").rstrip(".")  # never as 1e-09
    return value
