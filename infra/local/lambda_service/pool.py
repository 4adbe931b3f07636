"""All environments of one function, and who gets which.

Waiting requests get idle environments first, the one used last before others; then those about to be idle;
then new ones, up to the concurrency limit; beyond it they are refused, as Lambda throttles.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from infra.local.errors import FunctionFailed, Refused
from infra.local.lambda_service.function import Function
from infra.local.lambda_service.invocation import Invocation
from infra.local.lambda_service.reply import Reply
from infra.local.lambda_service.sandbox import Sandbox
from infra.local.processes import Guardian

# How long an environment that has replied may take to come back before a new one is started in its place.
_SETTLING_S = 0.25
_RATE_EXCEEDED = '{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}'


class Environments:
    """The environments of one function."""

    def __init__(self, function: Function, guardian: Guardian, log: Callable[[str], None]) -> None:
        self._function, self._guardian, self._log = function, guardian, log
        self._waiting: deque[asyncio.Future[Sandbox]] = deque()
        self._idle: dict[Sandbox, asyncio.TimerHandle] = {}
        self._settling: dict[Sandbox, asyncio.TimerHandle] = {}
        self._starting: set[asyncio.Task[FunctionFailed | None]] = set()
        self._all: set[Sandbox] = set()

    @property
    def name(self) -> str:
        return self._function.name

    async def invoke(self, invocation: Invocation) -> Reply:
        """Give an event to an environment; return its reply, which has not begun.

        Raises: Refused, at the concurrency limit; FunctionFailed, if a new environment did not come up.
        """
        waiter: asyncio.Future[Sandbox] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._balance()
        sandbox = await waiter
        sandbox.invoke(invocation)
        return invocation.reply

    async def prepare(self) -> None:
        """Start one environment ahead of the first request.

        Raises: FunctionFailed, if it did not come up.
        """
        failure = await self._launch()
        if failure:
            raise failure

    async def stop(self) -> None:
        """End every environment at once."""
        self._waiting.clear()
        for timer in [*self._idle.values(), *self._settling.values()]:
            timer.cancel()
        for task in self._starting:
            if not task.cancelling():  # a second time would end its clearing up
                task.cancel()
        await asyncio.gather(
            *self._starting, *(sandbox.stop() for sandbox in self._all), return_exceptions=True
        )

    def _balance(self) -> None:
        """Match the waiting requests with what there is and what may be started."""
        while self._waiting and self._idle:
            sandbox, reaping = self._idle.popitem()
            reaping.cancel()
            self._waiting.popleft().set_result(sandbox)
        missing = len(self._waiting) - len(self._starting) - len(self._settling)
        room = max(0, self._function.concurrency - len(self._all) - len(self._starting))
        for _ in range(min(missing, room)):
            self._launch()
        for _ in range(missing - room):
            self._waiting.pop().set_exception(Refused(429, _RATE_EXCEEDED, "concurrency limit"))

    def _launch(self) -> asyncio.Task[FunctionFailed | None]:
        task = asyncio.create_task(self._start())
        self._starting.add(task)
        return task

    async def _start(self) -> FunctionFailed | None:
        sandbox = Sandbox(self._function, self, self._guardian, self._log)
        try:
            await sandbox.start()
        except FunctionFailed as failure:
            return self._give_up(failure)
        finally:
            self._starting.remove(cast(asyncio.Task[FunctionFailed | None], asyncio.current_task()))
        self._all.add(sandbox)
        self.became_idle(sandbox)
        return None

    def _give_up(self, failure: FunctionFailed) -> FunctionFailed:
        """Let the request fail that waited longest; there would be no end to starting again."""
        if self._waiting:
            self._waiting.popleft().set_exception(failure)
        return failure

    # what environments tell

    def became_idle(self, sandbox: Sandbox) -> None:
        self._forget(sandbox)
        timer = asyncio.get_running_loop().call_later(self._function.idle_s, self._reap, sandbox)
        self._idle[sandbox] = timer
        self._balance()

    def replied(self, sandbox: Sandbox) -> None:
        if sandbox not in self._settling:
            loop = asyncio.get_running_loop()
            self._settling[sandbox] = loop.call_later(_SETTLING_S, self._stop_expecting, sandbox)

    def gone(self, sandbox: Sandbox) -> None:
        self._forget(sandbox)
        self._all.discard(sandbox)
        self._balance()

    def _stop_expecting(self, sandbox: Sandbox) -> None:
        self._forget(sandbox)
        self._balance()

    def _reap(self, sandbox: Sandbox) -> None:
        self._forget(sandbox)
        sandbox.kill()

    def _forget(self, sandbox: Sandbox) -> None:
        for timers in (self._idle, self._settling):
            if timer := timers.pop(sandbox, None):
                timer.cancel()
