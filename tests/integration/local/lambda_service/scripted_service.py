"""A front door with the scripted function behind it, in the test's own event loop."""

import asyncio
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from infra.local.console import Console
from infra.local.lambda_service.function import Function
from infra.local.lambda_service.service import Door, open_door
from infra.local.processes import Guardian

SCRIPT = Path(__file__).with_name("scripted_function.py")


@dataclass
class Opened:
    """An open door, and what its terminal shows."""

    door: Door
    out: StringIO
    log: StringIO

    @property
    def port(self) -> int:
        return self.door.port


def scripted_function(environment: Mapping[str, str] | None = None, **settings: Any) -> Function:
    """Describe the scripted function as deployed."""
    settings = {"command": (sys.executable, str(SCRIPT)), **settings}
    return Function("scripted", "none", environment or {}, **settings)


@asynccontextmanager
async def scripted_door(
    environment: Mapping[str, str] | None = None, **settings: Any
) -> AsyncIterator[Opened]:
    """Open a door to the scripted function; everything is gone at the end."""
    function = scripted_function(environment, **settings)
    out, log = StringIO(), StringIO()
    console = Console(out=out, log=log)
    with Guardian() as guardian:
        async with open_door([("/", function)], guardian=guardian, console=console) as door:
            yield Opened(door, out, log)


@dataclass
class Answer:
    """A reply as bytes, with the time at which each read came."""

    head: str
    body: bytes
    reads: list[tuple[float, bytes]]
    complete: bool

    @property
    def status(self) -> int:
        return int(self.head.split(" ")[1])


async def get(port: int, target: str, *, method: str = "GET", headers: str = "", body: bytes = b"") -> Answer:
    """Ask the door over a socket of one's own, and keep every byte."""
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
    return _answer(reads)


def _answer(reads: list[tuple[float, bytes]]) -> Answer:
    head, _, rest = b"".join(data for _, data in reads).partition(b"\r\n\r\n")
    text = head.decode("latin-1").lower()
    if "transfer-encoding: chunked" not in text:
        return Answer(text, rest, reads, True)
    body = b""
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        if size == b"0":
            return Answer(text, body, reads, True)
        body, rest = body + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
    return Answer(text, body, reads, False)
