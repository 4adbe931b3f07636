"""What set-up prints: the plan, a line for each step when it is done, on a terminal also what is running."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

from infra.install.step import Step

REDRAW_S = 0.5
_ROW = "{:<8}{:<28}{:>9}{:>10}{:>8}"


class Progress:
    """Prints `[2/6] Model …` when a step is done; a terminal's last line shows what is running."""

    def __init__(self, total: int, out: TextIO, clock_s: Callable[[], float] = time.monotonic) -> None:
        self._total = total
        self._out = out
        self._clock_s = clock_s
        self._began_s = clock_s()
        self._done = 0
        self._running: list[str] = []
        self._lock = threading.Lock()
        self._redraws = out.isatty() and os.environ.get("TERM") != "dumb"
        self._colours = self._redraws and not os.environ.get("NO_COLOR")

    def plan(self, goal: str, steps: Sequence[Step]) -> None:
        """Print what will be done, and what it takes."""
        fetch = f"{sum(step.fetch_mb for step in steps)} MB to download"
        disk = f"{sum(step.disk_mb for step in steps)} MB on disk in this folder"
        self._print(
            f"Setting up `{goal}`, once: at most {fetch}, {disk}.\n"
            "Nothing is installed outside of it; pip and npm keep the downloads in their caches.\n"
        )
        self._print(_ROW.format("", "", "download", "on disk", "time"), dim=True)

    @contextmanager
    def step(self, step: Step) -> Iterator[None]:
        """Show a step while it runs, and print its line when it is done; no line if it fails."""
        began_s = self._clock_s()
        self._running.append(step.title)
        try:
            yield
        finally:
            self._running.remove(step.title)
        with self._lock:
            self._done += 1
            sizes = (f"{size_mb} MB" if size_mb else "-" for size_mb in (step.fetch_mb, step.disk_mb))
            took = f"{self._clock_s() - began_s:.0f} s"
            self._print(_ROW.format(f"[{self._done}/{self._total}]", step.title, *sizes, took))

    @contextmanager
    def redrawn(self) -> Iterator[None]:
        """Keep a terminal's last line up to date meanwhile."""
        ended = threading.Event()

        def redraw() -> None:
            while not ended.wait(REDRAW_S):
                with self._lock:
                    self.show_running()

        thread = threading.Thread(target=redraw)
        if self._redraws:
            thread.start()
        try:
            yield
        finally:
            ended.set()
            if self._redraws:
                thread.join()
                self._out.write("\r\033[K")

    def finish(self) -> None:
        """Print that all is done."""
        self._print(f"\nSet up in {self._clock_s() - self._began_s:.0f} s. `make clean` removes it.\n")

    def show_running(self) -> None:
        titles = ", ".join(self._running)
        took = f"{self._clock_s() - self._began_s:.0f} s"
        line = f"[{min(self._done + 1, self._total)}/{self._total}]".ljust(8) + f"{titles} ... {took}"
        self._out.write("\r\033[K" + line[: shutil.get_terminal_size().columns - 1])
        self._out.flush()

    def _print(self, text: str, *, dim: bool = False) -> None:
        text = f"\033[2m{text}\033[0m" if dim and self._colours else text
        self._out.write(("\r\033[K" if self._redraws else "") + text + "\n")
        self._out.flush()
