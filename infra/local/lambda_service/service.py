"""Functions behind a gateway, run as Lambda runs them. The path of one request:

gateway         reads the HTTP request, encodes it as an event            (callers, function_url)
sandbox_pool    finds a sandbox with a free slot, or starts one, or responds 429
sandbox         one process of the function: its slots, start, time limit, end
runtime_api     hands the event to the process, takes its reply           (runtime_connection, _requests)
reply           the reply's bytes on their way back, with back-pressure   (decoders)
gateway         sends the head of the HTTP response, and writes its body  (http_server)
"""

import asyncio
import socket
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from infra.local.console import Console
from infra.local.lambda_service.callers import Callers
from infra.local.lambda_service.function import LambdaFunction
from infra.local.lambda_service.gateway import Gateway
from infra.local.lambda_service.http_server import serving
from infra.local.lambda_service.sandbox_pool import SandboxPool
from infra.local.loopback import HOST, bind
from infra.local.processes import Guardian


@dataclass(frozen=True)
class LambdaService:
    """A gateway that serves, and its functions."""

    port: int
    functions: Sequence[SandboxPool]

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def prepare(self) -> None:
        """Start one sandbox of each function, so that the first request meets a warm one.

        Raises: FunctionFailed, if one did not start.
        """
        await asyncio.gather(*(function.prepare() for function in self.functions))


@asynccontextmanager
async def run_lambda_service(
    routes: Sequence[tuple[str, LambdaFunction]],
    *,
    guardian: Guardian,
    console: Console,
    listener: socket.socket | None = None,
    callers: Callers | None = None,
    waiting_for: Collection[str] = (),
) -> AsyncIterator[LambdaService]:
    """Serve functions behind one gateway for as long as the context lasts; without a listener on a free port.

    Shape:  `routes` are (path prefix of whole segments, function); the first that matches wins. Requests get
            503 until `waiting_for` is empty.
    """
    listener = listener or bind(0)
    pools = [SandboxPool(function, guardian, console.output_of(function.name)) for _, function in routes]
    prefixes = [prefix for prefix, _ in routes]
    try:
        gateway = Gateway(list(zip(prefixes, pools, strict=True)), console, callers, waiting_for)
        async with serving(gateway, listener):
            yield LambdaService(listener.getsockname()[1], pools)
    finally:
        await asyncio.gather(*(pool.stop() for pool in pools))
