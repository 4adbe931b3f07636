"""An engine at rest: who wakes it, who waits, who is told to come back, and what is told to CloudWatch."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from functions.chat.completions import Call, Completions
from functions.chat.engines.scale_from_zero import ASK_S, TELL_S, WAKE_S, WakeFailed, WakingEngine
from functions.chat.errors import EngineAsleep, ModelWarming, Overloaded
from functions.chat.streams.response import EventStreamResponse
from functions.chat.streams.sse import KEEP_ALIVE
from functions.chat.tally import Tally
from functions.shared.clock import Clock
from functions.shared.metrics import Metrics
from tests.unit.chat import chunks as scripted
from tests.unit.chat.fakes import model, settings

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(5)]

SERVICE = "arn:aws:ecs:eu-central-1:123456789012:service/engines/tiny"
START_S = 300.0
TIMEOUT_S = 840.0
TINY = model(ecs_service=SERVICE, start_s=START_S)
CHUNKS = list(scripted.cut(scripted.GOOD, "per event"))
ASLEEP = EngineAsleep("Nobody there.")


def call(of: Any = TINY) -> Call:
    return Call(model=of, body=b"{}", request_id="r", n=1, max_completion=8, include_usage=False)


class Engine:
    """Answers from a time on; before, nobody is there. `fails` is raised instead of an answer."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.answers_from: float | None = None
        self.fails: Exception | None = None
        self.asked_at: list[float] = []
        self.open_streams = 0
        self.is_closed = False

    async def complete(self, _: Call) -> Any:
        self._answer()
        return {"id": "c"}

    @asynccontextmanager
    async def stream(self, _: Call) -> AsyncIterator[AsyncIterator[bytes]]:
        self._answer()
        self.open_streams += 1
        try:
            yield self._chunks()
        finally:
            self.open_streams -= 1

    async def _chunks(self) -> AsyncIterator[bytes]:
        for chunk in CHUNKS:
            yield chunk

    def _answer(self) -> None:
        self.asked_at.append(self._clock())
        if self.answers_from is None or self._clock() < self.answers_from:
            raise ASLEEP
        if self.fails:
            raise self.fails

    async def aclose(self) -> None:
        self.is_closed = True


class Waker:
    """A service that runs `desired` tasks."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.desired = 0
        self.failure: str | None = None
        self.asked_at: list[float] = []

    async def wake(self, service: str) -> bool:
        assert service == SERVICE
        self.asked_at.append(self._clock())
        await asyncio.sleep(0)
        if self.failure:
            raise WakeFailed(self.failure)
        was_at_rest, self.desired = self.desired == 0, self.desired or 1
        return was_at_rest


class Bench:
    """A waking engine, with a clock that moves only while it waits."""

    def __init__(self) -> None:
        self.at = 0.0
        self.engine, self.waker, self.lines = Engine(self.read), Waker(self.read), list[str]()
        self.on_pause: Callable[[], None] = lambda: None
        self.waking = WakingEngine(
            self.engine,
            self.waker,
            timeout_s=TIMEOUT_S,
            metrics=Metrics("Api/dev", self.lines.append),
            now=lambda: 1_000.0 + self.at,
            clock=Clock(self.read, self.read),
            pause=self._pause,
        )

    def read(self) -> float:
        return self.at

    async def _pause(self, seconds: float) -> None:
        self.at += seconds
        self.on_pause()
        await asyncio.sleep(0)

    async def stream(self, of: Any = TINY) -> list[bytes]:
        async with self.waking.stream(call(of)) as chunks:
            return [chunk async for chunk in chunks]

    async def refusal(self) -> ModelWarming:
        with pytest.raises(ModelWarming) as raised:
            await self.waking.complete(call())
        return raised.value


# an engine that answers


async def test_an_engine_that_answers_is_left_alone() -> None:
    bench = Bench()
    bench.engine.answers_from = 0
    assert await bench.waking.complete(call()) == {"id": "c"}
    assert await bench.stream() == CHUNKS
    assert (bench.waker.asked_at, bench.lines, bench.at) == ([], [], 0)


async def test_its_stream_is_the_engines_own() -> None:
    """Nothing stands between an event and its caller."""
    bench = Bench()
    bench.engine.answers_from = 0
    async with bench.engine.stream(call()) as own, bench.waking.stream(call()) as chunks:
        assert type(chunks) is type(own)
        assert chunks.__name__ == own.__name__  # type: ignore[attr-defined]


async def test_other_failures_pass() -> None:
    bench = Bench()
    bench.engine.answers_from, bench.engine.fails = 0, Overloaded("Full.")
    with pytest.raises(Overloaded):
        await bench.waking.complete(call())
    with pytest.raises(Overloaded):
        await bench.stream()
    assert bench.waker.asked_at == []


async def test_a_model_without_a_service_fails_as_it_did() -> None:
    bench = Bench()
    with pytest.raises(EngineAsleep) as whole:
        await bench.waking.complete(call(model()))
    with pytest.raises(EngineAsleep) as streamed:
        await bench.stream(model())
    assert whole.value is streamed.value is ASLEEP
    assert (bench.waker.asked_at, bench.lines, bench.at) == ([], [], 0)


async def test_closing_closes_the_engine() -> None:
    bench = Bench()
    await bench.waking.aclose()
    assert bench.engine.is_closed


# whole replies


async def test_a_whole_reply_wakes_it_and_is_told_to_come_back() -> None:
    bench = Bench()
    refused = await bench.refusal()
    assert (refused.status, refused.code, refused.type) == (503, "model_warming", "service_unavailable_error")
    assert refused.headers == {"retry-after": "120", "retry-after-ms": "120000"}
    assert "`tiny`" in refused.message
    assert "120 s" in refused.message
    assert '"stream": true' in refused.message
    assert bench.waker.desired == 1


@pytest.mark.parametrize(
    ("after_s", "retry_after"),
    [(0, "120"), (180, "120"), (181, "119"), (240.5, "60"), (294, "6"), (299, "5"), (4000, "5")],
)
async def test_the_time_to_come_back_shrinks_to_5_s(after_s: float, retry_after: str) -> None:
    bench = Bench()
    await bench.refusal()
    bench.at = after_s
    assert (await bench.refusal()).headers["retry-after"] == retry_after


async def test_it_starts_anew_with_each_sleep() -> None:
    bench = Bench()
    await bench.refusal()
    bench.at = 290
    bench.engine.answers_from = 290
    await bench.waking.complete(call())
    bench.engine.answers_from = None
    assert (await bench.refusal()).headers["retry-after"] == "120"


async def test_it_starts_anew_after_a_held_stream() -> None:
    bench = Bench()
    bench.engine.answers_from = 290
    assert await bench.stream() == CHUNKS
    bench.engine.answers_from = None
    assert (await bench.refusal()).headers["retry-after"] == "120"


async def test_it_starts_anew_when_somebody_put_it_back_to_rest() -> None:
    bench = Bench()
    await bench.refusal()
    bench.at, bench.waker.desired = 290, 0
    assert (await bench.refusal()).headers["retry-after"] == "120"


async def test_the_service_is_looked_after_every_15_s() -> None:
    bench = Bench()
    for bench.at in (0.0, 1.0, WAKE_S - 1, WAKE_S, WAKE_S + 1, 3 * WAKE_S):
        await bench.refusal()
    assert bench.waker.asked_at == [0, WAKE_S, 3 * WAKE_S]


async def test_all_who_come_at_once_wake_it_once() -> None:
    bench = Bench()
    await asyncio.gather(*(bench.refusal() for _ in range(10)))
    assert bench.waker.asked_at == [0]
    assert len(bench.lines) == 1


async def test_a_service_that_runs_is_not_changed() -> None:
    """Its engine has crashed, or starts: ECS sees to that."""
    bench = Bench()
    bench.waker.desired = 3
    assert (await bench.refusal()).headers["retry-after"] == "120"
    assert bench.waker.desired == 3


async def test_what_cannot_be_woken_fails_as_it_did(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    bench.waker.failure = "AccessDeniedException"
    with caplog.at_level(logging.INFO), pytest.raises(EngineAsleep) as whole:
        await bench.waking.complete(call())
    with pytest.raises(EngineAsleep) as streamed:
        await bench.stream()
    assert whole.value is streamed.value is ASLEEP
    assert (bench.lines, bench.at) == ([], 0)
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("ERROR", "the engine of tiny could not be woken: AccessDeniedException")
    ] * 2
    bench.waker.failure = None
    await bench.refusal()
    assert bench.waker.desired == 1, "a failure is not remembered"


# streams


async def test_a_stream_is_held_until_the_engine_answers() -> None:
    bench = Bench()
    bench.engine.answers_from = 99
    assert await bench.stream() == CHUNKS
    assert bench.engine.asked_at == [0, *(n * ASK_S for n in range(1, 51))]
    assert bench.waker.asked_at[:3] == [0, 16, 32], "the next question after 15 s"
    assert bench.engine.open_streams == 0


async def test_a_held_stream_keeps_the_service_awake() -> None:
    """What has been put back to rest while somebody waits is woken again."""

    def rest() -> None:
        if bench.at == 100:
            bench.waker.desired = 0

    bench = Bench()
    bench.on_pause = rest
    bench.engine.answers_from = 120
    assert await bench.stream() == CHUNKS
    assert bench.waker.desired == 1


async def test_a_service_that_cannot_be_looked_after_for_a_while_is_waited_for() -> None:
    def fail() -> None:
        bench.waker.failure = "ThrottlingException" if bench.at < 60 else None

    bench = Bench()
    bench.on_pause = fail
    bench.engine.answers_from = 90
    assert await bench.stream() == CHUNKS


async def test_a_stream_is_held_until_the_deadline() -> None:
    bench = Bench()
    async with bench.waking.stream(call()) as chunks:
        with pytest.raises(ModelWarming) as raised:
            await anext(chunks)
    assert bench.at == TIMEOUT_S
    assert raised.value.headers["retry-after"] == "5"
    assert "stream" not in raised.value.message


async def test_the_deadline_is_told_even_if_somebody_else_had_an_answer() -> None:
    async def answer() -> None:
        bench.engine.answers_from = bench.at
        await bench.waking.complete(call())
        bench.engine.answers_from = None

    bench = Bench()
    async with bench.waking.stream(call()) as chunks:
        bench.on_pause = lambda: setattr(bench, "at", TIMEOUT_S)
        await answer()
        with pytest.raises(ModelWarming) as raised:
            await anext(chunks)
    assert raised.value.headers["retry-after"] == "120", "it sleeps anew"


async def test_what_the_engine_says_at_last_counts() -> None:
    bench = Bench()
    bench.engine.answers_from, bench.engine.fails = 10, Overloaded("Full.")
    async with bench.waking.stream(call()) as chunks:
        with pytest.raises(Overloaded):
            await anext(chunks)
    assert bench.at == 10


async def test_a_caller_who_leaves_ends_the_waiting() -> None:
    waits = asyncio.Event()
    bench = Bench()
    bench.on_pause = waits.set
    streaming = asyncio.create_task(bench.stream())
    await waits.wait()
    streaming.cancel()
    await asyncio.wait({streaming})
    asked = len(bench.engine.asked_at)
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(bench.engine.asked_at) == asked


async def test_a_caller_who_leaves_between_events_closes_the_engines_stream() -> None:
    bench = Bench()
    bench.engine.answers_from = 10
    async with bench.waking.stream(call()) as chunks:
        await anext(chunks)
        assert bench.engine.open_streams == 1
    assert bench.engine.open_streams == 0


async def test_its_caller_gets_comments_and_then_the_completion() -> None:
    """All the way to the wire: the wait is within the reply, not before it."""

    class Caller:
        bodies: list[bytes]

        def __init__(self) -> None:
            self.bodies = []

        async def receive(self) -> Any:
            await asyncio.Event().wait()

        async def send(self, message: Any) -> None:
            if message["type"] == "http.response.start":
                assert message["status"] == 200
                return
            self.bodies.append(message["body"])
            if len(self.bodies) == 3:
                bench.engine.answers_from = 0

    bench = Bench()
    bench.waking._pause = lambda _: asyncio.sleep(0.001)
    events = Completions(settings(TINY), bench.waking).stream(call(), Tally())
    response = await EventStreamResponse.open(events, keep_alive_s=0.01)
    caller = Caller()
    await response({"type": "http"}, caller.receive, caller.send)
    assert caller.bodies[:3] == [KEEP_ALIVE] * 3
    completion = b"".join(body for body in caller.bodies if body != KEEP_ALIVE)
    assert completion.endswith(scripted.DONE)
    assert b'"error"' not in completion


# what CloudWatch is told


async def test_a_wake_is_told_at_once() -> None:
    bench = Bench()
    await bench.refusal()
    (line,) = map(json.loads, bench.lines)
    assert line == {
        "_aws": {
            "Timestamp": 1_000_000,
            "CloudWatchMetrics": [
                {
                    "Namespace": "Api/dev",
                    "Dimensions": [["model"]],
                    "Metrics": [{"Name": "wakes", "Unit": "Count"}],
                }
            ],
        },
        "model": "tiny",
        "wakes": 1,
    }


async def test_each_wake_is_told_however_soon() -> None:
    bench = Bench()
    await bench.refusal()
    bench.at, bench.waker.desired = TELL_S / 2, 0
    await bench.refusal()
    assert len(bench.lines) == 2


async def test_whoever_waits_is_told_every_minute() -> None:
    bench = Bench()
    bench.engine.answers_from = 250
    await bench.stream()
    assert [json.loads(line)["_aws"]["Timestamp"] for line in bench.lines] == [
        1_000_000 + n * int(TELL_S) * 1000 for n in range(5)
    ]


async def test_it_is_told_while_the_service_cannot_be_looked_after() -> None:
    def fail() -> None:
        bench.waker.failure = "ThrottlingException"

    bench = Bench()
    bench.on_pause = fail
    bench.engine.answers_from = 250
    await bench.stream()
    assert len(bench.lines) == 5


async def test_nothing_is_told_without_metrics() -> None:
    bench = Bench()
    bench.waking._metrics = None
    await bench.refusal()
    assert bench.lines == []
