"""An engine scaled to zero: what starts it, what waits for it, what is refused, and what is measured."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from functions.chat.engines.engine import Accepted, End, EngineRequest, Event, Failure, Reply, Run
from functions.chat.engines.scale_from_zero import CHECK_S, POLL_S, REPORT_S, ScaleFromZero, StartFailed
from functions.chat.errors import ApiError, EngineUnreachable, ModelWarming, Overloaded
from functions.chat.settings import Model
from functions.chat.streams.chat_writer import ChatWriter
from functions.chat.streams.response import EventStreamResponse
from functions.chat.streams.sse import KEEP_ALIVE
from functions.chat.usage import Meter
from functions.shared.clock import Clock
from functions.shared.metrics import Metrics
from tests.unit.chat.fakes import engine_request, model

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(5)]

SCALER = "arn:aws:lambda:eu-central-1:123456789012:function:scaler"
START_S = 300.0
TIMEOUT_S = 840.0
TINY = model(scaler=SCALER, start_s=START_S)
UNREACHABLE = EngineUnreachable("No engine.")
STREAMED: list[Event] = [Accepted(), Run(b"data: {}\n\n", 1), End()]
WHOLE: list[Event] = [Accepted(), Reply({"id": "c"}), End()]


class Engine:
    """Unreachable until `answers_from`; from then on it replies, or fails with `fails` if that is set."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.answers_from: float | None = None
        self.fails: ApiError | None = None
        self.called_at: list[float] = []
        self.open_streams = 0
        self.is_closed = False

    def open(self, request: EngineRequest) -> aclosing[AsyncGenerator[Event, None]]:
        return aclosing(self._events(request))

    async def _events(self, request: EngineRequest) -> AsyncGenerator[Event, None]:
        self.called_at.append(self._clock())
        if self.answers_from is None or self._clock() < self.answers_from:
            yield Failure(UNREACHABLE)
            return
        if self.fails:
            yield Failure(self.fails)
            return
        self.open_streams += 1
        try:
            for event in STREAMED if request.stream else WHOLE:
                yield event
        finally:
            self.open_streams -= 1

    async def models(self, model: Model) -> dict[str, str]:
        return {"of": model.id}

    async def aclose(self) -> None:
        self.is_closed = True


class Services:
    """One ECS service, which runs `desired` tasks."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.desired = 0
        self.failure: str | None = None
        self.called_at: list[float] = []

    async def start(self, service: str) -> bool:
        assert service == SCALER
        self.called_at.append(self._clock())
        await asyncio.sleep(0)
        if self.failure:
            raise StartFailed(self.failure)
        was_at_zero, self.desired = self.desired == 0, self.desired or 1
        return was_at_zero


class Bench:
    """An engine that is started on demand, with a clock that moves only while it waits."""

    def __init__(self) -> None:
        self.at = 0.0
        self.engine, self.services, self.lines = Engine(self.read), Services(self.read), list[str]()
        self.on_pause: Callable[[], None] = lambda: None
        self.started = ScaleFromZero(
            self.engine,
            self.services,
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

    async def stream(self, of: Any = TINY) -> list[Event]:
        async with self.started.open(engine_request(of)) as events:
            return [event async for event in events]

    async def whole(self, of: Any = TINY) -> list[Event]:
        async with self.started.open(engine_request(of, stream=False)) as events:
            return [event async for event in events]

    async def refusal(self) -> ModelWarming:
        (failure,) = await self.whole()
        assert isinstance(failure, Failure)
        assert isinstance(failure.error, ModelWarming)
        return failure.error


# an engine that answers


async def test_an_engine_that_answers_is_not_started() -> None:
    bench = Bench()
    bench.engine.answers_from = 0
    assert await bench.whole() == WHOLE
    assert await bench.stream() == STREAMED
    assert (bench.services.called_at, bench.lines, bench.at) == ([], [], 0)


async def test_other_failures_are_passed_on() -> None:
    bench = Bench()
    bench.engine.answers_from, bench.engine.fails = 0, Overloaded("Full.")
    assert await bench.whole() == await bench.stream() == [Failure(bench.engine.fails)]
    assert bench.services.called_at == []


async def test_without_a_service_the_engines_failure_is_passed_on() -> None:
    bench = Bench()
    assert await bench.whole(model()) == await bench.stream(model()) == [Failure(UNREACHABLE)]
    assert (bench.services.called_at, bench.lines, bench.at) == ([], [], 0)


async def test_closing_closes_the_engine() -> None:
    bench = Bench()
    await bench.started.aclose()
    assert bench.engine.is_closed


# whole replies


async def test_a_whole_reply_starts_it_and_is_refused_until_later() -> None:
    bench = Bench()
    refused = await bench.refusal()
    assert (refused.status, refused.code, refused.type) == (503, "model_warming", "service_unavailable_error")
    assert refused.headers == {"retry-after": "120", "retry-after-ms": "120000"}
    assert "`tiny`" in refused.message
    assert "120 s" in refused.message
    assert '"stream": true' in refused.message
    assert bench.services.desired == 1


@pytest.mark.parametrize(
    ("after_s", "retry_after"),
    [(0, "120"), (180, "120"), (181, "119"), (240.5, "60"), (294, "6"), (299, "5"), (4000, "5")],
)
async def test_retry_after_shrinks_to_5_s(after_s: float, retry_after: str) -> None:
    bench = Bench()
    await bench.refusal()
    bench.at = after_s
    assert (await bench.refusal()).headers["retry-after"] == retry_after


async def test_retry_after_begins_again_with_each_start() -> None:
    bench = Bench()
    await bench.refusal()
    bench.at = 290
    bench.engine.answers_from = 290
    await bench.whole()
    bench.engine.answers_from = None
    assert (await bench.refusal()).headers["retry-after"] == "120"


async def test_retry_after_begins_again_after_a_held_stream() -> None:
    bench = Bench()
    bench.engine.answers_from = 290
    assert await bench.stream() == STREAMED
    bench.engine.answers_from = None
    assert (await bench.refusal()).headers["retry-after"] == "120"


async def test_retry_after_begins_again_when_it_was_scaled_to_zero_meanwhile() -> None:
    bench = Bench()
    await bench.refusal()
    bench.at, bench.services.desired = 290, 0
    assert (await bench.refusal()).headers["retry-after"] == "120"


async def test_the_service_is_checked_every_15_s() -> None:
    bench = Bench()
    for bench.at in (0.0, 1.0, CHECK_S - 1, CHECK_S, CHECK_S + 1, 3 * CHECK_S):
        await bench.refusal()
    assert bench.services.called_at == [0, CHECK_S, 3 * CHECK_S]


async def test_concurrent_requests_start_it_once() -> None:
    bench = Bench()
    await asyncio.gather(*(bench.refusal() for _ in range(10)))
    assert bench.services.called_at == [0]
    assert len(bench.lines) == 1


async def test_a_service_that_runs_is_not_changed() -> None:
    """Its engine is starting, or has crashed and is restarted by ECS."""
    bench = Bench()
    bench.services.desired = 3
    assert (await bench.refusal()).headers["retry-after"] == "120"
    assert bench.services.desired == 3


async def test_where_the_service_cannot_be_started_the_engines_failure_is_passed_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.services.failure = "AccessDeniedException"
    with caplog.at_level(logging.INFO):
        assert await bench.whole() == await bench.stream() == [Failure(UNREACHABLE)]
    assert (bench.lines, bench.at) == ([], 0)
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("ERROR", "the engine of tiny could not be started: AccessDeniedException")
    ] * 2
    bench.services.failure = None
    await bench.refusal()
    assert bench.services.desired == 1, "a failure is not remembered"


# streams


async def test_a_stream_is_held_until_the_engine_answers() -> None:
    bench = Bench()
    bench.engine.answers_from = 99
    assert await bench.stream() == STREAMED
    assert bench.engine.called_at == [0, *(n * POLL_S for n in range(1, 51))]
    assert bench.services.called_at[:3] == [0, 16, 32], "the first check after 15 s"
    assert bench.engine.open_streams == 0


async def test_a_held_stream_starts_the_service_again() -> None:
    """A service that was scaled to zero while a request waits is started again."""

    def scale_to_zero() -> None:
        if bench.at == 100:
            bench.services.desired = 0

    bench = Bench()
    bench.on_pause = scale_to_zero
    bench.engine.answers_from = 120
    assert await bench.stream() == STREAMED
    assert bench.services.desired == 1


async def test_a_service_that_cannot_be_checked_for_a_while_is_waited_for() -> None:
    def fail() -> None:
        bench.services.failure = "ThrottlingException" if bench.at < 60 else None

    bench = Bench()
    bench.on_pause = fail
    bench.engine.answers_from = 90
    assert await bench.stream() == STREAMED


async def test_a_stream_is_held_until_the_deadline() -> None:
    bench = Bench()
    accepted, failure = await bench.stream()
    assert (accepted, bench.at) == (Accepted(), TIMEOUT_S)
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, ModelWarming)
    assert failure.error.headers["retry-after"] == "5"
    assert "stream" not in failure.error.message


async def test_the_deadline_is_reported_even_if_another_request_was_answered() -> None:
    async def answer() -> None:
        bench.engine.answers_from = bench.at
        await bench.whole()
        bench.engine.answers_from = None

    bench = Bench()
    async with bench.started.open(engine_request(TINY)) as events:
        assert await anext(events) == Accepted()
        bench.on_pause = lambda: setattr(bench, "at", TIMEOUT_S)
        await answer()
        failure = await anext(events)
    assert isinstance(failure, Failure)
    assert failure.error.headers["retry-after"] == "120", "it was scaled to zero again"


async def test_the_last_failure_of_the_engine_counts() -> None:
    bench = Bench()
    bench.engine.answers_from, bench.engine.fails = 10, Overloaded("Full.")
    assert await bench.stream() == [Accepted(), Failure(bench.engine.fails)]
    assert bench.at == 10


async def test_a_caller_who_disconnects_ends_the_wait() -> None:
    waits = asyncio.Event()
    bench = Bench()
    bench.on_pause = waits.set
    streaming = asyncio.create_task(bench.stream())
    await waits.wait()
    streaming.cancel()
    await asyncio.wait({streaming})
    calls = len(bench.engine.called_at)
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(bench.engine.called_at) == calls


async def test_a_caller_who_disconnects_between_events_closes_the_engines_stream() -> None:
    bench = Bench()
    bench.engine.answers_from = 10
    async with bench.started.open(engine_request(TINY)) as events:
        assert await anext(events) == Accepted()
        assert isinstance(await anext(events), Run)
        assert bench.engine.open_streams == 1
    assert bench.engine.open_streams == 0


async def test_the_caller_gets_comments_and_then_the_completion() -> None:
    """The reply begins before the wait, not after it."""

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
    bench.started._pause = lambda _: asyncio.sleep(0.001)
    request = engine_request(TINY)
    account = Meter().account(None, "req", None)
    await account.admit(request)
    response = await EventStreamResponse.open(account.run(bench.started, request), 0.01, ChatWriter)
    caller = Caller()
    await response({"type": "http"}, caller.receive, caller.send)
    assert caller.bodies[:3] == [KEEP_ALIVE] * 3
    completion = b"".join(body for body in caller.bodies if body != KEEP_ALIVE)
    assert completion.endswith(b"data: [DONE]\n\n")
    assert b'"error"' not in completion


# metrics


async def test_a_start_is_measured_at_once() -> None:
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


async def test_each_start_is_measured_however_soon_it_follows() -> None:
    bench = Bench()
    await bench.refusal()
    bench.at, bench.services.desired = REPORT_S / 2, 0
    await bench.refusal()
    assert len(bench.lines) == 2


async def test_a_request_that_waits_is_measured_every_minute() -> None:
    bench = Bench()
    bench.engine.answers_from = 250
    await bench.stream()
    assert [json.loads(line)["_aws"]["Timestamp"] for line in bench.lines] == [
        1_000_000 + n * int(REPORT_S) * 1000 for n in range(5)
    ]


async def test_it_is_measured_while_the_service_cannot_be_checked() -> None:
    def fail() -> None:
        bench.services.failure = "ThrottlingException"

    bench = Bench()
    bench.on_pause = fail
    bench.engine.answers_from = 250
    await bench.stream()
    assert len(bench.lines) == 5


async def test_nothing_is_measured_without_metrics() -> None:
    bench = Bench()
    bench.started._metrics = None
    await bench.refusal()
    assert bench.lines == []


def test_a_list_of_models_starts_no_engine() -> None:
    bench = Bench()
    assert asyncio.run(bench.started.models(TINY)) == {"of": TINY.id}
    assert bench.services.called_at == []
