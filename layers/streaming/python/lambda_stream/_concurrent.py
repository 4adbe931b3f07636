"""Lambda Managed Instances: many invocations at once in one event loop.

Each of N workers has a connection to the Runtime API, and waits for an invocation, serves it, and waits for
the next. Apps and asynchronous handlers run in the event loop, other functions in a thread for each worker.
What fails is one invocation's own: workers go on until SIGTERM, and then end what they serve.

Lambda stops no invocation here when its time is over: each ends by its own timer. A thread cannot be stopped;
its invocation fails in time, and the worker waits for it.

Source: AWS Lambda, "Building custom runtimes for Lambda Managed Instances", read 2026-11-26; awslambdaric
        4.2.2, `LambdaMultiConcurrentRuntimeClient`, read 2026-11-28.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from contextvars import copy_context
from functools import partial
from inspect import iscoroutinefunction
from random import uniform
from typing import Any, NamedTuple, TypeVar

from ._errors import DEADLINE, Fault
from ._events import FunctionInfo, Invocation, LambdaContext, current
from ._handler import run_on, stop_after_s
from ._importer import Handler
from ._log import LambdaLogHandler
from ._logger import logger
from ._loop import InvocationLoop, encode
from ._runtime_api import RuntimeApi

T = TypeVar("T")

RETRY_S = 0.1
"""From a failure of the Runtime API to the next request, at first; doubled each time."""

RETRY_MAX_S = 5.0

LAST_S = 0.1
"""From SIGTERM to closing what waits: time for an event that was under way, and for Lambda to close it."""

DEFAULT_THREADS = 32
"""At least as many serve `asyncio.to_thread`, as asyncio has on a large machine."""


class ConcurrentLoop(InvocationLoop):
    """Feeds a handler from several connections, on each one invocation after the other."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        apis: Sequence[RuntimeApi],
        function: FunctionInfo,
        log: LambdaLogHandler,
        streams: frozenset[str] | None,
    ) -> None:
        super().__init__(loop, apis[0], function, log, streams)
        self._apis = apis
        self._run_on_loop = partial(run_on, loop)
        self._threads = ThreadPoolExecutor(len(apis), "handler", _set_event_loop)
        # By default there are a few threads for each core: one slow call in each would hold up all streams.
        loop.set_default_executor(ThreadPoolExecutor(max(DEFAULT_THREADS, len(apis)), "asyncio"))
        self._idle: dict[asyncio.Task[Any] | None, RuntimeApi | None] = {}

    def _stop(self) -> None:
        """Take no more invocations; those that are served go on."""
        self._stopping = True
        for worker, api in self._idle.items():
            if api:
                api.want_no_more()
            elif worker:
                worker.cancel()
        self._loop.call_later(LAST_S, self._stop_waiting)

    def _stop_waiting(self) -> None:
        for worker in self._idle:
            if worker:
                worker.cancel()

    def _serve_all(self, handler: Handler) -> None:
        self._until(self._workers(handler))

    async def _workers(self, handler: Handler) -> None:
        await asyncio.wait([self._loop.create_task(self._work(handler, api)) for api in self._apis])

    async def _work(self, handler: Handler, api: RuntimeApi) -> None:
        """Serve one invocation after the other, and start over after whatever fails."""
        delay_s = 0.0
        with closing(api):  # also where `_stop` ends the wait: what Lambda still sent there would be lost
            while not self._stopping:
                current.set(None)  # what fails from here on is not of the last invocation
                try:
                    # Apart from each other: else all workers would come back at once.
                    await self._waiting(asyncio.sleep(uniform(delay_s / 2, delay_s)))
                    late = await self._serve_one(handler, await self._waiting(api.next(), api), api)
                    delay_s = 0.0
                    if late and not self._stopping:
                        await self._waiting(asyncio.wait((late,)))
                except Exception as error:  # noqa: BLE001 - the runtime outlives its connections
                    if api.wants_no_more:
                        return
                    logger.warning(
                        "the Runtime API failed, trying again: %s: %s", type(error).__name__, error
                    )
                    api.close()
                    delay_s = min(max(RETRY_S, 2 * delay_s), RETRY_MAX_S)

    async def _waiting(self, coroutine: Coroutine[Any, Any, T], api: RuntimeApi | None = None) -> T:
        """Wait as a worker that `_stop` may cancel; on a connection for an event, soon after."""
        worker = asyncio.current_task()
        self._idle[worker] = api
        try:
            return await coroutine
        finally:
            del self._idle[worker]

    async def _serve_one(
        self, handler: Handler, invocation: Invocation, api: RuntimeApi
    ) -> asyncio.Future[Any] | None:
        """Reply to one invocation, whatever the handler does; returns a function that still runs after it."""
        exchange = self._exchange(invocation, self._run_on_loop)
        del invocation
        arguments = await self._serve(handler, exchange, api)
        if not arguments:
            return None
        running: asyncio.Future[Any]
        if iscoroutinefunction(handler):
            running = self._loop.create_task(handler(*arguments))
        else:
            call = partial(copy_context().run, _outcome, handler, *arguments)
            running = self._loop.run_in_executor(self._threads, call)
        try:
            # Later than an app that the function may have called: the app's own reply is the better one.
            left_s = max(0, exchange.invocation.seconds_left)
            await asyncio.wait((running,), timeout=(stop_after_s(left_s) + left_s) / 2)
            if not running.done():
                raise Fault(DEADLINE.error_type, "the function still ran shortly before its deadline")
            result = running.result()
            if isinstance(result, _Raised):
                raise result.error
            if exchange.replied:
                return None
            posting = api.post_result(exchange.invocation, *encode(result))
        except BaseException as error:  # noqa: BLE001 - `_stop` cancels no worker that serves
            posting = self._failed(exchange, error, api)
        if isinstance(running, asyncio.Task):
            running.cancel()
        await posting
        return running


class _Raised(NamedTuple):
    """What a function raised in its thread."""

    error: BaseException


def _outcome(handler: Handler, event: Any, context: LambdaContext) -> Any:
    """Call a function; returns what it raises as well, for a future never ends by StopIteration."""
    try:
        return handler(event, context)
    except BaseException as error:  # noqa: BLE001 - all of it is the function's outcome
        return _Raised(error)


def _set_event_loop() -> None:
    """Give a thread an event loop: functions made for the main thread expect to find one."""
    asyncio.set_event_loop(asyncio.new_event_loop())
