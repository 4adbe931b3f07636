"""An engine scaled to zero: what starts it, what waits for it, what is refused, and what is measured."""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from functions.chat.engines import scale_from_zero
from functions.chat.engines.engine import Accepted, End, EngineRequest, Event, Failure, Reply, Run
from functions.chat.engines.scale_from_zero import CHECK_S, POLL_S, REPORT_S, ScaleFromZero
from functions.chat.engines.scaler import BLOCKED, Start, StartFailed
from functions.chat.errors import ApiError, EngineUnreachable, ModelUnavailable, ModelWarming, Overloaded
from functions.chat.models import Model
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


class Scaler:
    """The scaler of one engine, which starts at the first call, with places for streams."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.started_at: float | None = None
        self.failure: str | None = None
        self.reason: str | None = None
        self.places = 5
        self.holders: dict[str, float] = {}
        self.released: list[str] = []
        self.called_at: list[float] = []

    @property
    def is_wanted(self) -> bool:
        return self.started_at is not None

    async def start(self, scaler: str, holder: str | None) -> Start:
        assert scaler == SCALER
        now = self._clock()
        self.called_at.append(now)
        await asyncio.sleep(0)
        if self.failure:
            raise StartFailed(self.failure)
        self.started_at = now if self.started_at is None else self.started_at
        if holder and (holder in self.holders or len(self.holders) < self.places):
            self.holders[holder] = now
        return Start(
            "blocked" if self.reason else "starting",
            self.reason,
            now - self.started_at,
            holder in self.holders,
        )

    async def release(self, scaler: str, holder: str) -> None:
        assert scaler == SCALER
        self.released.append(holder)
        if self.failure:
            raise StartFailed(self.failure)
        del self.holders[holder]


class Bench:
    """An engine that is started on demand, with a clock that moves only while it waits."""

    def __init__(self) -> None:
        self.at = 0.0
        self.engine, self.scaler, self.lines = Engine(self.read), Scaler(self.read), list[str]()
        self.on_pause: Callable[[], None] = lambda: None
        self.started = ScaleFromZero(
            self.engine,
            self.scaler,
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
    assert (bench.scaler.called_at, bench.lines, bench.at) == ([], [], 0)


async def test_other_failures_are_passed_on() -> None:
    bench = Bench()
    bench.engine.answers_from, bench.engine.fails = 0, Overloaded("Full.")
    assert await bench.whole() == await bench.stream() == [Failure(bench.engine.fails)]
    assert bench.scaler.called_at == []


async def test_without_a_scaler_the_engines_failure_is_passed_on() -> None:
    bench = Bench()
    assert await bench.whole(model()) == await bench.stream(model()) == [Failure(UNREACHABLE)]
    assert (bench.scaler.called_at, bench.lines, bench.at) == ([], [], 0)


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
    assert bench.scaler.is_wanted


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
    bench.engine.answers_from = bench.scaler.started_at = None
    assert (await bench.refusal()).headers["retry-after"] == "120"


async def test_retry_after_begins_again_after_a_held_stream() -> None:
    bench = Bench()
    bench.engine.answers_from = 290
    assert await bench.stream() == STREAMED
    bench.engine.answers_from = bench.scaler.started_at = None
    assert (await bench.refusal()).headers["retry-after"] == "120"


async def test_an_engine_that_has_crashed_takes_as_long_to_start_again() -> None:
    bench = Bench()
    bench.at, bench.scaler.started_at = 5000, 0
    assert (await bench.refusal()).headers["retry-after"] == "120"
    bench.at += 250
    assert (await bench.refusal()).headers["retry-after"] == "50"


async def test_retry_after_begins_again_when_it_was_scaled_to_zero_meanwhile() -> None:
    bench = Bench()
    await bench.refusal()
    bench.at, bench.scaler.started_at = 290, None
    assert (await bench.refusal()).headers["retry-after"] == "120"


async def test_the_scaler_is_called_every_15_s() -> None:
    bench = Bench()
    for bench.at in (0.0, 1.0, CHECK_S - 1, CHECK_S, CHECK_S + 1, 3 * CHECK_S):
        await bench.refusal()
    assert bench.scaler.called_at == [0, CHECK_S, 3 * CHECK_S]


async def test_concurrent_requests_start_it_once() -> None:
    bench = Bench()
    await asyncio.gather(*(bench.refusal() for _ in range(10)))
    assert bench.scaler.called_at == [0]
    assert len(bench.lines) == 1


async def test_what_another_environment_has_started_is_soon_there() -> None:
    bench = Bench()
    bench.at, bench.scaler.started_at = 1000, 750
    assert (await bench.refusal()).headers["retry-after"] == "50"


async def test_where_the_engine_cannot_be_started_the_engines_failure_is_passed_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench()
    bench.scaler.failure = "AccessDeniedException"
    with caplog.at_level(logging.INFO):
        assert await bench.whole() == await bench.stream() == [Failure(UNREACHABLE)]
    assert (bench.lines, bench.at) == ([], 0)
    assert [(each.levelname, each.getMessage()) for each in caplog.records] == [
        ("ERROR", "the engine of tiny could not be started: AccessDeniedException")
    ] * 2
    bench.scaler.failure = None
    await bench.refusal()
    assert bench.scaler.is_wanted, "a failure is not remembered"


# streams


async def test_a_stream_is_held_until_the_engine_answers() -> None:
    bench = Bench()
    bench.engine.answers_from = 99
    assert await bench.stream() == STREAMED
    assert bench.engine.called_at == [0, *(n * POLL_S for n in range(1, 51))]
    assert bench.scaler.called_at[:3] == [0, 16, 32], "the first check after 15 s"
    assert bench.engine.open_streams == 0


async def test_a_held_stream_starts_the_engine_again() -> None:
    """One that was scaled to zero while a request waits is started again within 15 s."""

    def scale_to_zero() -> None:
        if bench.at == 100:
            bench.scaler.started_at = None

    bench = Bench()
    bench.on_pause = scale_to_zero
    bench.engine.answers_from = 120
    assert await bench.stream() == STREAMED
    assert 100 < bench.scaler.started_at <= 100 + CHECK_S + POLL_S  # type: ignore[operator]


async def test_a_scaler_that_fails_for_a_while_is_waited_for() -> None:
    def fail() -> None:
        bench.scaler.failure = "ThrottlingException" if bench.at < 60 else None

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


# places


async def hold(bench: Bench) -> asyncio.Task[list[Event]]:
    """Return a stream that is held, until the bench's engine answers."""
    held, streaming = asyncio.Event(), asyncio.create_task(bench.stream())
    bench.on_pause = held.set
    await held.wait()
    return streaming


async def test_a_stream_beyond_those_that_may_wait_is_refused_until_later() -> None:
    bench = Bench()
    bench.scaler.places = 1
    held = await hold(bench)
    (failure,) = await bench.stream()
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, ModelWarming)
    assert int(failure.error.headers["retry-after"]) > 60
    assert failure.error.message.endswith("As many streams as may wait for it do so already.")
    bench.engine.answers_from = 0
    assert await held == STREAMED


@pytest.mark.parametrize("ends", ["accepted", "disconnected", "too late", "blocked"])
async def test_a_stream_that_waits_no_longer_gives_its_place_back(ends: str) -> None:
    bench = Bench()
    held = await hold(bench)
    (holder,) = bench.scaler.holders
    match ends:
        case "accepted":
            bench.engine.answers_from = 0
        case "disconnected":
            held.cancel()
        case "too late":
            bench.at = TIMEOUT_S
        case "blocked":
            bench.scaler.reason = "quota"
    await asyncio.wait({held})
    await asyncio.sleep(0)
    assert bench.scaler.released == [holder]
    assert not bench.scaler.holders


async def test_a_place_that_cannot_be_given_back_expires(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench()
    held = await hold(bench)
    bench.scaler.failure, bench.engine.answers_from = "ThrottlingException", 0
    assert await held == STREAMED
    await asyncio.sleep(0)
    assert len(bench.scaler.released) == 1
    assert not caplog.records


async def test_a_request_that_a_fallback_may_answer_takes_no_place_and_waits_for_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The scaler may be cold: its call goes on while the fallback answers, and is not repeated."""
    monkeypatch.setattr(scale_from_zero, "FALLBACK_S", 0.001)
    bench, responds = Bench(), asyncio.Event()
    start = bench.scaler.start

    async def start_late(scaler: str, holder: str | None) -> Start:
        await responds.wait()
        return await start(scaler, holder)

    monkeypatch.setattr(bench.scaler, "start", start_late)
    for _ in range(2):
        async with bench.started.open(engine_request(TINY, waits=False)) as events:
            (failure,) = [event async for event in events]
        assert isinstance(failure, Failure)
        assert isinstance(failure.error, ModelWarming)
    responds.set()
    await bench.refusal()
    assert (bench.scaler.called_at, bench.scaler.holders) == ([0], {})


# blocked


@pytest.mark.parametrize("reason", BLOCKED)
async def test_what_keeps_an_engine_from_starting_is_reported_at_once(
    caplog: pytest.LogCaptureFixture, reason: str
) -> None:
    bench = Bench()
    bench.scaler.reason = reason
    for (failure,) in (await bench.whole(), await bench.stream()):
        assert isinstance(failure, Failure)
        assert isinstance(failure.error, ModelUnavailable)
        assert (failure.error.status, failure.error.code) == (503, "model_unavailable")
        assert BLOCKED[reason] in failure.error.message
        is_passing = reason == "capacity"
        assert ("retry-after" in failure.error.headers) is is_passing
        assert (failure.error.headers.get("x-should-retry") == "false") is not is_passing
        assert ("operator" in failure.error.message) is not is_passing
    await asyncio.sleep(0)
    assert not bench.scaler.holders
    assert {each.getMessage() for each in caplog.records} == {
        f"the engine of tiny cannot start: {reason}; the scaler's log says more"
    }


async def test_a_held_stream_fails_when_its_engine_cannot_start() -> None:
    def block() -> None:
        bench.scaler.reason = "capacity" if bench.at > 60 else None

    bench = Bench()
    bench.on_pause = block
    accepted, failure = await bench.stream()
    assert accepted == Accepted()
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, ModelUnavailable)
    assert 60 < bench.at <= 60 + CHECK_S + POLL_S


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
                    "Metrics": [{"Name": "starts", "Unit": "Count"}],
                }
            ],
        },
        "model": "tiny",
        "starts": 1,
    }


async def test_a_request_that_waits_is_measured_every_minute() -> None:
    bench = Bench()
    bench.engine.answers_from = 250
    await bench.stream()
    assert [json.loads(line)["_aws"]["Timestamp"] for line in bench.lines] == [
        1_000_000 + n * int(REPORT_S) * 1000 for n in range(5)
    ]


async def test_it_is_measured_while_the_scaler_fails() -> None:
    def fail() -> None:
        bench.scaler.failure = "ThrottlingException"

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
    assert bench.scaler.called_at == []
