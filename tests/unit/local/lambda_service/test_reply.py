import asyncio
from collections.abc import Awaitable, Callable

import pytest

from infra.local.lambda_service.decoders import RawDecoder
from infra.local.lambda_service.failures import ClientDisconnected, FunctionFailed
from infra.local.lambda_service.reply import HIGH_WATER, FunctionReply
from tests.unit.local.lambda_service.client import Client, body


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


def test_pieces_that_wait_are_passed_on_together_and_the_last_one_with_the_end() -> None:
    async def scenario(reply: FunctionReply, _: Source) -> None:
        client = Client()
        reply.feed(b"a")
        reply.feed(b"b")
        passing = asyncio.create_task(reply.pass_to(client))
        await asyncio.sleep(0)
        assert client.pieces == [b"ab"]
        reply.end(b"c")
        assert await passing == b"c"
        assert client.pieces == [b"ab"]

    with_reply(scenario)


def test_a_client_that_waits_gets_each_piece_in_the_step_in_which_it_comes() -> None:
    async def scenario(reply: FunctionReply, _: Source) -> None:
        client = Client()
        passing = asyncio.create_task(reply.pass_to(client))
        await asyncio.sleep(0)
        for piece in (b"a", b"b"):
            reply.feed(piece)
            assert client.pieces[-1] == piece
        reply.end()
        assert await passing == b""

    with_reply(scenario)


def test_a_client_that_is_full_gets_the_rest_in_order_once_it_takes_more() -> None:
    async def scenario(reply: FunctionReply, source: Source) -> None:
        client = Client()
        passing = asyncio.create_task(reply.pass_to(client))
        await asyncio.sleep(0)
        client.is_full = True
        reply.feed(b"1")
        assert client.pieces == [b"1"]
        reply.feed(b"2")
        reply.feed(b"3" + bytes(HIGH_WATER))
        await asyncio.sleep(0)
        assert (client.pieces, source.calls) == ([b"1"], ["pause"])
        client.take_more()
        for _ in range(3):
            await asyncio.sleep(0)
        assert (client.pieces[1:], source.calls) == ([b"23" + bytes(HIGH_WATER)], ["pause", "resume"])
        reply.end(b"4")
        assert await passing == b"4"

    with_reply(scenario)


def test_a_failure_comes_after_the_last_piece() -> None:
    async def scenario(reply: FunctionReply, _: Source) -> None:
        reply.feed(b"a")
        reply.fail(FunctionFailed("first"))
        reply.fail(FunctionFailed("second"))
        reply.end()
        client = Client()
        with pytest.raises(FunctionFailed, match="first"):
            await reply.pass_to(client)
        assert client.pieces == [b"a"]

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
        client = Client()
        passing = asyncio.create_task(reply.pass_to(client))
        await asyncio.sleep(0)
        assert len(client.pieces[0]) == HIGH_WATER + 1
        reply.end()
        await passing

    assert with_reply(scenario).calls == ["pause", "resume"]


def test_abandoning_breaks_the_functions_connection() -> None:
    async def scenario(reply: FunctionReply, _: Source) -> None:
        reply.feed(b"a")
        reply.abandon()
        client = Client()
        with pytest.raises(ClientDisconnected):
            await reply.pass_to(client)
        assert client.pieces == []

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
        assert await body(reply) == b"a"

    assert with_reply(scenario).calls == []
