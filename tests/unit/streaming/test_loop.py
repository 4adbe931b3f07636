"""The order of a streamed reply's steps; what they do together is in tests/integration/streaming."""

import asyncio
import time
from typing import Any, cast

from lambda_stream import StreamingHandler
from lambda_stream._events import FunctionInfo, Invocation
from lambda_stream._log import LambdaLogHandler
from lambda_stream._loop import InvocationLoop
from lambda_stream._requests import FunctionUrl
from lambda_stream._response import ResponseStream
from lambda_stream._runtime_api import RuntimeApi
from starlette.types import Receive, Scope, Send

EVENT = {"rawPath": "/", "headers": {}, "requestContext": {"http": {"method": "GET"}}}


def test_the_app_begins_before_its_reply_connects() -> None:
    """What it waits for, such as another server, works meanwhile."""
    steps: list[str] = []

    class Api(RuntimeApi):
        async def connect(self, stream: ResponseStream) -> None:
            steps.append("connect")
            stream.connection_lost(None)

    async def app(_: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        steps.append("app")

    async def main() -> None:
        log = cast(LambdaLogHandler, None)
        loop = InvocationLoop(
            asyncio.get_running_loop(), Api("localhost:1"), FunctionInfo.from_environ({}), log, None
        )
        invocation = Invocation("id", b"", round(time.time() * 1000) + 60_000)
        await loop._stream(
            invocation, StreamingHandler(app, lifespan="off"), FunctionUrl(EVENT, cast(Any, None))
        )

    asyncio.run(main())
    assert steps == ["app", "connect"]
