"""One execution environment: a real child process with a Runtime API of its own.

    starting → idle → busy → settling (replied, but not back at /next) → idle → … → gone

It serves up to `slots` requests at a time. The time limit runs from the event to the function's next /next,
as on Lambda. Where it is exceeded, the process is killed; one that may serve several requests goes on, as on
Lambda Managed Instances, and only that request fails.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol, Self

from infra.local.lambda_service.failures import FunctionFailed, InitFailed
from infra.local.lambda_service.function import LambdaFunction
from infra.local.lambda_service.invocation import Invocation
from infra.local.lambda_service.runtime_api import RuntimeApiServer
from infra.local.processes import Child, Guardian
from infra.paths import ROOT

# How long to read what a process sent before it ended.
_DRAIN_S = 0.5
_POLL_S = 0.01


class Pool(Protocol):
    """The owner of the sandboxes, which each reports to."""

    def became_idle(self, sandbox: "Sandbox") -> None: ...

    def replied(self, sandbox: "Sandbox") -> None: ...

    def gone(self, sandbox: "Sandbox") -> None: ...


class Sandbox:
    """A process of a function, which serves so many requests at a time."""

    def __init__(
        self,
        function: LambdaFunction,
        pool: Pool,
        guardian: Guardian,
        log: Callable[[str], None],
        slots: int = 1,
    ) -> None:
        self._function, self._pool, self._guardian, self._log = function, pool, guardian, log
        self.slots = slots
        self._api = RuntimeApiServer(
            self, arn=function.arn, timeout_s=function.timeout_s, slots=function.per_environment
        )
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._init_limit: asyncio.TimerHandle | None = None
        self._time_limits: dict[Invocation, asyncio.TimerHandle] = {}

    async def start(self) -> Self:
        """Start the process and wait until it requests its first event.

        Raises: FunctionFailed, if it cannot be loaded, ends, or takes too long.
        """
        environment = self._function.sandbox_environment(self._api.address)
        try:
            self._child = await Child.start(
                self._function.command,
                environment=environment,
                directory=ROOT,
                guardian=self._guardian,
                on_line=self._log,
            )
        except OSError as error:
            self._api.close()
            raise FunctionFailed(f"init failed: {error}") from error
        except BaseException:
            self._api.close()
            raise
        self._life = asyncio.create_task(self._wait_for_the_end())
        self._init_limit = asyncio.get_running_loop().call_later(
            self._function.init_timeout_s, self._time_out_init
        )
        try:
            await self._api.serve(self._child.pid)
            await self._ready
        except BaseException:
            self._ready.cancel()
            await self.stop()
            raise
        finally:
            self._init_limit.cancel()
        return self

    async def _wait_for_the_end(self) -> None:
        """Wait until the process ends and what it sent is read, then fail what is incomplete."""
        ending = await self._child.wait()
        for _ in range(int(_DRAIN_S / _POLL_S)):
            if not self._api.has_connections:
                break
            await asyncio.sleep(_POLL_S)
        self._fail(FunctionFailed(f"crashed: {ending}" if self._ready.done() else f"init failed: {ending}"))
        for time_limit in self._time_limits.values():
            time_limit.cancel()
        self._api.close()
        self._pool.gone(self)

    @property
    def free_slots(self) -> int:
        """How many more requests it takes now."""
        return min(self._api.requested, self.slots - self._api.unanswered)

    @property
    def capacity(self) -> int:
        """How many requests it serves at a time, those that it has where it takes no more."""
        return self._api.unanswered if self._api.closing else self.slots

    @property
    def is_busy(self) -> bool:
        return bool(self._time_limits)

    def invoke(self, invocation: Invocation) -> None:
        """Hand an event to the function; its reply arrives in `invocation.reply`."""
        limit_s = self._function.timeout_s
        self._time_limits[invocation] = asyncio.get_running_loop().call_later(
            limit_s, self._time_out, invocation
        )
        self._api.invoke(invocation)

    def kill(self) -> None:
        """Kill the process; the pool is notified once it is gone."""
        self._child.kill()

    async def stop(self) -> None:
        """Kill the process and wait until all of it is gone."""
        self.kill()
        await self._life

    # called by the Runtime API

    def became_idle(self, ended: Invocation | None) -> None:
        if ended and (time_limit := self._time_limits.pop(ended, None)):
            time_limit.cancel()
        if self._ready.done():
            self._pool.became_idle(self)
        else:
            self._ready.set_result(None)

    def replied(self) -> None:
        self._pool.replied(self)

    def failed_init(self, error_type: str, message: str) -> None:
        self._fail(InitFailed(error_type, message))

    def _time_out_init(self) -> None:
        self._fail(FunctionFailed(f"init timed out after {self._function.init_timeout_s:g} s"))
        self._child.kill()

    def _time_out(self, invocation: Invocation) -> None:
        what = f"timed out after {self._function.timeout_s:g} s"
        if self._function.per_environment == 1:
            invocation.reply.fail(FunctionFailed(what))
            self._child.kill()
        else:
            invocation.reply.fail(FunctionFailed(f"{what}; its environment goes on"))

    def _fail(self, failure: FunctionFailed) -> None:
        """Fail the start and the replies, where they are not complete."""
        if not self._ready.done():
            self._ready.set_exception(failure)
        for invocation in self._time_limits:
            invocation.reply.fail(failure)
