"""The streaming reply, with a caller that the test drives."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest
from starlette.types import Message

from functions.chat.engines.engine import Accepted, End, Event, Failure, Run
from functions.chat.errors import ApiError, Overloaded, UpstreamError
from functions.chat.streams.chat_writer import ChatWriter
from functions.chat.streams.response import EventStreamResponse
from functions.chat.streams.sse import KEEP_ALIVE
from tests.engines import schema
from tests.unit.chat.chunks import DONE, GOOD, role, word

SCOPE = {"type": "http"}
LONG_S = 30.0
pytestmark = [pytest.mark.anyio, pytest.mark.timeout(5)]


class Source:
    """Sends an event for each item: bytes are a run, with `[DONE]` also the end; None ends silently."""

    def __init__(self, *items: bytes | Exception | None) -> None:
        self.items: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()
        for item in items:
            self.items.put_nowait(item)
        self.is_closed = False

    async def events(self) -> AsyncGenerator[Event, None]:
        try:
            yield Accepted()
            while (item := await self.items.get()) is not None:
                if isinstance(item, ApiError):
                    yield Failure(item)
                    return
                elif isinstance(item, Exception):
                    raise item
                else:
                    if run := item.removesuffix(DONE):
                        yield Run(run, 1)
                    if item.endswith(DONE):
                        yield End()
                        return
        finally:
            self.is_closed = True


class Caller:
    """A caller and what it got. It is gone once `disconnects` is set; send number `breaks_at` raises."""

    def __init__(self, breaks_at: int | None = None) -> None:
        self.messages: list[Message] = []
        self.disconnects = asyncio.Event()
        self.got = asyncio.Condition()
        self._breaks_at = breaks_at

    async def receive(self) -> Message:
        await self.disconnects.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if len(self.messages) == self._breaks_at:
            raise OSError("gone")
        async with self.got:
            self.messages.append(message)
            self.got.notify_all()

    async def wait_bodies(self, count: int) -> None:
        async with self.got:
            await self.got.wait_for(lambda: len(self.bodies) >= count)

    @property
    def bodies(self) -> list[bytes]:
        return [message["body"] for message in self.messages[1:]]

    @property
    def body(self) -> bytes:
        return b"".join(self.bodies)

    @property
    def more(self) -> list[bool]:
        return [message["more_body"] for message in self.messages[1:]]


async def respond(source: Source, caller: Caller, keep_alive_s: float = LONG_S) -> None:
    response = await EventStreamResponse.open(source.events(), keep_alive_s, ChatWriter)
    await response(SCOPE, caller.receive, caller.send)


async def test_what_has_come_leaves_before_the_caller_is_watched() -> None:
    caller, tasks = Caller(), []

    async def send(message: Message) -> None:
        tasks.append(len(asyncio.all_tasks()))
        await caller.send(message)

    response = await EventStreamResponse.open(Source(word("Hi"), DONE).events(), LONG_S, ChatWriter)
    before = len(asyncio.all_tasks())
    await response(SCOPE, caller.receive, send)
    assert caller.bodies == [word("Hi"), DONE]
    assert set(tasks) == {before}


async def test_runs_are_sent_as_they_came_and_only_the_last_ends_the_body() -> None:
    source, caller = Source(role(), word(), GOOD, None), Caller()
    await respond(source, caller)
    assert caller.bodies == [role(), word(), GOOD.removesuffix(DONE), DONE]
    assert caller.more == [True, True, True, False]
    assert source.is_closed


async def test_headers_are_exactly_those_of_an_event_stream() -> None:
    caller = Caller()
    await respond(Source(GOOD, None), caller)
    assert caller.messages[0]["status"] == 200
    assert dict(caller.messages[0]["headers"]) == {
        b"content-type": b"text/event-stream; charset=utf-8",
        b"cache-control": b"no-cache",
        b"x-accel-buffering": b"no",
    }


async def test_the_headers_go_out_with_the_first_run() -> None:
    source, caller = Source(role()), Caller()
    task = asyncio.ensure_future(respond(source, caller))
    await caller.wait_bodies(1)
    assert caller.bodies == [role()]
    source.items.put_nowait(GOOD)
    source.items.put_nowait(None)
    await task


async def test_silence_is_filled_with_comments() -> None:
    source, caller = Source(role()), Caller()
    task = asyncio.ensure_future(respond(source, caller, 0.01))
    await caller.wait_bodies(4)
    source.items.put_nowait(GOOD)
    source.items.put_nowait(None)
    await task
    assert caller.bodies[0] == role()
    assert set(caller.bodies[1:-2]) == {KEEP_ALIVE}
    assert caller.more.count(False) == 1


async def test_silence_before_the_first_event_is_filled_with_comments() -> None:
    source, caller = Source(), Caller()
    task = asyncio.ensure_future(respond(source, caller, 0.01))
    await caller.wait_bodies(3)
    assert set(caller.bodies) == {KEEP_ALIVE}
    source.items.put_nowait(GOOD)
    source.items.put_nowait(None)
    await task
    assert schema.check_stream(caller.body).error is None
    assert caller.more.count(False) == 1


async def test_a_busy_stream_gets_no_comments() -> None:
    source, caller = Source(), Caller()
    task = asyncio.ensure_future(respond(source, caller, 0.3))
    for count in range(1, 41):
        source.items.put_nowait(word())
        await caller.wait_bodies(count)
        await asyncio.sleep(0.01)
    source.items.put_nowait(DONE)
    source.items.put_nowait(None)
    await task
    assert KEEP_ALIVE not in caller.bodies


async def test_a_failure_before_the_first_event_raises_and_sends_nothing() -> None:
    source, caller = Source(Overloaded("busy")), Caller()
    with pytest.raises(Overloaded):
        await respond(source, caller)
    assert caller.messages == []
    assert source.is_closed


async def test_a_failure_before_the_first_event_but_after_comments_is_an_event() -> None:
    source, caller = Source(), Caller()
    task = asyncio.ensure_future(respond(source, caller, 0.01))
    await caller.wait_bodies(1)
    source.items.put_nowait(UpstreamError("late"))
    await task
    failed = schema.validate_failed_stream(caller.body)
    assert failed.error["message"] == "late"
    assert caller.more.count(False) == 1


@pytest.mark.parametrize("first", [(), (role(),)], ids=["before the first event", "mid-stream"])
async def test_a_caller_who_disconnects_closes_the_source_at_once(first: tuple[bytes, ...]) -> None:
    source, caller = Source(*first), Caller()
    task = asyncio.ensure_future(respond(source, caller, LONG_S if first else 0.01))
    await caller.wait_bodies(1)
    assert not source.is_closed
    caller.disconnects.set()
    await task
    assert source.is_closed
    assert False not in caller.more


async def test_a_disconnect_ends_a_blocked_send() -> None:
    source, caller = Source(role(), word()), Caller()
    blocked = asyncio.Event()

    async def send(message: Message) -> None:
        await caller.send(message)
        if len(caller.messages) == 2:
            blocked.set()
            await asyncio.Event().wait()

    response = await EventStreamResponse.open(source.events(), LONG_S, ChatWriter)
    task = asyncio.ensure_future(response(SCOPE, caller.receive, send))
    await blocked.wait()
    caller.disconnects.set()
    await task
    assert source.is_closed


@pytest.mark.parametrize("at", [0, 1, 2], ids=["headers", "first run", "second run"])
async def test_a_failed_send_closes_the_source_and_is_raised(at: int) -> None:
    source, caller = Source(role(), word()), Caller(breaks_at=at)
    with pytest.raises(OSError, match="gone"):
        await respond(source, caller)
    assert source.is_closed


async def test_a_failed_send_of_a_comment_closes_the_source() -> None:
    source, caller = Source(role()), Caller(breaks_at=2)
    await asyncio.gather(respond(source, caller, 0.01), return_exceptions=True)
    assert caller.bodies == [role()]
    assert source.is_closed


async def test_a_cancelled_reply_closes_the_source() -> None:
    for source, first in ((Source(), 0), (Source(role()), 1)):
        caller = Caller()
        task = asyncio.ensure_future(respond(source, caller))
        await (caller.wait_bodies(first) if first else asyncio.sleep(0.01))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert source.is_closed


async def test_a_source_may_finish_its_work_after_the_end_marker() -> None:
    """After the end of the body a server reports a disconnect: that must not cut off the drain."""
    source, caller = Source(GOOD), Caller()
    drained: list[str] = []

    async def events() -> AsyncGenerator[Event, None]:
        async for event in source.events():
            yield event
            if isinstance(event, End):
                caller.disconnects.set()
                await asyncio.sleep(0.01)
                drained.append("drained")
                return

    response = await EventStreamResponse.open(events(), LONG_S, ChatWriter)
    await response(SCOPE, caller.receive, caller.send)
    assert drained == ["drained"]


async def test_a_bug_of_the_source_is_raised() -> None:
    source, caller = Source(role(), ZeroDivisionError()), Caller()
    with pytest.raises(ZeroDivisionError):
        await respond(source, caller)
    assert False not in caller.more


async def test_sends_never_overlap() -> None:
    """A run that arrives while a comment is being sent waits."""
    source, caller = Source(role()), Caller()
    active: list[Any] = []
    overlaps: list[bytes] = []

    async def send(message: Message) -> None:
        if active:
            overlaps.append(message["body"])
        active.append(message)
        if message.get("body") == KEEP_ALIVE:
            source.items.put_nowait(GOOD)
            source.items.put_nowait(None)
            await asyncio.sleep(0.02)
        active.pop()
        await caller.send(message)

    response = await EventStreamResponse.open(source.events(), 0.01, ChatWriter)
    await response(SCOPE, caller.receive, send)
    assert overlaps == []
    assert caller.body.endswith(GOOD)
