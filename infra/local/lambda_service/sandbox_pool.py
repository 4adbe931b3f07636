"""All sandboxes of one function, and which request gets which.

Waiting requests get idle sandboxes first, the one used last before others; then those about to be idle;
then new ones, up to the concurrency limit; beyond it they are refused, as Lambda throttles.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import cast

from infra.local.lambda_service.failures import FunctionFailed, Refused
from infra.local.lambda_service.function import LambdaFunction
from infra.local.lambda_service.invocation import Invocation
from infra.local.lambda_service.reply import FunctionReply
from infra.local.lambda_service.sandbox import Sandbox
from infra.local.processes import Guardian

# How long a sandbox that has replied may take to become idle before a new one is started in its place.
_SETTLING_S = 0.25
_RATE_EXCEEDED = '{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}'


class SandboxPool:
    """The sandboxes of one function."""

    def __init__(self, function: LambdaFunction, guardian: Guardian, log: Callable[[str], None]) -> None:
        self._function, self._guardian, self._log = function, guardian, log
        self._waiting: deque[asyncio.Future[Sandbox]] = deque()
        self._idle: dict[Sandbox, asyncio.TimerHandle] = {}
        self._settling: dict[Sandbox, asyncio.TimerHandle] = {}
        self._starting: set[asyncio.Task[FunctionFailed | None]] = set()
        self._all: set[Sandbox] = set()

    @property
    def name(self) -> str:
        return self._function.name

    async def invoke(self, invocation: Invocation) -> FunctionReply:
        """Hand an event to a sandbox; return its reply, which has not begun.

        Raises: Refused, at the concurrency limit; FunctionFailed, if a new sandbox did not start.
        """
        waiter: asyncio.Future[Sandbox] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        self._assign()
        sandbox = await waiter
        sandbox.invoke(invocation)
        return invocation.reply

    async def prepare(self) -> None:
        """Start one sandbox before the first request.

        Raises: FunctionFailed, if it did not start.
        """
        failure = await self._start_another()
        if failure:
            raise failure

    async def stop(self) -> None:
        """End every sandbox at once."""
        self._waiting.clear()
        for timer in [*self._idle.values(), *self._settling.values()]:
            timer.cancel()
        for task in self._starting:
            if not task.cancelling():  # a second cancellation would interrupt its clean-up
                task.cancel()
        await asyncio.gather(
            *self._starting, *(sandbox.stop() for sandbox in self._all), return_exceptions=True
        )

    def _assign(self) -> None:
        """Match the waiting requests with the sandboxes that are there and those that may be started."""
        while self._waiting and self._idle:
            sandbox, idle_timer = self._idle.popitem()
            idle_timer.cancel()
            self._waiting.popleft().set_result(sandbox)
        missing = len(self._waiting) - len(self._starting) - len(self._settling)
        room = max(0, self._function.concurrency - len(self._all) - len(self._starting))
        for _ in range(min(missing, room)):
            self._start_another()
        for _ in range(missing - room):
            self._waiting.pop().set_exception(Refused(429, _RATE_EXCEEDED, "concurrency limit"))

    def _start_another(self) -> asyncio.Task[FunctionFailed | None]:
        async def start() -> FunctionFailed | None:
            sandbox = Sandbox(self._function, self, self._guardian, self._log)
            try:
                await sandbox.start()
            except FunctionFailed as failure:
                if self._waiting:  # the oldest request fails with it: starting again would never end
                    self._waiting.popleft().set_exception(failure)
                return failure
            finally:
                self._starting.remove(cast(asyncio.Task[FunctionFailed | None], asyncio.current_task()))
            self._all.add(sandbox)
            self.became_idle(sandbox)
            return None

        task = asyncio.create_task(start())
        self._starting.add(task)
        return task

    # called by sandboxes

    def became_idle(self, sandbox: Sandbox) -> None:
        def reap() -> None:
            self._forget(sandbox)
            sandbox.kill()

        self._forget(sandbox)
        self._idle[sandbox] = asyncio.get_running_loop().call_later(self._function.idle_s, reap)
        self._assign()

    def replied(self, sandbox: Sandbox) -> None:
        def stop_expecting() -> None:
            self._forget(sandbox)
            self._assign()

        if sandbox not in self._settling:
            self._settling[sandbox] = asyncio.get_running_loop().call_later(_SETTLING_S, stop_expecting)

    def gone(self, sandbox: Sandbox) -> None:
        self._forget(sandbox)
        self._all.discard(sandbox)
        self._assign()

    def _forget(self, sandbox: Sandbox) -> None:
        for timers in (self._idle, self._settling):
            if timer := timers.pop(sandbox, None):
                timer.cancel()
