"""What a deployment prints: a line for each stack that is done; meanwhile what it waits for.

On a terminal the last line shows that, redrawn; elsewhere a line each half a minute does, so that a log shows
that something happens.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from typing import TextIO

from infra.deploy.events import Events

HEARTBEAT_S = 30.0
# The deployment waits for the build that copies the image and the weights.
BUILD = "AWS::CloudFormation::WaitCondition"
_ROW = "{:<8}{:<28}{:>14}{:>12}"


class Progress:
    """Reads what CDK prints, line by line, and prints less of it.

    Shape:  `build_lines`: returns what the build has logged since the last call.
    """

    def __init__(
        self,
        out: TextIO,
        *,
        build_lines: Callable[[], list[str]],
        clock_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out, self._build_lines, self._clock_s = out, build_lines, clock_s
        self._events = Events()
        self._finished = 0
        self._began_s = self._shown_s = clock_s()
        self._redraws = out.isatty() and os.environ.get("TERM") != "dumb"

    @property
    def stack(self) -> str:
        """The stack that it is at, or was at last; "" before the first."""
        return self._events.stack

    def line(self, text: str) -> None:
        """Take a line that CDK has printed."""
        now_s = self._clock_s()
        finished = self._events.read(text, now_s)
        if finished:
            self._finished += 1
            what = finished.how or f"{finished.resources} resources"
            number = f"[{self._finished}/{max(self._events.total, self._finished)}]"
            self._print(_ROW.format(number, finished.stack, what, duration(finished.took_s)))
            self._shown_s = now_s

    def pause(self) -> None:
        """Show what it waits for, if that is due; called about twice a second."""
        now_s = self._clock_s()
        if self._redraws:
            width = shutil.get_terminal_size().columns - 1
            self._out.write("\r\033[K" + self._waiting(now_s)[:width])
            self._out.flush()
        if now_s - self._shown_s < HEARTBEAT_S:
            return
        self._shown_s = now_s
        if self._events.runs(BUILD):
            for text in self._build_lines():
                self._print(f"        build: {text}")
        if not self._redraws:
            self._print(self._waiting(now_s))

    def end(self) -> None:
        """Leave a terminal's last line empty."""
        if self._redraws:
            self._out.write("\r\033[K")
            self._out.flush()

    def _waiting(self, now_s: float) -> str:
        events = self._events
        if not events.total:
            return f"        CDK prepares and uploads, {duration(now_s - self._began_s)} …"
        text = f"[{events.number}/{events.total}]".ljust(8) + events.stack
        if events.resources:
            text += f"  {events.done} of {events.resources} resources"
        if longest := events.longest():
            took = duration(now_s - longest.since_s)
            text += f", {longest.resource} ({longest.kind}) for {took}"
        return f"{text} …"

    def _print(self, text: str) -> None:
        self._out.write(("\r\033[K" if self._redraws else "") + text + "\n")
        self._out.flush()


def duration(seconds: float) -> str:
    """Return a duration as in `45 s` or `3 min 5 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
