"""One execution environment: a real child process with a Runtime API of its own.

    starting → idle → busy → settling (replied, but not back at /next) → idle → … → gone

One request at a time. The time limit runs from the event to the function's next /next, as on Lambda.
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
    """A process of a function, which serves one request at a time."""

    def __init__(
        self, function: LambdaFunction, pool: Pool, guardian: Guardian, log: Callable[[str], None]
    ) -> None:
        self._function, self._pool, self._guardian, self._log = function, pool, guardian, log
        self._api = RuntimeApiServer(self, arn=function.arn, timeout_s=function.timeout_s)
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._invocation: Invocation | None = None
        self._time_limit: asyncio.TimerHandle | None = None

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
        limit_s = self._function.init_timeout_s
        self._start_time_limit(limit_s, f"init timed out after {limit_s:g} s")
        try:
            await self._api.serve(self._child.pid)
            await self._ready
        except BaseException:
            self._ready.cancel()
            await self.stop()
            raise
        return self

    async def _wait_for_the_end(self) -> None:
        """Wait until the process ends and what it sent is read, then fail what is incomplete."""
        ending = await self._child.wait()
        for _ in range(int(_DRAIN_S / _POLL_S)):
            if not self._api.has_connections:
                break
            await asyncio.sleep(_POLL_S)
        self._fail(FunctionFailed(f"crashed: {ending}" if self._ready.done() else f"init failed: {ending}"))
        self._cancel_time_limit()
        self._api.close()
        self._pool.gone(self)

    def invoke(self, invocation: Invocation) -> None:
        """Hand an event to the function; its reply arrives in `invocation.reply`."""
        self._invocation = invocation
        limit_s = self._function.timeout_s
        self._start_time_limit(limit_s, f"timed out after {limit_s:g} s")
        self._api.invoke(invocation)

    def kill(self) -> None:
        """Kill the process; the pool is notified once it is gone."""
        self._child.kill()

    async def stop(self) -> None:
        """Kill the process and wait until all of it is gone."""
        self.kill()
        await self._life

    # called by the Runtime API

    def became_idle(self) -> None:
        self._cancel_time_limit()
        self._invocation = None
        if self._ready.done():
            self._pool.became_idle(self)
        else:
            self._ready.set_result(None)

    def replied(self) -> None:
        self._pool.replied(self)

    def failed_init(self, error_type: str, message: str) -> None:
        self._fail(InitFailed(error_type, message))

    def _start_time_limit(self, limit_s: float, what: str) -> None:
        def time_out() -> None:
            self._fail(FunctionFailed(what))
            self._child.kill()

        self._time_limit = asyncio.get_running_loop().call_later(limit_s, time_out)

    def _cancel_time_limit(self) -> None:
        if self._time_limit:
            self._time_limit.cancel()

    def _fail(self, failure: FunctionFailed) -> None:
        """Fail the start and the reply, where they are not complete."""
        if not self._ready.done():
            self._ready.set_exception(failure)
        if self._invocation:
            self._invocation.reply.fail(failure)
