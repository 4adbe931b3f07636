"""A function on our layer that sends a request's body on by our transport, as it came."""

from __future__ import annotations

import os
from typing import Any

from lambda_stream import StreamingHandler

from functions.chat.engines.transport import EngineTransport, Request

_transport = EngineTransport(None)
_URL = f"{os.environ['ENGINE']}/chat/completions"


async def app(_: Any, receive: Any, send: Any) -> None:
    """Pass one request, and its reply, through."""
    pieces, more = [], True
    while more:
        message = await receive()
        pieces.append(message["body"])
        more = message["more_body"]
    response = await _transport.send(
        Request(
            method="POST",
            url=_URL,
            headers={"content-type": "application/json"},
            connect_timeout_s=2,
            read_timeout_s=60,
            body=pieces,
        )
    )
    start = {"type": "http.response.start", "status": 200}
    await send({**start, "headers": [(b"content-type", b"application/json")]})
    while data := await response.read():
        await send({"type": "http.response.body", "body": data, "more_body": True})
    response.close()
    await send({"type": "http.response.body", "body": b""})


handler = StreamingHandler(app, lifespan="off")
