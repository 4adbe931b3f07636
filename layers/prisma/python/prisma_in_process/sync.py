"""The engine of clients generated with `interface = "sync"`: the same, on an event loop in a thread."""

from __future__ import annotations

import asyncio
import atexit
import os
import threading
import weakref
from collections.abc import Coroutine
from contextlib import suppress
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

from .engine import Engine
from .models import Call

T = TypeVar("T")

# By process: a forked one starts its own, and must not free its parent's.
_loops: dict[int, asyncio.AbstractEventLoop] = {}
_engines: weakref.WeakSet[SyncEngine] = weakref.WeakSet()
_EXIT_S = 1.0


def _background() -> asyncio.AbstractEventLoop:
    """Return the loop of all synchronous clients of this process."""
    found = _loops.get(os.getpid())
    if found is None:
        made = asyncio.new_event_loop()
        found = _loops.setdefault(os.getpid(), made)
        if found is made:
            threading.Thread(target=made.run_forever, name="prisma_in_process", daemon=True).start()
        else:
            made.close()
    return found


def _wait(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run to the end, from any thread; Ctrl-C stops the query."""
    future = asyncio.run_coroutine_threadsafe(coroutine, _background())
    try:
        return future.result()
    except BaseException:
        future.cancel()
        raise


@atexit.register
def _close_all() -> None:
    loop, engines = _loops.get(os.getpid()), list(_engines)

    async def close() -> None:
        for each in engines:
            await each._engine.aclose()

    if loop and engines:
        with suppress(TimeoutError):
            asyncio.run_coroutine_threadsafe(close(), loop).result(_EXIT_S)


class SyncEngine:
    """The interface that Prisma Client Python calls `SyncAbstractEngine`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        _engines.add(self)

    def connect(
        self, timeout: timedelta = timedelta(seconds=10), datasources: list[dict[str, str]] | None = None
    ) -> None:
        _wait(self._engine.connect(timeout, datasources))

    def run(self, call: Call, tx_id: str | None) -> dict[str, Any]:
        return _wait(self._engine.run(call, tx_id))

    def run_batch(self, calls: list[Call], tx_id: str | None) -> list[Any]:
        return _wait(self._engine.run_batch(calls, tx_id))

    def start_transaction(self, *, content: str) -> str:
        return _wait(self._engine.start_transaction(content=content))

    def commit_transaction(self, tx_id: str) -> None:
        _wait(self._engine.commit_transaction(tx_id))

    def rollback_transaction(self, tx_id: str) -> None:
        _wait(self._engine.rollback_transaction(tx_id))

    def query(self, *_: object, **__: object) -> NoReturn:
        _wait(self._engine.query())

    def metrics(self, **_: object) -> NoReturn:
        _wait(self._engine.metrics())

    def close(self, **_: object) -> None:
        _wait(self._engine.aclose())

    def stop(self, **_: object) -> None:
        """Drop all connections without waiting: a client that is freed calls this, also while Python ends."""
        self._engine.close()
