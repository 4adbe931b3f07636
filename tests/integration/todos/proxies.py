"""A way to Postgres that can be cut, or go dead as a NAT does to an environment that was frozen.

And one to a database that is at rest: until it has resumed, it refuses those who come, lets them wait, or
drops them.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal
from urllib.parse import urlsplit, urlunsplit


class Proxy:
    """Passes bytes on between clients and a server, until told otherwise.

    `dead`: nothing passes any more on connections that are open; `closed`: nor on new ones.
    `mute_after`: once a client sent this, what the server answers it does not arrive.
    """

    def __init__(self) -> None:
        self.port = 0
        self.closed = False
        self.mute_after: bytes | None = None
        self.connections = 0
        self._dead: set[int] = set()

    def kill_connections(self) -> None:
        """Let nothing pass on the connections there are, without a word to either side."""
        self._dead |= set(range(self.connections + 1))

    async def serve(
        self, host: str, port: int, client: asyncio.StreamReader, back: asyncio.StreamWriter
    ) -> None:
        self.connections += 1
        number = self.connections
        if self.closed:
            self._dead.add(number)
        reader, writer = await asyncio.open_connection(host, port)
        try:
            async with asyncio.TaskGroup() as ways:
                ways.create_task(self._pass(number, client, writer, asked=True))
                ways.create_task(self._pass(number, reader, back, asked=False))
        except* (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            back.close()

    async def _pass(
        self, number: int, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, asked: bool
    ) -> None:
        while data := await source.read(65536):
            if number in self._dead:
                continue
            sink.write(data)
            await sink.drain()
            if asked and self.mute_after and self.mute_after in data:
                self._dead.add(number)
                self.mute_after = None
        if number not in self._dead:
            sink.close()


@asynccontextmanager
async def proxied(url: str) -> AsyncIterator[tuple[Proxy, str]]:
    """Give a proxy before a database, and the address that leads through it."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 0
    proxy = Proxy()
    tasks: set[asyncio.Task[None]] = set()

    def accept(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(proxy.serve(host, port, client, back))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, host, 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy, urlunsplit(parts._replace(netloc=parts.netloc.replace(str(port), str(proxy.port))))
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


Rest = Literal["refuses", "holds", "drops"]


class Resting:
    """Passes nothing on until it has resumed. `asked`: how often somebody came meanwhile."""

    def __init__(self, rest: Rest, proxy: Proxy) -> None:
        self._rest, self._proxy = rest, proxy
        self.asked = 0
        self.resumed = asyncio.Event()

    async def serve(
        self, host: str, port: int, client: asyncio.StreamReader, back: asyncio.StreamWriter
    ) -> None:
        try:
            if not self.resumed.is_set():
                self.asked += 1
                if self._rest == "drops":
                    return
                await self.resumed.wait()
            await self._proxy.serve(host, port, client, back)
        finally:
            back.transport.abort()


@asynccontextmanager
async def resting(url: str, rest: Rest, resumes_after_s: float) -> AsyncIterator[tuple[Resting, str]]:
    """Give a database at rest, which resumes after a while, and its address."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 0
    database = Resting(rest, Proxy())
    tasks: set[asyncio.Task[None]] = set()

    def accept(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(database.serve(host, port, client, back))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = socket.socket()
    listener.bind((host, 0))  # and refuses whoever comes, until it listens
    address = urlunsplit(
        parts._replace(netloc=parts.netloc.replace(str(port), str(listener.getsockname()[1])))
    )
    server = None if rest == "refuses" else await asyncio.start_server(accept, sock=listener)

    async def resume() -> None:
        nonlocal server
        await asyncio.sleep(resumes_after_s)
        server = server or await asyncio.start_server(accept, sock=listener)
        database.resumed.set()

    resuming = asyncio.create_task(resume())
    try:
        yield database, address
    finally:
        if server:
            server.close()
        listener.close()
        for task in (resuming, *tasks):
            task.cancel()
        await asyncio.gather(resuming, *tasks, return_exceptions=True)
