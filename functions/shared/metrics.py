"""CloudWatch metrics, as log lines in the embedded metric format.

All metrics have the dimension `model`; only a few have `outcome` or `key_id`, for CloudWatch charges for each
combination of values.

Source: "Specification: Embedded metric format", CloudWatch user guide, read 2026-11-23.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from .usage import UsageRecord

Values = Mapping[str, tuple[float, str]]


class Metrics:
    """Writes metrics into one namespace; each deployment has its own."""

    def __init__(self, namespace: str, write: Callable[[str], None] | None = None) -> None:
        self._namespace, self._write = namespace, write or partial(print, flush=True)

    def write_request(self, record: UsageRecord, engine_ms: float | None = None) -> None:
        """Write what a request used, and how long its engine took."""
        counts = {
            "requests": (1, "Count"),
            "prompt_tokens": (record.prompt_tokens, "Count"),
            "completion_tokens": (record.completion_tokens, "Count"),
        }
        times = {
            "duration_ms": record.duration_ms,
            "first_byte_ms": record.first_byte_ms,
            "engine_ms": engine_ms,
        }
        measured = {name: (ms, "Milliseconds") for name, ms in times.items() if ms is not None}
        about = {
            "model": record.model,
            "key_id": record.key_id,
            "outcome": record.outcome,
            "request_id": record.request_id,
            **({"code": record.code} if record.code else {}),
        }
        sets: dict[tuple[str, ...], Values] = {
            ("model",): {**counts, **measured},
            ("model", "outcome"): {"requests": counts["requests"]},
            ("key_id",): counts,
        }
        self._line(record.started_at, about, sets)

    def write_start(self, model: str, at_ms: int) -> None:
        """Write that requests wait for a model's engine to start.

        Units:  `at_ms`: ms since 1970.
        """
        self._line(at_ms, {"model": model}, {("model",): {"starts": (1, "Count")}})

    def write_fallback(self, model: str, at_ms: int) -> None:
        """Write that a model's fallback answers a request.

        Units:  `at_ms`: ms since 1970.
        """
        self._line(at_ms, {"model": model}, {("model",): {"fallbacks": (1, "Count")}})

    def _line(self, at_ms: int, about: Mapping[str, str], sets: Mapping[tuple[str, ...], Values]) -> None:
        directives = [
            {
                "Namespace": self._namespace,
                "Dimensions": [list(dimensions)],
                "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in values.items()],
            }
            for dimensions, values in sets.items()
        ]
        line: dict[str, Any] = {"_aws": {"Timestamp": at_ms, "CloudWatchMetrics": directives}, **about}
        for values in sets.values():
            line |= {name: value for name, (value, _) in values.items()}
        self._write(json.dumps(line, separators=(",", ":")))
