"""What a request held is free once it has its reply, not when garbage is collected next."""

import asyncio
import gc
import weakref
from typing import Any

from lambda_stream._cycle import Cycle
from lambda_stream._errors import FailurePolicy
from lambda_stream._response import ResponseStream


async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ARG001 - ASGI's names
    await receive()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"Hi"})


def test_a_request_that_has_its_reply_is_in_no_cycle_of_references() -> None:
    async def serve() -> weakref.ref[Cycle]:
        stream = ResponseStream(asyncio.get_running_loop(), b"")
        cycle = Cycle({"type": "http", "method": "POST"}, b"{}", stream, FailurePolicy())
        cycle.start(app, None)
        await cycle.ended()
        await asyncio.sleep(0)
        return weakref.ref(cycle)

    gc.disable()
    try:
        assert asyncio.run(serve())() is None
    finally:
        gc.enable()
