"""Engines scaled to zero: the first request starts the ECS service.

    a whole reply   503 `model_warming`, with when to try again
    a stream        is held, with comments, until the engine accepts it or the timeout has come;
                    503 at once where it may not wait, because a fallback may answer it

An engine counts as scaled to zero where nothing answers at its address. So does one that has crashed, or that
another environment has just started: starting it again is idempotent, and the wait is the same.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import dataclass, field
from math import inf
from typing import Any, Protocol

from functions.chat.errors import EngineUnreachable, ModelWarming
from functions.chat.settings import Model
from functions.shared.aws import Aws, AwsError
from functions.shared.clock import Clock
from functions.shared.metrics import Metrics

from .engine import Accepted, Engine, EngineRequest, Event, Failure

logger = logging.getLogger("chat.scale_from_zero")

# The pause between two requests to an engine that is starting.
POLL_S = 2.0
# The service is checked at most once in this time.
CHECK_S = 15.0
# How often the metric reports that a request waits: without it, the service would be scaled to zero again.
REPORT_S = 60.0
RETRY_AFTER_S = (5.0, 120.0)


class StartFailed(Exception):
    """A service could not be started. The text is AWS's code for it, for operators."""


class Services(Protocol):
    """The services that run engines."""

    async def start(self, service: str) -> bool:
        """Start a service unless it runs or starts already; return whether it was scaled to zero.

        Raises: StartFailed.
        """


class EcsServices:
    """Services of ECS: one that runs no task is set to run one."""

    def __init__(self, aws: Aws) -> None:
        self._ecs = aws.service("ecs")

    async def start(self, service: str) -> bool:
        """Set a service to run at least one task; return whether it was set to run none.

        Shape:  `service` is its ARN, which names the cluster: `arn:…:service/<cluster>/<service>`.
        Raises: StartFailed.
        """

        def start() -> bool:
            cluster = service.split("/")[1]
            described = self._ecs.call("describe_services", cluster=cluster, services=[service])
            if not described["services"]:
                raise StartFailed("ServiceNotFoundException")
            if described["services"][0]["desiredCount"]:
                return False
            self._ecs.call("update_service", cluster=cluster, service=service, desiredCount=1)
            return True

        try:
            return await asyncio.to_thread(start)
        except AwsError as error:
            raise StartFailed(error.code) from None


@dataclass(slots=True)
class _Start:
    """What this environment knows of one model's start."""

    since: float
    checked_at: float = -inf
    reported_at: float = -inf
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class ScaleFromZero:
    """An engine whose models are started on demand; a model without a service fails as it did."""

    def __init__(
        self,
        engine: Engine,
        services: Services,
        *,
        timeout_s: float,
        metrics: Metrics | None = None,
        now: Callable[[], float] = time.time,
        clock: Clock | None = None,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._engine, self._services, self._timeout_s, self._metrics = engine, services, timeout_s, metrics
        self._now, self._clock, self._pause = now, clock or Clock(), pause
        self._starts: dict[str, _Start] = {}

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
        async with self._engine.open(request) as events:
            first = await anext(events)
            if not _is_unreachable(first) or not await self._start(model):
                self._note(model, first)
                yield first
                async for event in events:
                    yield event
                return
        if not request.stream or not request.waits:
            yield Failure(self._warming(model, ' With `"stream": true` a request waits for it.'))
            return
        yield Accepted()
        async with aclosing(self._held(request)) as events:
            async for event in events:
                yield event

    async def _held(self, request: EngineRequest) -> AsyncGenerator[Event, None]:
        """Send a request again and again until the engine accepts it, or until the timeout."""
        model = request.model
        until = self._clock.elapsed_s() + self._timeout_s
        while True:
            await self._pause(POLL_S)
            async with self._engine.open(request) as events:
                first = await anext(events)
                if not _is_unreachable(first):
                    self._note(model, first)
                    if isinstance(first, Failure):
                        yield first
                    async for event in events:
                        yield event
                    return
            if self._clock.elapsed_s() >= until:
                yield Failure(self._warming(model))
                return
            await self._start(model)
            self._report(model)

    async def _start(self, model: Model) -> bool:
        """Start a model's engine, unless that was just done; return whether it is starting."""
        assert model.scaler
        start = self._starts.setdefault(model.id, _Start(self._clock.elapsed_s()))
        async with start.lock:
            if self._clock.elapsed_s() - start.checked_at >= CHECK_S:
                try:
                    was_at_zero = await self._services.start(model.scaler)
                except StartFailed as failed:
                    logger.error("the engine of %s could not be started: %s", model.id, failed)
                    return False
                start.checked_at = self._clock.elapsed_s()
                if was_at_zero:
                    logger.info("the engine of %s was scaled to zero and is starting", model.id)
                    start.since, start.reported_at = start.checked_at, -inf
        self._report(model)
        return True

    def _report(self, model: Model) -> None:
        """Write the metric that a request waits, unless that was done within the last minute."""
        start, now = self._starts.get(model.id), self._clock.elapsed_s()
        if self._metrics and start and now - start.reported_at >= REPORT_S:
            start.reported_at = now
            self._metrics.write_start(model.id, round(self._now() * 1000))

    def _warming(self, model: Model, advice: str = "") -> ModelWarming:
        least, most = RETRY_AFTER_S
        now = self._clock.elapsed_s()
        start = self._starts.get(model.id)  # another request may have been accepted since
        left_s = (start.since if start else now) + model.start_s - now
        return ModelWarming(model.id, retry_after_s=min(max(left_s, least), most), advice=advice)

    def _note(self, model: Model, first: Event) -> None:
        """Forget a start once the engine accepts requests."""
        if isinstance(first, Accepted):
            self._starts.pop(model.id, None)


def _is_unreachable(event: Event) -> bool:
    return isinstance(event, Failure) and isinstance(event.error, EngineUnreachable)
