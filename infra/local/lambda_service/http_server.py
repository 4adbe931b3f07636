"""HTTP for the gateway: uvicorn's protocol on a bound socket, ended at once rather than gracefully.

uvicorn's own server would wait for open streams, tick ten times a second and take the process's signals.
"""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import uvicorn
from uvicorn.server import ServerState

from infra.local.errors import CannotStart

HOST = "127.0.0.1"
_KEEP_ALIVE_S = 75


def bind(port: int) -> socket.socket:
    """Take a port on the loopback interface, 0 for a free one.

    Raises: CannotStart, where it is taken or not allowed.
    """
    # asyncio switches Nagle's algorithm off only where the protocol is named; with it a reply waits 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(1024)
    except OSError as error:
        listener.close()
        what = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
        raise CannotStart(f"Port {port} {what}. Choose another: make run PORT={port + 1}") from error
    return listener


@asynccontextmanager
async def serving(app: Any, listener: socket.socket) -> AsyncIterator[None]:
    """Serve an ASGI app for as long as the context lasts."""
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level="critical",
        access_log=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
    )
    config.load()
    state = ServerState()
    protocol = partial(
        cast(Callable[..., asyncio.Protocol], config.http_protocol_class),
        config=config,
        server_state=state,
        app_state={},
    )
    server = await asyncio.get_running_loop().create_server(protocol, sock=listener)
    try:
        yield
    finally:
        server.close()
        for connection in list(state.connections):
            connection.transport.abort()
        tasks = list(state.tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
