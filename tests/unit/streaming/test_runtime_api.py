"""The socket of a streamed reply, to a Runtime API that listens or does not."""

import asyncio
import socket
from contextlib import ExitStack

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


def test_a_reply_that_is_accepted_late_is_sent_then() -> None:
    async def connect(listener: socket.socket) -> bytes:
        loop = asyncio.get_running_loop()
        api = RuntimeApi(f"127.0.0.1:{listener.getsockname()[1]}")
        stream = api.response(INVOCATION)
        began = loop.time()
        await api.connect(stream)
        assert loop.time() - began < 0.5, "the other streams would have waited"
        stream.write(b"one")
        for _ in range(2):  # those before it
            listener.accept()[0].close()
        accepted, _ = await asyncio.wait_for(asyncio.to_thread(listener.accept), 10)
        with accepted:
            await asyncio.sleep(0.1)
            return accepted.recv(65536)

    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1))
        for _ in range(2):  # no more are taken until one of these is accepted
            stack.enter_context(socket.create_connection(listener.getsockname()))
        received = asyncio.run(connect(listener))
    assert received.startswith(b"POST /2018-06-01/runtime/invocation/id/response")
    assert received.endswith(b"3\r\none\r\n")
