"""The chat function, with the longest step of its event loop since the last request in the file LONGEST_STEP.

A step is what runs between two turns of the loop; reading an event is one, as it is where many requests share
the loop. It is CPU time: other processes have no part in it.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lambda_stream import _events

_file = Path(os.environ["LONGEST_STEP"])
_longest_s = 0.0


def _timed(step: Callable[[Any], Any], *, first: bool = False) -> Callable[[Any], Any]:
    def timed(self: Any) -> Any:
        global _longest_s
        began = time.thread_time()
        try:
            return step(self)
        finally:
            took_s = time.thread_time() - began
            if first or took_s > _longest_s:
                _longest_s = took_s
                _file.write_text(str(took_s))

    return timed


setattr(asyncio.Handle, "_run", _timed(asyncio.Handle._run))  # noqa: B010 - mypy's view of it
setattr(_events.Invocation, "event", _timed(_events.Invocation.event, first=True))  # noqa: B010

from functions.chat.handler import handler  # noqa: E402, F401 - after what it runs in is measured
