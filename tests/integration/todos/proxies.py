"""A proxy before Postgres that can be cut, or go dead as a NAT does to an environment that was frozen.

And a paused database: until it has resumed, it refuses connections, lets them wait, or drops them.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal
from urllib.parse import urlsplit, urlunsplit

# Postgres's message Parse: a length, the statement's name, its text.
_PREPARED = re.compile(rb"P.{4}(\w+)\0([A-Z]+) ", re.DOTALL)


class Proxy:
    """Passes bytes on between clients and a server; a test may stop that.

    `dead`: nothing passes any more on connections that are open; `closed`: nor on new ones.
    `mute_after`: once a client sent this, what the server answers it does not arrive. `statements`: how a
    message names a statement that was prepared before, by the statement's first word.
    """

    def __init__(self) -> None:
        self.port = 0
        self.closed = False
        self.mute_after: bytes | None = None
        self.connections = 0
        self.statements: dict[bytes, bytes] = {}
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
                ways.create_task(self._pass(number, client, writer, is_request=True))
                ways.create_task(self._pass(number, reader, back, is_request=False))
        except* (ConnectionError, asyncio.IncompleteReadError):
            pass
        except* asyncio.CancelledError:
            writer.transport.abort()  # what is unsent would keep it open beyond the test
            back.transport.abort()
        finally:
            writer.close()
            back.close()

    async def _pass(
        self, number: int, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, is_request: bool
    ) -> None:
        while data := await source.read(65536):
            if number in self._dead:
                continue
            if is_request:
                self.statements |= {word: b"\0%b\0" % name for name, word in _PREPARED.findall(data)}
            sink.write(data)
            await sink.drain()
            if is_request and self.mute_after and self.mute_after in data:
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


Pause = Literal["refuses", "holds", "drops"]


class Paused:
    """Passes nothing on until it has resumed. `attempts`: connections made meanwhile."""

    def __init__(self, pause: Pause, proxy: Proxy) -> None:
        self._rest, self._proxy = pause, proxy
        self.attempts = 0
        self.resumed = asyncio.Event()

    async def serve(
        self, host: str, port: int, client: asyncio.StreamReader, back: asyncio.StreamWriter
    ) -> None:
        try:
            if not self.resumed.is_set():
                self.attempts += 1
                if self._rest == "drops":
                    return
                await self.resumed.wait()
            await self._proxy.serve(host, port, client, back)
        finally:
            back.transport.abort()


@asynccontextmanager
async def paused(url: str, pause: Pause, resumes_after_s: float) -> AsyncIterator[tuple[Paused, str]]:
    """Yield a paused database, which resumes after a while, and its address."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 0
    database = Paused(pause, Proxy())
    tasks: set[asyncio.Task[None]] = set()

    def accept(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(database.serve(host, port, client, back))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    listener = socket.socket()
    listener.bind((host, 0))  # refuses connections until it listens
    address = urlunsplit(
        parts._replace(netloc=parts.netloc.replace(str(port), str(listener.getsockname()[1])))
    )
    server = None if pause == "refuses" else await asyncio.start_server(accept, sock=listener)

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
