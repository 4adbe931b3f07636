"""The engine of clients generated with `interface = "sync"`: the same, on an event loop in a thread."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from typing import Any

from .engine import Engine

# The loop of all synchronous clients, by process: a forked one starts its own, and keeps its parent's.
_loops: dict[int, asyncio.AbstractEventLoop] = {}
_engines: weakref.WeakSet[SyncEngine] = weakref.WeakSet()


class SyncEngine:
    """The interface that Prisma Client Python calls `SyncAbstractEngine`, for any number of threads."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.close = self.aclose  # here as there, `close` waits
        _engines.add(self)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._engine, name)
        if not callable(method):
            return method

        def wait(*arguments: Any, **named: Any) -> Any:
            loop = _loops.get(os.getpid())
            if loop is None:
                made = asyncio.new_event_loop()
                loop = _loops.setdefault(os.getpid(), made)
                if loop is made:
                    threading.Thread(target=made.run_forever, name="prisma_in_process", daemon=True).start()
                else:
                    made.close()
            future = asyncio.run_coroutine_threadsafe(method(*arguments, **named), loop)
            try:
                return future.result()
            except BaseException:  # Ctrl-C: the query is stopped
                future.cancel()
                raise

        return wait

    def stop(self, **_: object) -> None:
        """Drop all connections without waiting: a client that is freed calls this, also while Python ends."""
        self._engine.close()


@atexit.register
def _close_all() -> None:
    if os.getpid() in _loops:
        for engine in list(_engines):
            engine.close()
