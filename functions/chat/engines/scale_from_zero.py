"""Engines scaled to zero: the first request that cannot reach one has it started.

    a whole reply   503 `model_warming`, with when to try again
    a stream        is held, with comments, until the engine accepts it or the timeout has come; 503 at once
                    where it may not wait: a fallback may answer it, or as many streams wait as may
    blocked         503 `model_unavailable`, also of a stream that is held: AWS reports why it cannot start

An engine counts as scaled to zero where nothing answers at its address. So does one that has crashed, or that
another environment has just started: starting it again is idempotent, and the wait is the same. A stream that
is held has the engine started again every 15 s, so a start that was lost or undone is repeated.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from dataclasses import dataclass
from math import inf
from typing import Any

from functions.chat.errors import ApiError, EngineUnreachable, ModelUnavailable, ModelWarming
from functions.chat.models import Model
from functions.shared.clock import Clock
from functions.shared.metrics import Metrics

from .engine import Accepted, Engine, EngineRequest, Event, Failure
from .scaler import BLOCKED, Scaler, Start, StartFailed

logger = logging.getLogger("chat.scale_from_zero")

# The pause between two requests to an engine that is starting.
POLL_S = 2.0
# The scaler is called at most once in this time, apart from the first call for each stream.
CHECK_S = 15.0
# How often the metric reports that a request waits.
REPORT_S = 60.0
RETRY_AFTER_S = (5.0, 120.0)
# A request that a fallback may answer does not wait longer for the scaler, which may be cold.
FALLBACK_S = 0.5
_HINT = ' With `"stream": true` a request waits for it.'
_FULL = " As many streams as may wait for it do so already."


@dataclass(slots=True)
class _Known:
    """What this environment knows of one model's start.

    Shape:  `since`: when its engine was first unreachable. `start`: what the scaler has returned; None:
            nothing yet. `call`: it is being called, for requests that do not wait.
    """

    since: float
    start: Start | None = None
    checked_at: float = -inf
    reported_at: float = -inf
    call: asyncio.Task[Start | None] | None = None


class ScaleFromZero:
    """An engine whose models are started on demand; a model without a scaler fails as it did."""

    def __init__(
        self,
        engine: Engine,
        scaler: Scaler,
        *,
        timeout_s: float,
        metrics: Metrics | None = None,
        now: Callable[[], float] = time.time,
        clock: Clock | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._engine, self._scaler, self._timeout_s, self._metrics = engine, scaler, timeout_s, metrics
        self._now, self._clock, self._pause = now, clock or Clock(), pause
        self._known: dict[str, _Known] = {}
        self._holders: set[str] = set()
        self._working: set[asyncio.Task[Any]] = set()

    def open(self, request: EngineRequest) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Send a request, and give the events of its reply; a stream waits for an engine that is starting."""
        if not request.model.scaler:
            return self._engine.open(request)
        return aclosing(self._events(request))

    async def models(self, model: Model) -> Any:
        """Return the list of models of an engine that runs; none is started for it."""
        return await self._engine.models(model)

    async def aclose(self) -> None:
        """Close the engine's connections."""
        await self._engine.aclose()

    async def _events(self, request: EngineRequest) -> AsyncGenerator[Event, None]:
        model = request.model
        holder = secrets.token_hex(8) if request.stream and request.waits else None
        async with self._engine.open(request) as events:
            first = await anext(events)
            start = None
            if _is_unreachable(first):
                start = await (self._call(model, holder) if holder else self._shared(request))
            if not start:
                self._note(model, first)
                yield first
                async for event in events:
                    yield event
                return
        self._report(model)
        if error := self._refusal(request, start):
            if holder:
                self._release(model, holder)
            yield Failure(error)
        elif holder:
            yield Accepted()
            async with aclosing(self._held(request, holder)) as events:
                async for event in events:
                    yield event

    def _refusal(self, request: EngineRequest, start: Start) -> ApiError | None:
        """Return why a request is not held, if it is not."""
        if start.state == "blocked":
            return _blocked(request.model, start)
        if not (request.stream and request.waits):
            return self._warming(request.model, _HINT)
        return None if start.may_hold else self._warming(request.model, _FULL)

    async def _held(self, request: EngineRequest, holder: str) -> AsyncGenerator[Event, None]:
        """Send a request again and again until the engine accepts it, or until the timeout."""
        model = request.model
        checked_at = self._clock.elapsed_s()
        until = checked_at + self._timeout_s
        try:
            while True:
                await self._pause(POLL_S)
                async with self._engine.open(request) as events:
                    first = await anext(events)
                    if not _is_unreachable(first):
                        self._release(model, holder)
                        self._note(model, first)
                        if isinstance(first, Failure):
                            yield first
                        async for event in events:
                            yield event
                        return
                if self._clock.elapsed_s() >= until:
                    yield Failure(self._warming(model))
                    return
                if self._clock.elapsed_s() - checked_at >= CHECK_S:
                    start = await self._call(model, holder)
                    if start:
                        checked_at = self._clock.elapsed_s()
                    if start and start.state == "blocked":
                        yield Failure(_blocked(model, start))
                        return
                self._report(model)
        finally:
            self._release(model, holder)

    async def _call(self, model: Model, holder: str | None) -> Start | None:
        """Have a model's engine started; None, where that failed."""
        assert model.scaler
        try:
            start = await self._scaler.start(model.scaler, holder)
        except StartFailed as failed:
            logger.error("the engine of %s could not be started: %s", model.id, failed)
            return None
        if start.state == "blocked":
            logger.error(
                "the engine of %s cannot start: %s; the scaler's log says more", model.id, start.reason
            )
        if holder and start.may_hold:
            self._holders.add(holder)
        known = self._known.setdefault(model.id, _Known(self._clock.elapsed_s()))
        known.start, known.checked_at = start, self._clock.elapsed_s()
        return start

    async def _shared(self, request: EngineRequest) -> Start | None:
        """Have the engine started for a request that does not wait, unless that was just done."""
        known = self._known.setdefault(request.model.id, _Known(self._clock.elapsed_s()))
        if self._clock.elapsed_s() - known.checked_at < CHECK_S:
            return known.start
        if not known.call or known.call.done():
            known.call = self._work(self._call(request.model, None))
        if request.waits:
            return await asyncio.shield(known.call)
        done, _ = await asyncio.wait({known.call}, timeout=FALLBACK_S)
        return known.call.result() if done else Start("starting")

    def _release(self, model: Model, holder: str) -> None:
        """Give back the place of a stream, in the background: a place that is not given back expires."""

        async def release() -> None:
            assert model.scaler
            with suppress(StartFailed):
                await self._scaler.release(model.scaler, holder)

        if holder in self._holders:
            self._holders.discard(holder)
            self._work(release())

    def _work(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Do something that no request has to wait for."""
        task = asyncio.create_task(work)
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return task

    def _report(self, model: Model) -> None:
        """Write the metric that a request waits, unless that was done within the last minute."""
        known, now = self._known.get(model.id), self._clock.elapsed_s()
        if self._metrics and known and now - known.reported_at >= REPORT_S:
            known.reported_at = now
            self._metrics.write_start(model.id, round(self._now() * 1000))

    def _warming(self, model: Model, advice: str = "") -> ModelWarming:
        least, most = RETRY_AFTER_S
        now = self._clock.elapsed_s()
        known = self._known.get(model.id) or _Known(now)  # another request may have been accepted since
        elapsed_s = now - known.since
        if known.start and known.start.elapsed_s < model.start_s:  # else it has crashed since
            elapsed_s = known.start.elapsed_s + now - known.checked_at
        left_s = min(max(model.start_s - elapsed_s, least), most)
        return ModelWarming(model.id, retry_after_s=left_s, advice=advice)

    def _note(self, model: Model, first: Event) -> None:
        """Forget a start once the engine accepts requests."""
        if isinstance(first, Accepted):
            self._known.pop(model.id, None)


def _is_unreachable(event: Event) -> bool:
    return isinstance(event, Failure) and isinstance(event.error, EngineUnreachable)


def _blocked(model: Model, start: Start) -> ModelUnavailable:
    """Return the error for an engine that cannot start. Of the causes, only a lack of machines may pass."""
    cause = BLOCKED.get(start.reason or "", "it fails while it starts")
    retry_after_s = RETRY_AFTER_S[1] if start.reason == "capacity" else None
    return ModelUnavailable(model.id, cause, retry_after_s=retry_after_s)
