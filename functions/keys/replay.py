"""The usage records in the lines of a log.

A record is `{"usage": {…}}` anywhere in a line, whatever CloudWatch or a terminal put before it; or inside
the `message` of JSON, which is how Lambda's JSON log format and `aws logs filter-log-events` write it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from functions.shared.items import instant
from functions.shared.usage import KEEP_RECORDS_DAYS, UsageRecord

_OURS = re.compile(r'\{\s*"usage"\s*:\s*\{')
_ESCAPED = re.compile(r'\{\s*\\"usage\\"\s*:')
_MESSAGE = re.compile(r'"@?message"\s*:\s*(?P<text>"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*")')
_DECODER = json.JSONDecoder()
_REPORTED = 20
# A request's id is in a sort key of the table, which holds 1,024 bytes; and the rest is shown in terminals.
_LONGEST_TEXT = 256
_KEY_ID = re.compile(r"key_[0-9a-f]{1,32}")
_DAY_MS = 86_400_000
_YEAR_2020_MS = 1_577_836_800_000
# What becomes of the records of a log, and of its lines.
KINDS = (
    "written",
    "already_there",
    "unknown_keys",
    "impossible_times",
    "too_old",
    "malformed",
    "skipped",
)


@dataclass
class Replay:
    """The replay of logs into a table, and what became of their records.

    Shape:  `put` returns whether the record was written, `is_known` whether there is a key of this id.
            `counts` by KINDS. `mistakes`: the lines of what was left out, and why; the first of them.
    Units:  `now` s since 1970.
    """

    put: Callable[[UsageRecord], bool]
    is_known: Callable[[str], bool]
    now: float
    keep_records_days: int = KEEP_RECORDS_DAYS
    counts: Counter[str] = field(default_factory=lambda: Counter(dict.fromkeys(KINDS, 0)))
    mistakes: list[tuple[int, str]] = field(default_factory=list)

    def read(self, lines: Iterable[str]) -> None:
        """Write each record that can be true. One that cannot does not stop the rest."""
        for number, line in enumerate(lines, 1):
            try:
                found = records_in(line)
            except ValueError as error:
                self._leave_out("malformed", number, str(error))
                continue
            self.counts["skipped"] += not found
            for record in found:
                if wrong := self._wrong(record):
                    self._leave_out(wrong[0], number, wrong[1])
                else:
                    self.counts["written" if self.put(record) else "already_there"] += 1

    @property
    def left_out(self) -> int:
        """How many records were not written."""
        return sum(self.counts[kind] for kind in ("unknown_keys", "impossible_times", "too_old", "malformed"))

    def _leave_out(self, kind: str, number: int, reason: str) -> None:
        self.counts[kind] += 1
        if len(self.mistakes) < _REPORTED:
            self.mistakes.append((number, reason))

    def _wrong(self, record: UsageRecord) -> tuple[str, str] | None:
        """Return why a record is not written: its kind, and a text."""
        at, now_ms, days = record.started_at, self.now * 1000, self.keep_records_days
        if not _YEAR_2020_MS <= at <= now_ms + _DAY_MS:
            return "impossible_times", f"Expected a time from 2020 to tomorrow, but it is of {instant(at)}."
        if at < now_ms - days * _DAY_MS:
            reason = (
                f"Expected a record of the last {days:,} days, but it is of {instant(at)[:10]}: older ones"
            )
            return "too_old", f"{reason} are deleted, so it may have been counted before."
        if not self.is_known(record.key_id):
            named = f" {record.key_id}" if _KEY_ID.fullmatch(record.key_id) else ""
            return "unknown_keys", f"Expected the id of a key of this table, but there is none{named}."
        return None


def records_in(line: str) -> list[UsageRecord]:
    """Return the usage records of a line.

    Raises: ValueError, without quoting the line.
    """
    if _ESCAPED.search(line):
        messages = [match["text"] for match in _MESSAGE.finditer(line) if _ESCAPED.search(match["text"])]
        if not messages:
            raise ValueError("Expected the usage record in a member `message` of JSON.")
        return [record for each in messages for record in records_in(json.loads(each))]
    return [_record(line, match.end() - 1) for match in _OURS.finditer(line)]


def _record(line: str, start: int) -> UsageRecord:
    try:
        members: dict[str, Any] = _DECODER.raw_decode(line, start)[0]
    except (ValueError, RecursionError):
        raise ValueError(
            'Expected JSON after {"usage":, but the line breaks off or is something else.'
        ) from None
    record = UsageRecord.from_values(members)
    for name in ("request_id", "key_id", "model", "code", "hedge"):
        text = getattr(record, name) or "-"
        if len(text) > _LONGEST_TEXT or not text.isprintable():
            raise ValueError(f"Expected a usage record, but `{name}` is too long or not printable.")
    return record
