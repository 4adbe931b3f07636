"""The app's lifespan: one startup and one shutdown for all requests of an environment.

Source: ASGI lifespan specification 2.0, read 2026-11-26.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from ._errors import AppMisbehaved, LifespanFailure
from ._logger import logger

if TYPE_CHECKING:
    from mangum.types import ASGI, LifespanMode, Message


class Lifespan:
    """Runs an app's lifespan in a task; `state` is what the app shares with its requests."""

    def __init__(self, app: ASGI, mode: LifespanMode) -> None:
        self.state: dict[str, Any] = {}
        self._app = app
        self._mode = mode
        self._messages: asyncio.Queue[Message] = asyncio.Queue()
        self._received = False
        self._answers: dict[str, str | None] = {}
        self._changed = asyncio.Event()
        self._error: BaseException | None = None

    async def start(self) -> None:
        """Start the app; one that does not know the protocol is left without it where the mode is `auto`.

        Raises: LifespanFailure: the app refused to start.
        """
        self._task = asyncio.get_running_loop().create_task(self._run())
        self._task.add_done_callback(lambda _: self._changed.set())
        await self._exchange("startup")
        if "lifespan.startup.complete" in self._answers:
            return
        # An app that raises before it receives anything does not know the protocol: ASGI's way to say so.
        if self._error is not None and (self._received or self._mode == "on"):
            logger.error("the application raised in its lifespan", exc_info=self._error)
        if self._mode == "on" or isinstance(self._error, SystemExit):
            raise LifespanFailure("expected the application to start but it ended its lifespan: see its log")

    async def stop(self) -> None:
        """Shut the app down.

        Raises: LifespanFailure: the app failed to.
        """
        if not self._task.done():
            await self._exchange("shutdown")

    async def _exchange(self, phase: str) -> None:
        """Send one message, and wait for the answer to it or for the end of the lifespan."""
        self._messages.put_nowait({"type": f"lifespan.{phase}"})
        complete, failed = f"lifespan.{phase}.complete", f"lifespan.{phase}.failed"
        while not self._task.done() and not {complete, failed} & self._answers.keys():
            self._changed.clear()
            await self._changed.wait()
        if failed in self._answers:
            raise LifespanFailure(f"the application failed in its {phase}: {self._answers[failed]}")

    async def _run(self) -> None:
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        try:
            await self._app(scope, self._receive, self._send)
        except BaseException as error:  # noqa: BLE001 - what an app raises here is reported by `start`
            self._error = error

    async def _receive(self) -> Message:
        self._received = True
        return await self._messages.get()

    async def _send(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if not kind.startswith("lifespan."):
            raise AppMisbehaved(f"expected a lifespan message but got {kind!r}")
        self._answers[kind] = message.get("message", "")
        self._changed.set()
