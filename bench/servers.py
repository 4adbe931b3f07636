"""Servers to compare with, each a child process: `python -m bench.servers aiohttp|starlette ENGINE_URL`."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from bench.bundle import ROOT


@dataclass(frozen=True)
class Server:
    """A server in a child process."""

    port: int
    pid: int


@contextmanager
def server(kind: str, engine_url: str) -> Iterator[Server]:
    """Run a pass-through server; it also ends when this process does."""
    command = [sys.executable, "-m", "bench.servers", kind, engine_url]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            yield Server(int(child.stdout.readline()), child.pid)
        finally:
            child.kill()


def serve_aiohttp(engine_url: str, listener: socket.socket) -> None:
    """Pass bytes through as they arrive: the least work of a streaming proxy."""
    from aiohttp import ClientSession, web

    async def completions(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        async with request.app[session].post(f"{engine_url}/chat/completions", data=body) as upstream:
            response = web.StreamResponse(headers={"content-type": "text/event-stream"})
            await response.prepare(request)
            async for chunk in upstream.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    async def client(app: web.Application) -> AsyncIterator[None]:
        async with ClientSession(headers={"content-type": "application/json"}) as app[session]:
            yield

    session = web.AppKey("session", ClientSession)
    app = web.Application()
    app.cleanup_ctx.append(client)
    app.router.add_post("/v1/chat/completions", completions)
    web.run_app(app, sock=listener, print=None, access_log=None)


def serve_starlette(engine_url: str, listener: socket.socket) -> None:
    """Pass chunks through with Starlette and httpx under uvicorn, as most gateways do."""
    import httpx
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    client = httpx.AsyncClient(timeout=60)

    async def completions(request: Request) -> StreamingResponse:
        body = await request.body()
        headers = {"content-type": "application/json"}
        upstream = await client.send(
            client.build_request("POST", f"{engine_url}/chat/completions", content=body, headers=headers),
            stream=True,
        )

        async def chunks() -> AsyncIterator[bytes]:
            try:
                async for chunk in upstream.aiter_raw():
                    yield chunk
            finally:
                await upstream.aclose()

        return StreamingResponse(chunks(), media_type="text/event-stream")

    app = Starlette(routes=[Route("/v1/chat/completions", completions, methods=["POST"])])
    config = uvicorn.Config(app, log_level="critical", access_log=False, lifespan="off")
    uvicorn.Server(config).run([listener])


if __name__ == "__main__":
    # With an explicit protocol, asyncio switches Nagle's algorithm off.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as _listener:
        _listener.bind(("127.0.0.1", 0))
        _listener.listen()
        print(_listener.getsockname()[1], flush=True)
        {"aiohttp": serve_aiohttp, "starlette": serve_starlette}[sys.argv[1]](sys.argv[2], _listener)
