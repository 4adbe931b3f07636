"""All sandboxes of one function, and which request gets which.

Waiting requests get free slots of sandboxes first, those of the one used last before others; then those about
to be free; then those of new sandboxes, up to the concurrency limit of all slots; beyond it they are refused,
as Lambda throttles.
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

# How long a sandbox that has replied may take to request another event before a new one is started instead.
_SETTLING_S = 0.25
# How long a new sandbox may take from the first request for an event to that of its last slot.
_OPENING_S = 2
_RATE_EXCEEDED = '{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}'


class SandboxPool:
    """The sandboxes of one function."""

    def __init__(self, function: LambdaFunction, guardian: Guardian, log: Callable[[str], None]) -> None:
        self._function, self._guardian, self._log = function, guardian, log
        self._waiting: deque[tuple[Invocation, asyncio.Future[None]]] = deque()
        # With free slots, the one used last at the end.
        self._free: dict[Sandbox, None] = {}
        # A timer each: of a sandbox without requests, of a slot that will be free.
        self._idle: dict[Sandbox, asyncio.TimerHandle] = {}
        self._settling: dict[asyncio.TimerHandle, Sandbox] = {}
        self._starting: dict[asyncio.Task[FunctionFailed | None], int] = {}
        self._all: set[Sandbox] = set()

    @property
    def name(self) -> str:
        return self._function.name

    async def invoke(self, invocation: Invocation) -> FunctionReply:
        """Hand an event to a sandbox; return its reply, which has not begun.

        Raises: Refused, at the concurrency limit; FunctionFailed, if a new sandbox did not start.
        """
        handed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((invocation, handed))
        self._assign()
        await handed
        return invocation.reply

    async def prepare(self) -> None:
        """Start one sandbox before the first request.

        Raises: FunctionFailed, if it did not start.
        """
        failure = await self._start_another(min(self._function.per_environment, self._function.concurrency))
        if failure:
            raise failure

    async def stop(self) -> None:
        """End every sandbox at once."""
        self._waiting.clear()
        for timer in [*self._idle.values(), *self._settling]:
            timer.cancel()
        for task in self._starting:
            if not task.cancelling():  # a second cancellation would interrupt its clean-up
                task.cancel()
        await asyncio.gather(
            *self._starting, *(sandbox.stop() for sandbox in self._all), return_exceptions=True
        )

    def _assign(self) -> None:
        """Match the waiting requests with the slots that are there and those that may be started."""
        while self._waiting and self._free:
            sandbox = next(reversed(self._free))
            if sandbox.free_slots > 0:
                invocation, handed = self._waiting.popleft()
                self._stop_idling(sandbox)
                sandbox.invoke(invocation)
                handed.set_result(None)
            else:
                del self._free[sandbox]
        missing = len(self._waiting) - sum(self._starting.values()) - len(self._settling)
        if missing <= 0:
            return
        had = sum(sandbox.capacity for sandbox in self._all) + sum(self._starting.values())
        room = max(0, self._function.concurrency - had)
        while missing > 0 and room > 0:
            slots = min(self._function.per_environment, room)
            self._start_another(slots)
            missing, room = missing - slots, room - slots
        for _ in range(missing):
            self._waiting.pop()[1].set_exception(Refused(429, _RATE_EXCEEDED, "concurrency limit"))

    def _start_another(self, slots: int) -> asyncio.Task[FunctionFailed | None]:
        async def start() -> FunctionFailed | None:
            sandbox = Sandbox(self._function, self, self._guardian, self._log, slots)
            try:
                await sandbox.start()
            except FunctionFailed as failure:
                # The oldest requests fail with it: starting again would never end.
                for _ in range(min(slots, len(self._waiting))):
                    self._waiting.popleft()[1].set_exception(failure)
                return failure
            finally:
                del self._starting[cast(asyncio.Task[FunctionFailed | None], asyncio.current_task())]
            self._all.add(sandbox)
            for _ in range(slots - sandbox.free_slots):
                self._expect(sandbox, _OPENING_S)
            self._offer(sandbox)
            return None

        task = asyncio.create_task(start())
        self._starting[task] = slots
        return task

    def _expect(self, sandbox: Sandbox, within_s: float) -> None:
        """Expect a free slot of a sandbox."""

        def stop_expecting() -> None:
            del self._settling[timer]
            self._assign()

        timer = asyncio.get_running_loop().call_later(within_s, stop_expecting)
        self._settling[timer] = sandbox

    def _offer(self, sandbox: Sandbox) -> None:
        """Give the free slots of a sandbox to the requests that wait, or to those that come."""

        def reap() -> None:
            self._forget(sandbox)
            sandbox.kill()

        self._stop_idling(sandbox)
        if not sandbox.is_busy:
            self._idle[sandbox] = asyncio.get_running_loop().call_later(self._function.idle_s, reap)
        self._free[sandbox] = self._free.pop(sandbox, None)
        self._assign()

    # called by sandboxes

    def became_idle(self, sandbox: Sandbox) -> None:
        if sandbox in self._all:
            expected = next((timer for timer, other in self._settling.items() if other is sandbox), None)
            if expected:
                del self._settling[expected]
                expected.cancel()
            self._offer(sandbox)

    def replied(self, sandbox: Sandbox) -> None:
        if sandbox in self._all:
            self._expect(sandbox, _SETTLING_S)

    def gone(self, sandbox: Sandbox) -> None:
        self._forget(sandbox)
        self._all.discard(sandbox)
        self._assign()

    def _stop_idling(self, sandbox: Sandbox) -> None:
        if timer := self._idle.pop(sandbox, None):
            timer.cancel()

    def _forget(self, sandbox: Sandbox) -> None:
        self._stop_idling(sandbox)
        self._free.pop(sandbox, None)
        for timer in [timer for timer, other in self._settling.items() if other is sandbox]:
            del self._settling[timer]
            timer.cancel()
