"""The hot path, on a transport that only notes what it is given."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from lambda_stream import CallerGone
from lambda_stream._response import FLUSH_BYTES, ResponseStream


class Transport(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.ended = ""

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def abort(self) -> None:
        self.ended = "aborted"

    def close(self) -> None:
        self.ended = "closed"


def run(test: Callable[[ResponseStream, Transport], Awaitable[None]]) -> None:
    async def main() -> None:
        await test(ResponseStream(asyncio.get_running_loop(), b"HEAD"), Transport())

    asyncio.run(main())


def test_one_turn_of_the_loop_is_one_write() -> None:
    async def test(stream: ResponseStream, transport: Transport) -> None:
        stream.connection_made(transport)
        stream.write(b"one")
        stream.write(b"three")
        assert transport.writes == [b"HEAD"]
        await asyncio.sleep(0)
        assert transport.writes[1:] == [b"3\r\none\r\n5\r\nthree\r\n"]

    run(test)


def test_what_comes_after_a_while_leaves_at_once() -> None:
    async def test(stream: ResponseStream, transport: Transport) -> None:
        stream.connection_made(transport)
        await asyncio.sleep(0.01)
        stream.begin(200, [])
        assert transport.writes == [b"HEAD"]  # not without the first chunk
        await asyncio.sleep(0.01)
        stream.write(b"one")
        stream.write(b"two")
        assert transport.writes[2:] == [b"3\r\none\r\n"]
        await asyncio.sleep(0)
        assert transport.writes[3:] == [b"3\r\ntwo\r\n"]

    run(test)


def test_the_first_chunk_does_not_wait_behind_the_head_of_the_request() -> None:
    async def test(stream: ResponseStream, transport: Transport) -> None:
        stream.connection_made(transport)
        stream.begin(200, [])
        stream.write(b"one")
        assert transport.writes[0] == b"HEAD"
        assert transport.writes[1].endswith(b"3\r\none\r\n")

    run(test)


def test_a_wait_for_the_answer_that_is_cancelled_leaves_no_socket() -> None:
    async def test(stream: ResponseStream, transport: Transport) -> None:
        stream.connection_made(transport)
        stream.answered.cancel()
        stream.abort()
        assert transport.ended == "aborted"

    run(test)


def test_what_comes_before_the_socket_goes_out_with_the_head() -> None:
    async def test(stream: ResponseStream, transport: Transport) -> None:
        stream.write(b"one")
        await asyncio.sleep(0)
        stream.finish()
        stream.connection_made(transport)
        assert transport.writes == [b"HEAD3\r\none\r\n0\r\n\r\n"]

    run(test)


def test_what_comes_before_the_socket_is_bounded() -> None:
    async def test(stream: ResponseStream, transport: Transport) -> None:
        stream.write(b"x" * FLUSH_BYTES)
        assert stream.paused
        stream.connection_made(transport)
        assert not stream.paused
        await stream.drain()

    run(test)


def test_held_chunks_are_bounded_without_a_turn_of_the_loop() -> None:
    async def test(stream: ResponseStream, transport: Transport) -> None:
        stream.connection_made(transport)
        for _ in range(100):
            stream.write(b"x" * 1000)
        assert len(transport.writes) == 2
        assert len(transport.writes[1]) >= FLUSH_BYTES

    run(test)


def test_large_bodies_are_not_copied_into_their_frame() -> None:
    async def test(stream: ResponseStream, transport: Transport) -> None:
        stream.connection_made(transport)
        large = b"x" * FLUSH_BYTES
        stream.write(b"small")
        stream.write(large)
        stream.write(large)
        stream.finish()
        assert transport.writes[1:] == [
            b"5\r\nsmall\r\n10000\r\n",
            large,
            b"\r\n10000\r\n",
            large,
            b"\r\n0\r\n\r\n",
        ]

    run(test)


def test_a_large_body_is_ended_when_the_loop_turns() -> None:
    async def test(stream: ResponseStream, transport: Transport) -> None:
        stream.connection_made(transport)
        stream.write(b"x" * FLUSH_BYTES)
        await asyncio.sleep(0)
        assert transport.writes[-1] == b"\r\n"

    run(test)


@pytest.mark.parametrize("lost", ["connection_lost", "eof_received", "abort"])
def test_a_broken_socket_is_reported_once_and_ends_all_waits(lost: str) -> None:
    async def test(stream: ResponseStream, transport: Transport) -> None:
        reports: list[int] = []
        stream.on_lost = lambda: reports.append(1)
        stream.connection_made(transport)
        stream.pause_writing()
        waiting = asyncio.ensure_future(stream.drain())
        await asyncio.sleep(0)
        getattr(stream, lost)(*([None] if lost == "connection_lost" else []))
        stream.connection_lost(None)
        with pytest.raises(CallerGone):
            await waiting
        assert (reports, stream.answered.result(), transport.ended) == ([1], None, "aborted")

    run(test)


def test_the_answer_may_come_in_pieces() -> None:
    async def test(stream: ResponseStream, transport: Transport) -> None:
        stream.connection_made(transport)
        stream.finish()
        for piece in (b"HTTP/1.1 20", b"2 Accepted\r\nContent-Length: 0\r\n", b"\r\n"):
            assert not stream.answered.done()
            stream.data_received(piece)
        assert (stream.answered.result(), transport.ended) == (202, "closed")

    run(test)


def test_an_early_answer_is_a_loss() -> None:
    async def test(stream: ResponseStream, transport: Transport) -> None:
        reports: list[int] = []
        stream.on_lost = lambda: reports.append(1)
        stream.connection_made(transport)
        stream.data_received(b"HTTP/1.1 413 Too Large\r\n\r\n")
        assert (stream.answered.result(), reports) == (413, [1])

    run(test)
