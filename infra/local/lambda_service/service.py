"""A front door with its functions, open for as long as a context lasts: for `make run`, tests, benchmarks."""

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from infra.local.console import Console
from infra.local.lambda_service.function import Function
from infra.local.lambda_service.gateway import FrontDoor
from infra.local.lambda_service.http_server import HOST, bind, serving
from infra.local.lambda_service.pool import Environments
from infra.local.processes import Guardian


@dataclass(frozen=True)
class Door:
    """An open front door."""

    port: int
    functions: Sequence[Environments]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def prepare(self) -> None:
        """Start one environment of each function, so that the first request meets a warm one.

        Raises: FunctionFailed, if one did not come up.
        """
        await asyncio.gather(*(function.prepare() for function in self.functions))


@asynccontextmanager
async def open_door(
    routes: Sequence[tuple[str, Function]],
    *,
    guardian: Guardian,
    console: Console,
    listener: socket.socket | None = None,
) -> AsyncIterator[Door]:
    """Serve functions behind one door; without a listener on a free port.

    Shape:  `routes` are (path prefix of whole segments, function); the first that fits wins.
    """
    listener = listener or bind(0)
    pools = [Environments(function, guardian, console.of(function.name)) for _, function in routes]
    prefixes = [prefix for prefix, _ in routes]
    try:
        async with serving(FrontDoor(list(zip(prefixes, pools, strict=True)), console), listener):
            yield Door(listener.getsockname()[1], pools)
    finally:
        await asyncio.gather(*(pool.stop() for pool in pools))
