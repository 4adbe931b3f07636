"""A pass-through in FastAPI, the least of a gateway: `python -m bench.peer_server ENGINE_URL PORT`.

It runs on the packages of requirements/peers.txt, with uvicorn's faster loop and parser.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import AsyncIterator

import httpx
import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse


def serve(engine_url: str, listener: socket.socket) -> None:
    """Serve until the process is killed."""
    app = FastAPI()
    client = httpx.AsyncClient(timeout=60, limits=httpx.Limits(max_connections=None))

    @app.post("/v1/chat/completions")
    async def completions(request: Request) -> StreamingResponse:
        sent = client.build_request(
            "POST",
            f"{engine_url}/chat/completions",
            content=await request.body(),
            headers={"content-type": "application/json"},
        )
        upstream = await client.send(sent, stream=True)

        async def chunks() -> AsyncIterator[bytes]:
            try:
                async for chunk in upstream.aiter_raw():
                    yield chunk
            finally:
                await upstream.aclose()

        return StreamingResponse(chunks(), media_type="text/event-stream")

    uvicorn.Server(
        uvicorn.Config(
            app,
            loop="uvloop",
            http="httptools",
            log_level="critical",
            access_log=False,
            timeout_keep_alive=600,  # as long as a side waits for its turn
        )
    ).run([listener])


if __name__ == "__main__":
    # With an explicit protocol, asyncio switches Nagle's algorithm off.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as _listener:
        _listener.bind(("127.0.0.1", int(sys.argv[2])))
        _listener.listen(1024)
        serve(sys.argv[1], _listener)
