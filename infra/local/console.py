"""What the terminal shows: one line per request, one per notable event, and the functions' own output.

A request's line never holds its query, its headers or its body: they may carry keys and prompts.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TextIO

# A request's usage and metrics, for other programs. The request has its line.
_RECORDS = ('{"usage":', '{"_aws":')


@dataclass
class RequestLine:
    """What one request's line shows."""

    method: str
    path: str
    began_s: float
    status: int = 0
    first_byte_s: float | None = None
    bytes_sent: int = 0
    outcome: str = ""

    def text(self, now_s: float) -> str:
        """Return the line for a request that ended now."""
        parts = [f"{self.method:<4} {self.path}", f"{self.status or '-'}"]
        if self.first_byte_s is not None:
            parts.append(f"first byte {_duration(self.first_byte_s - self.began_s)}")
        parts += [f"total {_duration(now_s - self.began_s)}", _size(self.bytes_sent)]
        return "  ".join([*parts, self.outcome] if self.outcome else parts)


@dataclass
class Console:
    """The terminal."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    log: TextIO = field(default_factory=lambda: sys.stderr)
    clock_s: Callable[[], float] = time.perf_counter

    def print(self, text: str = "") -> None:
        print(text, file=self.out, flush=True)

    def log_request(self, line: RequestLine) -> None:
        self.print(f"{time.strftime('%H:%M:%S')}  {line.text(self.clock_s())}")

    def warn(self, text: str) -> None:
        print(text, file=self.log, flush=True)

    def output_of(self, name: str) -> Callable[[str], None]:
        """Return a function that shows the lines that a child prints, without records."""

        def show(line: str) -> None:
            if not line.startswith(_RECORDS):
                self.warn(f"{name} | {line}")

        return show


def _duration(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _size(count: int) -> str:
    if count < 1000:
        return f"{count} B"
    return f"{count / 1000:.1f} kB" if count < 1_000_000 else f"{count / 1_000_000:.1f} MB"
