"""What the terminal shows: one line per request, one per notable event, and the functions' own output.

A request's line never holds its query, its headers or its body: they may carry keys and prompts. A key in its
path, where none belongs, is left out, and so is the end of a long path. What a function counted of the
request, and how it ended, comes from the metrics that the function prints.
"""

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TextIO

# Metrics, for other programs: their request has its line. A usage record is shown whole: a function prints
# only those that the table did not take, and the `replay` command reads them in what was shown.
_METRICS = '{"_aws":'
# Metrics are printed before a response ends; through another pipe.
_METRICS_S = 0.1
# They are dropped where their request has no line yet after so many others.
_MAX_COUNTED = 1000
_MAX_PATH = 300
_KEY = re.compile(r"\bsk-[^/]*", re.IGNORECASE)
_GREEN, _YELLOW, _RED, _PLAIN = "\033[32m", "\033[33m", "\033[31m", "\033[0m"


@dataclass
class RequestLine:
    """What one request's line shows.

    Shape:  `request_id` is the function's. `outcome` is the gateway's, "" where it passed on all that the
            function sent.
    """

    method: str
    path: str
    began_s: float
    request_id: str = ""
    status: int = 0
    first_byte_s: float | None = None
    bytes_sent: int = 0
    outcome: str = ""

    def text(self, now_s: float, counted: Mapping[str, Any] | None = None, *, in_colour: bool = False) -> str:
        """Return the line for a request that ended now.

        Shape:  `counted` are a function's metrics: `model`, `prompt_tokens`, `completion_tokens`, `outcome`
                and `code`.
        """
        counted = counted or {}
        outcome = counted.get("outcome", "ok")
        ending = [*(() if outcome == "ok" else (outcome, counted.get("code") or "")), self.outcome]
        broken = self.outcome or outcome not in ("ok", "refused")
        colour = _RED if broken or self.status >= 500 else _YELLOW if self.status >= 400 else _GREEN
        before, after = (colour, _PLAIN) if in_colour else ("", "")
        parts = [
            f"{self.method:<4} {_KEY.sub('sk-…', self.path)[:_MAX_PATH]}",
            f"{before}{self.status or '-'}{after}",
        ]
        if self.first_byte_s is not None:
            parts.append(f"first byte {_duration(self.first_byte_s - self.began_s)}")
        parts += [f"total {_duration(now_s - self.began_s)}", _size(self.bytes_sent)]
        if counted.get("model", "-") != "-":
            parts.append(f"{counted['model']}")
        if counted.get("prompt_tokens"):
            parts.append(f"{counted['prompt_tokens']}+{counted.get('completion_tokens', 0)} tokens")
        if any(ending):
            parts.append(f"{before}{' '.join(filter(None, ending))}{after}")
        return "  ".join(parts)


@dataclass
class Console:
    """The terminal."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    log: TextIO = field(default_factory=lambda: sys.stderr)
    clock_s: Callable[[], float] = time.perf_counter

    def __post_init__(self) -> None:
        self._counted: dict[str, Mapping[str, Any]] = {}
        self._in_colour = (
            self.out.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        )

    def print(self, text: str = "") -> None:
        print(text, file=self.out, flush=True)

    def log_request(self, line: RequestLine) -> None:
        """Show the line of a request that ended now, as soon as its metrics have come or are late."""
        now_s, clock = self.clock_s(), time.strftime("%H:%M:%S")

        def show() -> None:
            counted = self._counted.pop(line.request_id, None)
            self.print(f"{clock}  {line.text(now_s, counted, in_colour=self._in_colour)}")

        if line.request_id and line.request_id not in self._counted:
            asyncio.get_running_loop().call_later(_METRICS_S, show)
        else:
            show()

    def warn(self, text: str) -> None:
        print(text, file=self.log, flush=True)

    def output_of(self, name: str) -> Callable[[str], None]:
        """Return a function that shows what a child prints, and keeps metrics for the lines of requests."""

        def show(line: str) -> None:
            if not line.startswith(_METRICS):
                self.warn(f"{name} | {line}")
                return
            with suppress(ValueError, KeyError):
                metrics = json.loads(line)
                self._counted[metrics["request_id"]] = metrics
            if len(self._counted) > _MAX_COUNTED:
                del self._counted[next(iter(self._counted))]

        return show


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"
