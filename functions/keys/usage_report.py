"""What was used, added up and as single requests, for people, programs and spreadsheets."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from functions.shared.keys import Key
from functions.shared.usage import NONE, OF_A_UNIT, UsageRecord, UsageSum

from .books import Used
from .characters import can_show
from .spreadsheets import Value
from .tables import Cell, Rows
from .views import iso_time

DIMENSIONS = ("day", "model", "key")
# Of these, columns that are all 0 are left out where people look.
_RARE = ("cut", "error", "timeout", "refused", "cached_tokens")
_BAR_WIDTH, _LEAST_BAR = 20, 5
_EIGHTHS = " ▏▎▍▌▋▊▉█"


def dimensions(text: str) -> tuple[str, ...]:
    """Read what to add up: `day`, `model` and `key`, or several of them, separated by commas.

    Raises: ValueError, with a text for the user.
    """
    chosen = tuple(each.strip() for each in text.split(","))
    if len({*chosen}) < len(chosen) or not {*chosen} <= {*DIMENSIONS}:
        raise ValueError(
            f"expected day, model or key, or several of them, as in day,model, but got {text[:64]!r}"
        )
    return chosen


def names_of(keys: Iterable[Key]) -> dict[str, str]:
    """Return the names of keys by their ids, which say of a key that it was deleted."""
    names = {key.id: key.name if key.deleted_at is None else f"{key.name} (deleted)" for key in keys}
    return {NONE: "(no key)", **names}


@dataclass(frozen=True)
class Report:
    """The sums of each group, in the order of the groups' names, and of all.

    Shape:  a group is a value for each of `by`: days, models or key ids. `names`: of keys, by id.
    """

    by: tuple[str, ...]
    names: Mapping[str, str]
    sums: Mapping[tuple[str, ...], UsageSum]
    total: UsageSum

    @classmethod
    def of(cls, used: Iterable[Used], by: tuple[str, ...], names: Mapping[str, str]) -> Report:
        """Add up what was used."""
        sums: dict[tuple[str, ...], UsageSum] = {}
        at = [("key", "day", "model").index(each) for each in by]
        for row in used:
            group = tuple([row[:3][each] for each in at])
            if group in sums:
                sums[group].add(row[3])
            else:
                sums[group] = row[3]
        total = UsageSum()
        for each in sums.values():
            total.add(each)
        return cls(by, names, dict(sorted(sums.items())), total)

    def table(self) -> Rows:
        """Return a row for each group; where people look, days get a bar of their tokens."""
        people = sys.stdout.isatty()
        counts = [
            name
            for name in UsageSum.NAMES
            if getattr(self.total, name) or not (name == "cost" or (people and name in _RARE))
        ]
        columns = [*map(str.upper, self.by), *(each.removesuffix("_tokens").upper() for each in counts)]
        rows = [[*self._named(group), *_cells(used, counts)] for group, used in self.sums.items()]
        if len(rows) > 1:
            blank = [None] * (len(self.by) - 1)
            rows.append(["total", *blank, *_cells(self.total, counts)])
        if people and self.by == ("day",):
            columns, rows = self._with_bars(columns, rows)
        return Rows(columns, rows, folding=("MODEL", "KEY"), heading=len(self.by))

    def records(self) -> list[dict[str, Any]]:
        """Return the sums for programs."""
        return [{**self._group(group), **used.amounts()} for group, used in self.sums.items()]

    def spreadsheet(self) -> tuple[list[str], Iterator[list[Value]]]:
        """Return the columns and the rows of a spreadsheet; it has no total, which is for it to add up."""
        columns = [*self._group(self.by), *UsageSum.NAMES]
        return columns, ([*each.values()] for each in self.records())

    def _group(self, group: tuple[str, ...]) -> dict[str, Any]:
        named: dict[str, Any] = {}
        for name, value in zip(self.by, group, strict=True):
            named[name] = value
            if name == "key":
                named["name"] = self.names.get(value)
        return named

    def _named(self, group: tuple[str, ...]) -> list[Cell]:
        texts: list[Cell] = [*group]
        if "key" in self.by:
            at = self.by.index("key")
            shown_id = "" if group[at] == NONE else group[at]
            texts[at] = f"{self.names.get(group[at], '')} {shown_id}".strip()
        return texts

    def _with_bars(self, columns: list[str], rows: list[list[Cell]]) -> tuple[list[str], list[list[Cell]]]:
        """Return the table with a bar in each row, if the terminal is wide enough."""
        cells: list[list[Cell]] = [[*columns], *rows]
        width = sum(max(_width(row[at]) for row in cells) + 2 for at in range(len(columns)))
        longest = min(_BAR_WIDTH, shutil.get_terminal_size().columns - width)
        tokens = [_tokens(used) for used in self.sums.values()]
        if longest < _LEAST_BAR or not max(tokens, default=0):
            return columns, rows
        bars = [bar(each / max(tokens), longest) for each in tokens] + [""]
        return [*columns, "TOKENS"], [[*row, each] for row, each in zip(rows, bars, strict=False)]


def bar(part: float, width: int) -> str:
    """Draw a part of 1 in so many characters: in eighths of one, or of `#` where stdout lacks these."""
    if not can_show(_EIGHTHS):
        return "#" * round(part * width)
    eighths = round(part * width * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def records_table(records: Sequence[UsageRecord]) -> Rows:
    """Return a row for each record."""
    columns = ["TIME", "REQUEST", "MODEL", "OUTCOME", "CODE", "PROMPT", "CACHED", "COMPLETION", "MS"]
    rows: list[list[Cell]] = [
        [
            iso_time(each.started_at / 1000),
            each.request_id,
            each.model,
            each.outcome,
            each.code,
            each.prompt_tokens,
            each.cached_tokens,
            each.completion_tokens,
            round(each.duration_ms),
        ]
        for each in records
    ]
    if any(each.hedge for each in records):
        columns.append("HEDGE")
        rows = [[*row, each.hedge] for row, each in zip(rows, records, strict=True)]
    if any(each.cost for each in records):
        columns.append("COST")
        rows = [[*row, _cost(each.cost)] for row, each in zip(rows, records, strict=True)]
    return Rows(columns, rows, folding=("REQUEST", "MODEL", "CODE", "HEDGE"))


RECORD_COLUMNS = (
    "time",
    "key",
    "name",
    *(each.name for each in fields(UsageRecord) if each.name != "key_id"),
)


def record_members(record: UsageRecord, names: Mapping[str, str]) -> dict[str, Any]:
    """Return a record for programs, in the order of `RECORD_COLUMNS`."""
    members: dict[str, Any] = {**asdict(record), "cost": record.cost / OF_A_UNIT}
    members |= {"key": record.key_id, "name": names.get(record.key_id)}
    members["time"] = iso_time(record.started_at / 1000)
    return {name: members[name] for name in RECORD_COLUMNS}


def _cells(used: UsageSum, counts: Sequence[str]) -> list[Cell]:
    return [_cost(used.cost) if name == "cost" else getattr(used, name) for name in counts]


def _cost(cost: int) -> str:
    """Write a cost in units of the currency, with two decimals, and as many as six if it has them."""
    units, rest = f"{cost / OF_A_UNIT:,.6f}".split(".")
    return f"{units}.{rest[:2]}{rest[2:].rstrip('0')}"


def _width(cell: Cell) -> int:
    return len(f"{cell:,}" if isinstance(cell, int) else cell or "-")


def _tokens(used: UsageSum) -> int:
    return used.prompt_tokens + used.completion_tokens
