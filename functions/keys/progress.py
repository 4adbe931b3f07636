"""How far a command is that takes longer than a second."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock, Timer

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

_SHOWN_AFTER_S = 1.0


@contextmanager
def progress(what: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
    """Give a function that counts what is done; on stderr it is shown after a second, where people look.

    Shape:  it may be called by any thread. `what`: a text like `Reading keys`; `total`: None if unknown.
    """
    if not (sys.stderr and sys.stderr.isatty()):
        yield lambda _: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    shown = Progress(*columns, console=Console(stderr=True), transient=True)
    task = shown.add_task(what, total=total)
    ended, changing = False, Lock()

    def start() -> None:
        with changing:
            if not ended:
                shown.start()

    timer = Timer(_SHOWN_AFTER_S, start)
    timer.daemon = True
    timer.start()
    try:
        yield lambda done: shown.advance(task, done)
    finally:
        timer.cancel()
        with changing:
            ended = True
            shown.stop()
