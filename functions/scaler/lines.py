"""The reporter's lines, as a subscription filter of CloudWatch Logs delivers them.

Source: `CloudWatchLogsEvent` of Powertools for AWS Lambda, read 2026-11-27.
"""

from __future__ import annotations

import base64
import gzip
import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Line:
    """One of the reporter's lines.

    Shape:  `task` is the id of the ECS task that wrote it.
    Units:  `at` s since 1970, when it was written; `idle_s` s that the engine had been without requests then.
    """

    at: float
    idle_s: float
    task: str


def newest_line(data: str) -> Line | None:
    """Return the newest of the reporter's lines in an event; None, where it has none.

    Shape:  `data` is base64 of gzip of JSON. Its log stream is `<prefix>/<container>/<task id>`.
    """
    event = json.loads(gzip.decompress(base64.b64decode(data)))
    if event.get("messageType") != "DATA_MESSAGE":
        return None
    task = event["logStream"].rpartition("/")[2]
    lines = [
        Line(each["timestamp"] / 1000, idle_s, task)
        for each in event["logEvents"]
        if (idle_s := _idle_s(each["message"])) is not None
    ]
    return max(lines, key=lambda line: line.at, default=None)


def _idle_s(message: str) -> float | None:
    try:
        values: Any = json.loads(message)
    except ValueError:
        return None
    idle_s = values.get("idle_s") if isinstance(values, dict) else None
    if isinstance(idle_s, bool) or not isinstance(idle_s, int | float):
        return None
    return float(idle_s)
