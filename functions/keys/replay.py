"""The usage records in the lines of a log.

A record is `{"usage": {…}}` anywhere in a line, whatever CloudWatch or a terminal put before it; or inside
the `message` of a line that is JSON, which is how Lambda's JSON log format writes it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from functions.shared.usage import UsageRecord

_OURS = re.compile(r'\{\s*"usage"\s*:\s*\{')
_ESCAPED = re.compile(r'\{\s*\\"usage\\"\s*:')
_DECODER = json.JSONDecoder()
_REPORTED = 20
# A request's id is in a sort key of the table, which holds 1,024 bytes; and the rest is shown in terminals.
_LONGEST_TEXT = 256


@dataclass
class Replay:
    """What was found in a log: records and lines without one, and by line number what was malformed."""

    records: int = 0
    other_lines: int = 0
    malformed_lines: int = 0
    mistakes: list[tuple[int, str]] = field(default_factory=list)

    def read(self, lines: Iterable[str], put: Callable[[UsageRecord], None]) -> None:
        """Give each record to `put`. A malformed one does not stop the rest."""
        for number, line in enumerate(lines, 1):
            try:
                found = records_in(line)
            except ValueError as error:
                self.malformed_lines += 1
                if self.malformed_lines <= _REPORTED:
                    self.mistakes.append((number, str(error)))
                continue
            for record in found:
                put(record)
            self.records += len(found)
            self.other_lines += not found


def records_in(line: str) -> list[UsageRecord]:
    """Return the usage records of a line.

    Raises: ValueError, without quoting the line.
    """
    if _ESCAPED.search(line):
        line = _message(line)
    return [_record(line, match.end() - 1) for match in _OURS.finditer(line)]


def _message(line: str) -> str:
    try:
        outer = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("Expected a line of JSON around the usage record.") from None
    message = outer.get("message") if isinstance(outer, dict) else None
    if not isinstance(message, str):
        raise ValueError("Expected the usage record in a member `message`.")
    return message


def _record(line: str, start: int) -> UsageRecord:
    try:
        members: dict[str, Any] = _DECODER.raw_decode(line, start)[0]
    except (ValueError, RecursionError):
        raise ValueError(
            'Expected JSON after {"usage":, but the line breaks off or is something else.'
        ) from None
    record = UsageRecord.from_values(members)
    for name in ("request_id", "key_id", "model", "code"):
        text = getattr(record, name) or "-"
        if len(text) > _LONGEST_TEXT or not text.isprintable():
            raise ValueError(f"Expected a usage record, but `{name}` is too long or not printable.")
    return record
