import asyncio
from collections.abc import Awaitable, Callable

import pytest

from infra.local.lambda_service.decoders import RawDecoder
from infra.local.lambda_service.failures import ClientDisconnected, FunctionFailed
from infra.local.lambda_service.reply import HIGH_WATER, FunctionReply


class Source:
    """A connection that records calls."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pause_reading(self) -> None:
        self.calls.append("pause")

    def resume_reading(self) -> None:
        self.calls.append("resume")

    def abort(self) -> None:
        self.calls.append("abort")


def with_reply(
    scenario: Callable[[FunctionReply, Source], Awaitable[None]], *, opened: bool = True
) -> Source:
    source = Source()

    async def run() -> None:
        reply = FunctionReply()
        if opened:
            reply.open(RawDecoder(""), source)
        await scenario(reply, source)

    asyncio.run(run())
    return source


def test_pieces_that_wait_are_read_together_and_the_end_is_empty() -> None:
    async def scenario(reply: FunctionReply, _: Source) -> None:
        reply.feed(b"a")
        reply.feed(b"b")
        assert await reply.read() == b"ab"
        reply.feed(b"c")
        reply.end()
        assert [await reply.read(), await reply.read()] == [b"c", b""]

    with_reply(scenario)


def test_a_reader_that_waits_gets_each_piece_as_it_comes() -> None:
    async def scenario(reply: FunctionReply, _: Source) -> None:
        reading = asyncio.create_task(reply.read())
        await asyncio.sleep(0)
        reply.feed(b"a")
        assert await reading == b"a"

    with_reply(scenario)


def test_a_failure_comes_after_the_last_piece() -> None:
    async def scenario(reply: FunctionReply, _: Source) -> None:
        reply.feed(b"a")
        reply.fail(FunctionFailed("first"))
        reply.fail(FunctionFailed("second"))
        reply.end()
        assert await reply.read() == b"a"
        with pytest.raises(FunctionFailed, match="first"):
            await reply.read()

    with_reply(scenario)


def test_a_failure_before_the_reply_is_the_heads() -> None:
    async def scenario(reply: FunctionReply, _: Source) -> None:
        waiting = asyncio.create_task(reply.head())
        await asyncio.sleep(0)
        reply.fail(FunctionFailed("crashed"))
        with pytest.raises(FunctionFailed, match="crashed"):
            await waiting

    with_reply(scenario, opened=False)


def test_a_client_that_does_not_read_pauses_the_function() -> None:
    async def scenario(reply: FunctionReply, source: Source) -> None:
        reply.feed(bytes(HIGH_WATER))
        assert source.calls == []
        reply.feed(b"1")
        assert source.calls == ["pause"]
        assert len(await reply.read()) == HIGH_WATER + 1

    assert with_reply(scenario).calls == ["pause", "resume"]


def test_abandoning_breaks_the_functions_connection() -> None:
    async def scenario(reply: FunctionReply, _: Source) -> None:
        reply.feed(b"a")
        reply.abandon()
        with pytest.raises(ClientDisconnected):
            await reply.read()

    assert with_reply(scenario).calls == ["abort"]


def test_abandoning_early_breaks_the_connection_when_the_reply_begins() -> None:
    async def scenario(reply: FunctionReply, source: Source) -> None:
        reply.abandon()
        assert source.calls == []
        reply.open(RawDecoder(""), source)

    assert with_reply(scenario, opened=False).calls == ["abort"]


def test_abandoning_a_reply_that_is_over_changes_nothing() -> None:
    async def scenario(reply: FunctionReply, _: Source) -> None:
        reply.feed(b"a")
        reply.end()
        reply.abandon()
        assert await reply.read() == b"a"

    assert with_reply(scenario).calls == []
