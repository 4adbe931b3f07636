"""One execution environment: a real child process with a Runtime API of its own.

    starting → idle → busy → settling (replied, but not back at /next) → idle → … → gone

One request at a time. The time limit runs from the event to the function's next /next, as on Lambda.
"""

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol, Self

from infra.local.errors import FunctionFailed
from infra.local.lambda_service.function import Function
from infra.local.lambda_service.invocation import Invocation
from infra.local.lambda_service.runtime_api import RuntimeApi
from infra.local.processes import Child, Guardian
from infra.paths import ROOT

_DRAIN_S = 0.5


class Pool(Protocol):
    """Who keeps the environments."""

    def became_idle(self, sandbox: "Sandbox") -> None: ...

    def replied(self, sandbox: "Sandbox") -> None: ...

    def gone(self, sandbox: "Sandbox") -> None: ...


class Sandbox:
    """An environment that serves one request at a time."""

    def __init__(
        self, function: Function, pool: Pool, guardian: Guardian, log: Callable[[str], None]
    ) -> None:
        self._function, self._pool, self._guardian, self._log = function, pool, guardian, log
        self._api = RuntimeApi(self, arn=function.arn, timeout_s=function.timeout_s)
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._invocation: Invocation | None = None
        self._time_limit: asyncio.TimerHandle | None = None

    async def start(self) -> Self:
        """Start the process and wait until it asks for its first event.

        Raises: FunctionFailed, if it cannot be loaded, ends, or takes too long.
        """
        self._child = await self._spawn(self._function.sandbox_environment(await self._api.listen()))
        self._life = asyncio.create_task(self._outlive())
        self._limit(
            self._function.init_timeout_s, f"init timed out after {self._function.init_timeout_s:g} s"
        )
        try:
            await self._ready
        except BaseException:
            await self.stop()
            raise
        return self

    async def _spawn(self, environment: Mapping[str, str]) -> Child:
        try:
            return await Child.start(
                self._function.command,
                environment=environment,
                directory=ROOT,
                guardian=self._guardian,
                on_line=self._log,
            )
        except BaseException as error:
            self._api.close()
            if isinstance(error, OSError):
                raise FunctionFailed(f"init failed: {error}") from error
            raise

    async def _outlive(self) -> None:
        """Wait for the process to end, and tell everyone who waits for it."""
        ending = await self._child.wait()
        await self._drain()
        self._end(FunctionFailed(f"crashed: {ending}" if self._ready.done() else f"init failed: {ending}"))
        self._lift_limit()
        self._api.close()
        self._pool.gone(self)

    async def _drain(self) -> None:
        """Read what the dead process had still sent."""
        for _ in range(int(_DRAIN_S / 0.01)):
            if not self._api.connected:
                return
            await asyncio.sleep(0.01)

    def invoke(self, invocation: Invocation) -> None:
        """Give the function an event; its reply comes through `invocation.reply`."""
        self._invocation = invocation
        self._limit(self._function.timeout_s, f"timed out after {self._function.timeout_s:g} s")
        self._api.invoke(invocation)

    def kill(self) -> None:
        """Kill the process; the pool hears when it is gone."""
        self._child.kill()

    async def stop(self) -> None:
        """Kill the process and wait until nothing of it is left."""
        self.kill()
        await self._life

    # what the Runtime API observes

    def became_idle(self) -> None:
        self._lift_limit()
        self._invocation = None
        if self._ready.done():
            self._pool.became_idle(self)
        else:
            self._ready.set_result(None)

    def replied(self) -> None:
        self._pool.replied(self)

    def failed_init(self, error_type: str) -> None:
        self._end(FunctionFailed(f"init failed: {error_type}"))

    # time

    def _limit(self, seconds: float, what: str) -> None:
        loop = asyncio.get_running_loop()
        self._time_limit = loop.call_later(seconds, self._time_out, what)

    def _lift_limit(self) -> None:
        if self._time_limit:
            self._time_limit.cancel()

    def _time_out(self, what: str) -> None:
        self._end(FunctionFailed(what))
        self._child.kill()

    def _end(self, failure: FunctionFailed) -> None:
        """Tell whoever waits for this environment or its reply that there is no more to come."""
        if not self._ready.done():
            self._ready.set_exception(failure)
        if self._invocation:
            self._invocation.reply.fail(failure)
