"""A local Lambda service with the scripted function, in the test's own event loop."""

import asyncio
import sys
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from infra.local.console import Console
from infra.local.lambda_service.function import LambdaFunction
from infra.local.lambda_service.service import LambdaService, run_lambda_service
from infra.local.processes import Guardian
from tests.local_service import PER_ENVIRONMENT

SCRIPT = Path(__file__).with_name("scripted_function.py")


@dataclass
class Running:
    """A running service, and what its terminal shows."""

    service: LambdaService
    out: StringIO
    log: StringIO

    @property
    def port(self) -> int:
        return self.service.port


def scripted_function(environment: Mapping[str, str] | None = None, **settings: Any) -> LambdaFunction:
    """Return the scripted function as deployed."""
    settings = {
        "command": (sys.executable, str(SCRIPT)),
        "per_environment": min(PER_ENVIRONMENT, 8),
        **settings,
    }
    return LambdaFunction("scripted", "none", environment or {}, **settings)


@asynccontextmanager
async def scripted_service(
    environment: Mapping[str, str] | None = None, *, waiting_for: Collection[str] = (), **settings: Any
) -> AsyncIterator[Running]:
    """Run the scripted function behind a gateway; everything is gone at the end."""
    function = scripted_function(environment, **settings)
    out, log = StringIO(), StringIO()
    console = Console(out=out, log=log)
    with Guardian() as guardian:
        async with run_lambda_service(
            [("/", function)], guardian=guardian, console=console, waiting_for=waiting_for
        ) as service:
            yield Running(service, out, log)


@dataclass
class Received:
    """A response as bytes, with the time of each read."""

    head: str
    body: bytes
    reads: list[tuple[float, bytes]]
    complete: bool

    @property
    def status(self) -> int:
        return int(self.head.split(" ")[1])


async def get(
    port: int, target: str, *, method: str = "GET", headers: str = "", body: bytes = b""
) -> Received:
    """Send a request over a socket of its own, and keep every byte of the response."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    head = (
        f"{method} {target} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n{length}{headers}\r\n"
    )
    reads, loop = [], asyncio.get_running_loop()
    try:
        writer.write(head.encode() + body)
        while data := await reader.read(65536):
            reads.append((loop.time(), data))
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return _received(reads)


def _received(reads: list[tuple[float, bytes]]) -> Received:
    head, _, rest = b"".join(data for _, data in reads).partition(b"\r\n\r\n")
    text = head.decode("latin-1").lower()
    if "transfer-encoding: chunked" not in text:
        return Received(text, rest, reads, True)
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        if size == b"0":
            return Received(text, body, reads, True)
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return Received(text, body, reads, False)
