"""Fallbacks: a request that a model's engine cannot take goes to the next one that its model names.

    taken           it stays there, whatever happens then
    refused         before any work (unreachable, full, starting, …): the next engine gets it
    failed          perhaps after some work: the caller gets the error

A model may set `hedge_after_s`: a stream that its engine has accepted, but not begun so long after, is sent
to the next engine as well, and the first that begins goes on. Both are charged.

An engine that has refused, failed or been slow is marked for a short time: requests that follow try it after
the others. Then one of them tries it first again. No request that is under way is moved.
"""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, aclosing
from dataclasses import replace
from functools import partial
from math import inf
from typing import Any

from functions.chat.errors import (
    ApiError,
    ModelWarming,
    QuotaExhausted,
    RateLimited,
    ServerError,
    ServiceUnavailable,
    UpstreamError,
    UpstreamTimeout,
)
from functions.chat.models import Model
from functions.shared.clock import Clock
from functions.shared.metrics import Metrics

from .engine import Accepted, Engine, EngineRequest, Event, Failure
from .hedge import RunAhead, first_to_begin

logger = logging.getLogger("chat.fallback")

# How long an engine is marked: as long as it says, within these limits. The longest is that after which an
# engine that starts is checked again; then, one request at most waits in vain for a connection.
SHORTEST_S, LONGEST_S = 1.0, 15.0
# The same, where it does not say: a restarted engine is found soon.
UNSAID_S = 5.0
# An engine is slow that has sent nothing of a stream for so long: engines that are not full have read a long
# prompt by then, on a GPU in 2 s, on a laptop 1,000 tokens in 10 s.
SLOW_S = 20.0


class Fallback:
    """Engines of which each answers for the others, as the requests' fallbacks say."""

    def __init__(
        self,
        engine: Engine,
        *,
        metrics: Metrics | None = None,
        now: Callable[[], float] = time.time,
        clock: Clock | None = None,
    ) -> None:
        self._engine, self._metrics = engine, metrics
        self._now, self._clock = now, clock or Clock()
        self._marked_until: dict[str, float] = {}

    def open(self, request: EngineRequest) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Send a request, to its fallbacks where its own engine refuses it; give the events of the reply."""
        if not request.fallbacks:
            return self._engine.open(request)
        return aclosing(self._events(request))

    async def models(self, model: Model) -> Any:
        """Return the list of models that the model's own engine gives."""
        return await self._engine.models(model)

    async def aclose(self) -> None:
        """Close the engines' connections."""
        await self._engine.aclose()

    async def _events(self, request: EngineRequest) -> AsyncGenerator[Event, None]:
        refusals: dict[str, ApiError] = {}
        in_order = self._in_order(request)
        for candidate in in_order:
            began = self._clock.elapsed_s()
            async with AsyncExitStack() as opened:
                engine = self._engine.open(replace(candidate, fallbacks=(), waits=False))
                events = await opened.enter_async_context(engine)
                first = await self._next(candidate, events, began)
                if isinstance(first, Failure):
                    if has_not_run(first.error):
                        refusals[candidate.model.id] = first.error
                        continue
                    yield replace(first, request=candidate)
                    return
                if candidate.model.id != request.model.id:
                    tried = [f"{name}: {error.code or error.type}" for name, error in refusals.items()]
                    own = (
                        [] if request.model.id in refusals else [f"{request.model.id}: failed or late before"]
                    )
                    self._report(request.model, candidate.model, "; ".join((*own, *tried)))
                others = [each for each in in_order if each.model.id not in {*refusals, candidate.model.id}]
                if candidate.stream and (after_s := candidate.model.hedge_after_s) and others:
                    mine = RunAhead(candidate, events, partial(self._next, candidate, events, began))
                    async with aclosing(self._raced(opened, mine, others[0], after_s)) as raced:
                        async for event in raced:
                            yield event
                    return
                yield Accepted(candidate)
                yield await self._next(candidate, events, began)
                async for event in events:
                    yield event
                return
        async with aclosing(self._refused(request, refusals)) as events:
            async for event in events:
                yield event

    def _in_order(self, request: EngineRequest) -> list[EngineRequest]:
        """Return a request and its fallbacks, those behind whose engine is marked.

        The first of them tries its engine for all: it stays marked for the others until that is known.
        """
        now = self._clock.elapsed_s()
        in_order = sorted(
            (request, *request.fallbacks),
            key=lambda each: self._marked_until.get(each.model.id, -inf) > now,
        )
        if (first := in_order[0].model.id) in self._marked_until:
            self._marked_until[first] = now + UNSAID_S
        return in_order

    async def _next(self, candidate: EngineRequest, events: AsyncIterator[Event], began: float) -> Event:
        """Return the next event; mark its engine if it is late or a failure, unmark it if the reply begins.

        An engine is late as well that has sent nothing until its caller leaves.
        """
        try:
            event = await anext(events)
        finally:
            is_late = candidate.stream and self._clock.elapsed_s() - began >= SLOW_S
            if is_late:
                self._mark(candidate.model, LONGEST_S)
        if isinstance(event, Failure):
            self._mark_failed(candidate.model, event.error)
        elif not is_late and not isinstance(event, Accepted):
            self._marked_until.pop(candidate.model.id, None)
        return event

    async def _raced(
        self,
        opened: AsyncExitStack,
        mine: RunAhead,
        second: EngineRequest,
        after_s: float,
    ) -> AsyncGenerator[Event, None]:
        """Give the events of a stream that its engine has accepted; of `second`'s, if that begins sooner.

        The second engine has as long as the first had. If neither has begun by then, the first goes on.
        Shape:  `opened` holds the first engine's connection.
        """
        winner = mine
        async with AsyncExitStack() as beside:
            opened.push_async_callback(mine.stop)
            if not await mine.begins_within(after_s):
                engine = self._engine.open(replace(second, fallbacks=(), waits=False))
                events, sent = await beside.enter_async_context(engine), self._clock.elapsed_s()
                theirs = RunAhead(second, events, partial(self._next, second, events, sent))
                beside.push_async_callback(theirs.stop)
                async for accepted in first_to_begin(mine, theirs, after_s):
                    yield accepted
                if theirs.has_begun and not mine.has_begun:
                    winner = theirs
                    self._mark(mine.request.model, LONGEST_S)
                    self._report(mine.request.model, second.model, f"{mine.request.model.id}: late")
                await (opened if winner is theirs else beside).aclose()
            yield Accepted(winner.request)
            yield await winner.ahead
            async for event in winner.events:
                yield event

    async def _refused(
        self, request: EngineRequest, refusals: dict[str, ApiError]
    ) -> AsyncGenerator[Event, None]:
        """Hold a stream for the first engine that starts; else give the error that helps the caller most."""
        candidates = (request, *request.fallbacks)
        starting = next(
            (each for each in candidates if isinstance(refusals[each.model.id], ModelWarming)), None
        )
        if request.stream and starting:
            async with self._engine.open(replace(starting, fallbacks=())) as events:
                async for event in events:
                    yield replace(event, request=starting) if isinstance(event, Accepted | Failure) else event
            return
        errors = [refusals[each.model.id] for each in candidates]
        yield Failure(next((each for each in errors if "retry-after" in each.headers), errors[0]))

    def _mark_failed(self, model: Model, error: ApiError) -> None:
        """Mark an engine after an error of its own, for as long as the error says."""
        if isinstance(error, ServerError | ServiceUnavailable | RateLimited | QuotaExhausted):
            unsaid_s = LONGEST_S if isinstance(error, UpstreamTimeout) else UNSAID_S
            said_s = float(error.headers.get("retry-after-ms", unsaid_s * 1000)) / 1000
            self._mark(model, min(max(said_s, SHORTEST_S), LONGEST_S))

    def _mark(self, model: Model, for_s: float) -> None:
        self._marked_until[model.id] = self._clock.elapsed_s() + for_s

    def _report(self, requested: Model, answering: Model, why: str) -> None:
        logger.warning("%s answers for %s (%s)", answering.id, requested.id, why)
        if self._metrics:
            self._metrics.write_fallback(requested.id, round(self._now() * 1000))


def has_not_run(error: ApiError) -> bool:
    """Return whether an engine that fails so, in the place of accepting, has not begun to work.

    It was not reached, says that it takes nothing now, or refuses our key; what the caller has got wrong
    would be refused elsewhere, too.
    """
    if isinstance(error, UpstreamError):
        return error.headers.get("x-should-retry") != "false"
    return isinstance(error, ServiceUnavailable | RateLimited | QuotaExhausted)
