"""Usage, added up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from functions.shared.usage import UsageRecord

from .spans import iso_day
from .tables import Cell, table

_COLUMNS = ("REQUESTS", "OK", "CUT", "ERROR", "TIMEOUT", "REFUSED", "PROMPT", "CACHED", "COMPLETION")


@dataclass
class Sum:
    """What some requests used. Units: tokens, requests."""

    requests: int = 0
    ok: int = 0
    cut: int = 0
    error: int = 0
    timeout: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0

    def add(self, record: UsageRecord) -> None:
        """Count one request."""
        self.requests += 1
        setattr(self, record.outcome, getattr(self, record.outcome) + 1)
        self.prompt_tokens += record.prompt_tokens
        self.cached_tokens += record.cached_tokens
        self.completion_tokens += record.completion_tokens

    def cells(self) -> tuple[int, ...]:
        """Return the numbers in the order of the columns."""
        return tuple(asdict(self).values())


@dataclass(frozen=True)
class Report:
    """The sums of each day, model or key, in the order of their names, and of all."""

    by: str
    sums: Mapping[str, Sum]
    total: Sum

    def text(self, names: Mapping[str, str]) -> str:
        """Write a table; `names` has what to call a group where it is not its own name."""
        rows: list[tuple[Cell, ...]] = [
            (names.get(group, group), *sums.cells()) for group, sums in self.sums.items()
        ]
        if len(rows) > 1:
            rows.append(("total", *self.total.cells()))
        head = self.by.upper()
        return table((head, *_COLUMNS), rows, (head,))

    def records(self) -> list[dict[str, Any]]:
        """Return the sums for programs."""
        return [{self.by: group, **asdict(sums)} for group, sums in self.sums.items()]


def add_up(records: Iterable[UsageRecord], by: str) -> Report:
    """Add up what was used by `day` (UTC), `model` or `key`."""
    sums: dict[str, Sum] = {}
    total = Sum()
    for record in records:
        sums.setdefault(_group(record, by), Sum()).add(record)
        total.add(record)
    return Report(by, dict(sorted(sums.items())), total)


def _group(record: UsageRecord, by: str) -> str:
    if by == "day":
        return iso_day(record.started_at / 1000)
    return record.model if by == "model" else record.key_id
