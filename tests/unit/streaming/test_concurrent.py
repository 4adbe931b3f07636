"""Many invocations in one loop, on a Runtime API that only notes what it is sent."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lambda_stream import StreamingHandler, _log, trace_id
from lambda_stream._concurrent import ConcurrentLoop
from lambda_stream._events import FunctionInfo, Invocation
from lambda_stream._response import ResponseStream
from lambda_stream._runtime_api import RuntimeApi

from tests.unit.streaming.test_response import Transport

FUNCTION = FunctionInfo(None, None, None, None, None)
EVENT = {"version": "2.0", "rawPath": "/", "headers": {"host": "x"}}

# What an app does: send a piece, let others run, wait for a timer, or fail.
STEPS = st.lists(
    st.one_of(st.binary(min_size=1, max_size=30), st.sampled_from(["yield", "wait", "large", "raise"])),
    max_size=8,
)


class Answered(Transport):
    """Has a stream's reply answered soon after each write."""

    def __init__(self) -> None:
        super().__init__()
        self.finished: Callable[[], None] = lambda: None

    def write(self, data: Any) -> None:
        super().write(data)
        asyncio.get_running_loop().call_soon(lambda: self.finished())


class Api:
    """Gives its invocations to who waits, then none; `sent` is what was written for each."""

    def __init__(self, invocations: list[Invocation]) -> None:
        self.waiting = list(reversed(invocations))
        self.left = len(invocations)
        self.sent: dict[str, Answered] = {}
        self.done = asyncio.Event()

    async def next(self) -> Invocation:
        if not self.waiting:
            await asyncio.Event().wait()
        return self.waiting.pop()

    def response(self, invocation: Invocation) -> ResponseStream:
        stream = ResponseStream(asyncio.get_running_loop(), b"", invocation.request_id)
        self.sent[invocation.request_id] = Answered()
        return stream

    async def connect(self, stream: ResponseStream) -> None:
        await asyncio.sleep(0)
        transport = self.sent[stream._request_id]
        stream.connection_made(transport)
        transport.finished = partial(self._finish, stream)

    def _finish(self, stream: ResponseStream) -> None:
        if stream.finished and not stream.answered.done():
            stream.data_received(b"HTTP/1.1 202 Accepted\r\n\r\n")
            self.left -= 1
            if not self.left:
                self.done.set()

    wants_no_more = False

    def want_no_more(self) -> None:
        pass

    def close(self) -> None:
        pass


def app_of(scripts: dict[str, list[Any]]) -> Callable[..., Awaitable[None]]:
    async def app(scope: Any, _receive: Any, send: Any) -> None:
        request_id = scope["aws.context"].aws_request_id
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for step in scripts[request_id]:
            match step:
                case "yield":
                    await asyncio.sleep(0)
                case "wait":
                    await asyncio.sleep(0.001)
                case "raise":
                    raise ValueError(step)
                case _:
                    body = b"x" * 70_000 if step == "large" else step
                    await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": trace_id().encode()})

    return app


def served(scripts: dict[str, list[Any]], workers: int) -> dict[str, bytes]:
    """Return what is sent for each request by so many workers."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    handler = StreamingHandler(app_of(scripts), lifespan="off")
    context = {"http": {"method": "GET", "sourceIp": "203.0.113.7"}}
    payload = json.dumps({**EVENT, "requestContext": context}).encode()
    deadline_ms = 4_000_000_000_000
    api = Api(
        [
            Invocation(request_id, payload, deadline_ms, trace_id=f"trace of {request_id}")
            for request_id in scripts
        ]
    )
    log = _log.LambdaLogHandler(lambda _message, _kind: None, log_json=True)
    many = ConcurrentLoop(loop, [cast(RuntimeApi, api)] * workers, FUNCTION, log, None)

    async def serve() -> None:
        serving = loop.create_task(many._workers(handler))
        await asyncio.wait_for(api.done.wait(), 10)
        await asyncio.sleep(0.01)
        many._stop()
        await serving

    loop.run_until_complete(many.adopt(handler))
    loop.run_until_complete(serve())
    loop.run_until_complete(loop.shutdown_default_executor())
    asyncio.set_event_loop(None)
    loop.close()
    return {request_id: b"".join(transport.writes) for request_id, transport in api.sent.items()}


def test_a_handler_that_is_called_within_the_event_loop_says_so() -> None:
    handler = StreamingHandler(app_of({}), lifespan="off")

    async def call() -> None:
        handler({}, None)

    with pytest.raises(RuntimeError, match="is a plain function, not `async def`"):
        asyncio.run(call())
    assert handler._loop
    handler._loop.close()


@settings(max_examples=25, deadline=None)
@given(st.lists(STEPS, min_size=1, max_size=12), st.integers(2, 12))
def test_streams_that_interleave_are_those_served_one_by_one(all_steps: list[Any], workers: int) -> None:
    scripts = {f"request-{number}": steps for number, steps in enumerate(all_steps)}
    interleaved = served(scripts, workers)
    assert interleaved == served(scripts, 1)
    for request_id, steps in scripts.items():
        assert (f"trace of {request_id}".encode() in interleaved[request_id]) is ("raise" not in steps)
