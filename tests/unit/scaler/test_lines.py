"""The reporter's lines, as CloudWatch Logs delivers them."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest

from functions.scaler.lines import Line, newest_line


def encoded(*messages: str, kind: str = "DATA_MESSAGE") -> str:
    events = [
        {"id": str(number), "timestamp": 1000 * number, "message": message}
        for number, message in enumerate(messages)
    ]
    event: dict[str, Any] = {
        "messageType": kind,
        "owner": "123456789012",
        "logGroup": "engine",
        "logStream": "reporter/reporter/0f9de17a6465404e8b1b2356dc13c2f8",
        "subscriptionFilters": ["Idle"],
        "logEvents": events,
    }
    return base64.b64encode(gzip.compress(json.dumps(event).encode())).decode()


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        (['{"idle_s": 1200}'], (0, 1200)),
        (['{"idle_s": 1260}', '{"idle_s": 0}'], (1, 0)),
        (['{"idle_s": 1260}', '{"idle_s": true}', '{"idle_s": "9"}', "{", "[]", '{"a": 1}'], (0, 1260)),
        (["INFO: started"], None),
        ([], None),
    ],
)
def test_the_newest_line_counts(messages: list[str], found: tuple[float, float] | None) -> None:
    line = found and Line(*found, "0f9de17a6465404e8b1b2356dc13c2f8")
    assert newest_line(encoded(*messages)) == line


def test_control_messages_are_ignored() -> None:
    assert newest_line(encoded('{"idle_s": 1200}', kind="CONTROL_MESSAGE")) is None
