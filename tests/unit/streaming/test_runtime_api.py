"""The socket of a streamed reply, to a Runtime API that listens or does not."""

import asyncio
import socket

from lambda_stream._events import Invocation
from lambda_stream._runtime_api import RuntimeApi

INVOCATION = Invocation("id", b"{}", deadline_ms=0)


def test_a_reply_connects_in_two_turns_of_the_loop() -> None:
    async def connect(port: int) -> bytes:
        api = RuntimeApi(f"127.0.0.1:{port}")
        stream = api.response(INVOCATION)
        connecting = asyncio.create_task(api.connect(stream))
        for _ in range(3):  # the first starts the task
            await asyncio.sleep(0)
        assert connecting.done(), "what an engine sends meanwhile is read before"
        accepted, _ = listener.accept()
        with accepted:
            received = accepted.recv(65536)
        assert await stream.answered is None
        return received

    with socket.create_server(("127.0.0.1", 0)) as listener:
        received = asyncio.run(connect(listener.getsockname()[1]))
    assert received.startswith(b"POST /2018-06-01/runtime/invocation/id/response")


def test_a_reply_that_nothing_accepts_is_lost() -> None:
    async def connect(port: int) -> None:
        api = RuntimeApi(f"127.0.0.1:{port}")
        stream = api.response(INVOCATION)
        lost: list[bool] = []
        stream.on_lost = lambda: lost.append(True)
        await api.connect(stream)
        assert await asyncio.wait_for(stream.answered, 5) is None
        assert lost == [True]

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        asyncio.run(connect(taken.getsockname()[1]))
