"""Engines that rest while nobody asks: the first who does wakes them.

    a whole reply   503 `model_warming`, with when to ask again
    a stream        is held, with comments, until the engine answers or the deadline has come

An engine is asleep where nobody answers at its address. So is one that has crashed, or that somebody else has
just woken: to wake it again changes nothing, and it is waited for alike.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol

from functions.chat.completions import Call, Engine
from functions.chat.errors import EngineAsleep, ModelWarming
from functions.chat.settings import Model
from functions.shared.clock import Clock
from functions.shared.metrics import Metrics

logger = logging.getLogger("chat.waking")

# Between two questions to an engine that starts.
ASK_S = 2.0
# The service is looked after at most once in this time.
WAKE_S = 15.0
# A service without requests goes back to rest: so often it is told that somebody waits.
TELL_S = 60.0
RETRY_S = (5.0, 120.0)


class WakeFailed(Exception):
    """A service could not be woken. The text is AWS's code for it, for operators."""


class Waker(Protocol):
    """What wakes services."""

    async def wake(self, service: str) -> bool:
        """See to it that a service runs or starts; tell whether it was at rest.

        Raises: WakeFailed.
        """


@dataclass(slots=True)
class _Sleep:
    """What this environment knows of one model's sleep."""

    since: float
    looked_at: float = -inf
    told_at: float = -inf
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class WakingEngine:
    """An engine that wakes where it can be woken; where not, it fails as it did."""

    def __init__(
        self,
        engine: Engine,
        waker: Waker,
        *,
        timeout_s: float,
        metrics: Metrics | None = None,
        now: Callable[[], float] = time.time,
        clock: Clock | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._engine, self._waker, self._timeout_s, self._metrics = engine, waker, timeout_s, metrics
        self._now, self._clock, self._pause = now, clock or Clock(), pause
        self._sleeps: dict[str, _Sleep] = {}

    async def complete(self, call: Call) -> Any:
        """Return the engine's reply.

        Raises: ApiError; ModelWarming where the engine has to start first.
        """
        try:
            reply = await self._engine.complete(call)
        except EngineAsleep as asleep:
            if not await self._wake(call.model):
                raise
            raise self._warming(call.model, ' With `"stream": true` a request waits for it.') from asleep
        self._answered(call.model)
        return reply

    @asynccontextmanager
    async def stream(self, call: Call) -> AsyncIterator[AsyncIterator[bytes]]:
        """Open a stream that the engine has accepted, or will when it has started.

        Raises: ApiError, on entry or within the block.
        """
        async with AsyncExitStack() as stack:
            try:
                chunks = await stack.enter_async_context(self._engine.stream(call))
            except EngineAsleep:
                if not await self._wake(call.model):
                    raise
                chunks = await stack.enter_async_context(aclosing(self._held(call)))
            else:
                self._answered(call.model)
            yield chunks

    async def aclose(self) -> None:
        """Close the engine's connections."""
        await self._engine.aclose()

    async def _held(self, call: Call) -> AsyncGenerator[bytes, None]:
        async with AsyncExitStack() as stack:
            async for chunk in await self._awaited(call, stack):
                yield chunk

    async def _awaited(self, call: Call, stack: AsyncExitStack) -> AsyncIterator[bytes]:
        """Ask again and again, until the engine accepts.

        Raises: ApiError; ModelWarming if it does not answer in time.
        """
        until = self._clock.elapsed_s() + self._timeout_s
        while True:
            await self._pause(ASK_S)
            try:
                chunks = await stack.enter_async_context(self._engine.stream(call))
            except EngineAsleep as asleep:
                if self._clock.elapsed_s() >= until:
                    raise self._warming(call.model) from asleep
                await self._wake(call.model)
                self._tell(call.model)
            else:
                self._answered(call.model)
                return chunks

    async def _wake(self, model: Model) -> bool:
        """Wake a model's engine, unless that was just done; tell whether it is on its way."""
        if not model.ecs_service:
            return False
        sleep = self._sleeps.setdefault(model.id, _Sleep(self._clock.elapsed_s()))
        async with sleep.turn:
            if self._clock.elapsed_s() - sleep.looked_at >= WAKE_S:
                try:
                    was_at_rest = await self._waker.wake(model.ecs_service)
                except WakeFailed as failed:
                    logger.error("the engine of %s could not be woken: %s", model.id, failed)
                    return False
                sleep.looked_at = self._clock.elapsed_s()
                if was_at_rest:
                    logger.info("the engine of %s was at rest and has been woken", model.id)
                    sleep.since, sleep.told_at = sleep.looked_at, -inf
        self._tell(model)
        return True

    def _tell(self, model: Model) -> None:
        """Tell that somebody waits, unless that was told within the last minute."""
        sleep, now = self._sleeps.get(model.id), self._clock.elapsed_s()
        if self._metrics and sleep and now - sleep.told_at >= TELL_S:
            sleep.told_at = now
            self._metrics.write_start(model.id, round(self._now() * 1000))

    def _warming(self, model: Model, advice: str = "") -> ModelWarming:
        least, most = RETRY_S
        now = self._clock.elapsed_s()
        sleep = self._sleeps.get(model.id)  # whoever asked beside us may have had an answer since
        left_s = (sleep.since if sleep else now) + model.start_s - now
        return ModelWarming(model.id, retry_after_s=min(max(left_s, least), most), advice=advice)

    def _answered(self, model: Model) -> None:
        if self._sleeps:
            self._sleeps.pop(model.id, None)
