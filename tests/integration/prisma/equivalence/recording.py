"""Recorded answers: one compressed file of JSON lines; a session's head, its entries, its tables."""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("recording.jsonl.xz")
Recorded = tuple[dict[str, Any], list[dict[str, Any]]]


def write(recorded: list[Recorded]) -> None:
    """Keep sessions, in the place of those of the same names."""
    kept = {head["session"]: (head, entries) for head, entries in (*read(), *recorded)}
    lines = [each for head, entries in kept.values() for each in (head, *entries)]
    text = "\n".join(json.dumps(each, ensure_ascii=False, separators=(",", ":")) for each in lines)
    FILE.write_bytes(lzma.compress(text.encode(), preset=9 | lzma.PRESET_EXTREME))


def read() -> Iterator[Recorded]:
    """Yield each session's head and entries."""
    head: dict[str, Any] = {}
    entries: list[dict[str, Any]] = []
    for line in lzma.decompress(FILE.read_bytes()).decode().splitlines() if FILE.exists() else ():
        each = json.loads(line)
        if "session" not in each:
            entries.append(each)
            continue
        if head:
            yield head, entries
        head, entries = each, []
    if head:
        yield head, entries
