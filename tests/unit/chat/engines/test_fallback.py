"""Which engine answers, which error the caller gets where none does, and what is remembered for how long."""

import asyncio
import json
import re
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.chat.engines.engine import Accepted, End, EngineRequest, Event, Failure, Reply, Run
from functions.chat.engines.fallback import LONGEST_S, SHORTEST_S, SLOW_S, UNSAID_S, Fallback, has_not_run
from functions.chat.engines.scale_from_zero import ScaleFromZero
from functions.chat.engines.scaler import Start
from functions.chat.errors import (
    ApiError,
    EngineDraining,
    EngineUnreachable,
    InvalidRequest,
    ModelNotFound,
    ModelWarming,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    UpstreamError,
    UpstreamTimeout,
)
from functions.chat.models import Model
from functions.shared.clock import Clock
from functions.shared.metrics import Metrics
from tests.unit.chat.fakes import engine_request, model

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(5)]

A, B, C = (model(name) for name in "abc")
RUN = Run(b"data: {}\n\n", 1)
BROKEN = Failure(UpstreamError("Cut.", retry=False))
# An engine that does so has not begun to work on the request.
REFUSALS: dict[str, ApiError] = {
    "unreachable": EngineUnreachable("No engine."),
    "draining": EngineDraining(),
    "full": Overloaded("Full."),
    "starting": ModelWarming("a", retry_after_s=90),
    "limited": RateLimited("Later."),
    "quota": QuotaExhausted("Used up."),
    "key": UpstreamError("Our key is refused."),
}
# It may have worked on it, or would refuse it anywhere.
FINAL: dict[str, ApiError] = {
    "dropped": UpstreamError("Perhaps it has run.", retry=False),
    "silent": UpstreamTimeout("Silent.", retry=False),
    "invalid": InvalidRequest("Wrong."),
    "unknown": ModelNotFound("a"),
}
ANSWERS: dict[str, list[Event]] = {
    "good": [Accepted(), RUN, RUN, End()],
    "whole": [Accepted(), Reply({"id": "c"}), End()],
    "cut": [Accepted(), RUN, BROKEN],
    "cut at once": [Accepted(), BROKEN],
    "full, but too late": [Accepted(), Failure(REFUSALS["full"])],
}
DOES: dict[str, list[Event]] = {
    **ANSWERS,
    **{name: [Failure(error)] for name, error in {**REFUSALS, **FINAL}.items()},
}


class Engines:
    """One engine for each model, which does what `does` says; a reply takes `takes_s`.

    Those in `hang` send no more than `accepts` events.
    """

    def __init__(self, **does: str) -> None:
        self.does, self.takes_s = does, defaultdict[str, float](float)
        self.hang, self.accepts = set[str](), 1
        self.hangs = asyncio.Event()
        self.at = 0.0
        self.opened: list[str] = []
        self.open_streams = 0
        self.is_closed = False

    def open(self, request: EngineRequest) -> aclosing[AsyncGenerator[Event, None]]:
        assert not request.fallbacks, "an engine knows of no other"
        return aclosing(self._events(request.model.id, self.does[request.model.id]))

    async def _events(self, name: str, does: str) -> AsyncGenerator[Event, None]:
        self.opened.append(name)
        self.open_streams += 1
        try:
            for number, event in enumerate(DOES[does]):
                await asyncio.sleep(0)
                if number == self.accepts and name in self.hang:
                    self.hangs.set()
                    await asyncio.Event().wait()
                if number == 1:
                    self.at += self.takes_s[name]
                yield event
        finally:
            self.open_streams -= 1

    async def models(self, model: Model) -> Any:
        return {"of": model.id}

    async def aclose(self) -> None:
        self.is_closed = True


class Bench:
    """Engines that answer for each other, with a clock that the test sets."""

    def __init__(self, **does: str) -> None:
        self.engines, self.lines = Engines(**does), list[str]()
        self.clock = Clock(lambda: self.engines.at, lambda: self.engines.at)
        self.fallback = Fallback(
            self.engines,
            metrics=Metrics("Api", self.lines.append),
            now=lambda: 1000.0 + self.engines.at,
            clock=self.clock,
        )

    async def request(self, *models: Model, stream: bool = True) -> list[Event]:
        return await events_of(self.fallback.open(requested(*models, stream=stream)))

    async def answered_by(self, *models: Model) -> str:
        """Return the model whose engine has accepted a request, which it answers."""
        accepted, *_ = await self.request(*models)
        assert isinstance(accepted, Accepted)
        assert accepted.request
        return accepted.request.model.id

    async def tried(self, *models: Model) -> str:
        """Return the engines that got a request, in their order."""
        self.engines.opened.clear()
        await self.request(*models)
        return "".join(self.engines.opened)


def requested(*models: Model, stream: bool = True) -> EngineRequest:
    own, *others = (engine_request(each, stream=stream) for each in models or (A, B))
    return replace(own, fallbacks=tuple(others))


async def events_of(opened: AbstractAsyncContextManager[AsyncIterator[Event]]) -> list[Event]:
    async with opened as events:
        return [event async for event in events]


# who answers


async def test_the_log_says_what_each_engine_said(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(a="starting", b="full", c="good")
    await bench.request(A, B, C)
    await bench.request(A, B, C)
    assert [record.getMessage() for record in caplog.records] == [
        "c answers for a (a: model_warming; b: server_is_overloaded)",
        "c answers for a (a: failed or late before)",
    ]


@pytest.mark.parametrize("refusal", REFUSALS)
@pytest.mark.parametrize("answer", ANSWERS)
async def test_a_request_that_was_refused_goes_to_the_next_and_stays_there(refusal: str, answer: str) -> None:
    bench = Bench(a=refusal, b=answer, c="good")
    accepted, *reply = await bench.request(A, B, C)
    assert isinstance(accepted, Accepted)
    assert accepted.request
    assert (accepted.request.model, reply) == (B, ANSWERS[answer][1:])
    assert (bench.engines.opened, bench.engines.open_streams) == (["a", "b"], 0)


@pytest.mark.parametrize("final", FINAL)
async def test_what_may_have_run_or_is_wrong_stays(final: str) -> None:
    bench = Bench(a="unreachable", b=final, c="good")
    (failure,) = await bench.request(A, B, C)
    assert isinstance(failure, Failure)
    assert failure.request, "what may have run is charged as the fallback's"
    assert (failure.error, failure.request.model) == (FINAL[final], B)
    assert bench.engines.opened == ["a", "b"]


async def test_an_engine_that_accepts_has_the_request_for_good() -> None:
    for answer in ANSWERS:
        bench = Bench(a=answer, b="good")
        accepted, *reply = await bench.request()
        assert isinstance(accepted, Accepted)
        assert (reply, bench.engines.opened) == (ANSWERS[answer][1:], ["a"])


async def test_without_fallbacks_events_take_no_detour() -> None:
    bench = Bench(a="good")
    opened = bench.fallback.open(engine_request(A))
    assert isinstance(opened, aclosing)
    assert opened.thing.__qualname__ == "Engines._events"  # type: ignore[attr-defined]
    assert await events_of(opened) == ANSWERS["good"]


# where all refuse


ALL_REFUSE = {
    ("unreachable", "full"): "full",
    ("full", "unreachable"): "full",
    ("unreachable", "key"): "unreachable",
    ("quota", "limited"): "limited",
    ("full", "limited"): "full",
    ("unreachable", "starting"): "starting",
    ("quota", "unreachable"): "quota",
}


@pytest.mark.parametrize(("does", "given"), ALL_REFUSE.items(), ids=str)
async def test_where_all_refuse_the_first_error_that_says_when_to_come_back_is_the_callers(
    does: tuple[str, str], given: str
) -> None:
    bench = Bench(a=does[0], b=does[1])
    for _ in range(2):  # the marks change who is tried first, not what the caller gets
        assert await bench.request(stream=False) == [Failure(REFUSALS[given])]


# what is remembered


async def test_a_marked_engine_goes_behind_the_others_until_its_time_is_over() -> None:
    bench = Bench(a="unreachable", b="good")
    assert await bench.tried() == "ab"
    bench.engines.at = UNSAID_S - 0.1
    assert await bench.tried() == "b"
    bench.engines.at = UNSAID_S
    assert await bench.tried() == "ab"
    bench.engines.at, bench.engines.does["a"] = 2 * UNSAID_S, "good"
    assert await bench.tried() == "a"
    assert await bench.tried() == "a"


async def test_a_marked_engine_is_tried_where_the_others_refuse() -> None:
    bench = Bench(a="unreachable", b="good")
    await bench.request()
    bench.engines.does = {"a": "good", "b": "full"}
    assert await bench.tried() == "ba"


async def test_where_all_are_marked_their_order_is_as_configured() -> None:
    bench = Bench(a="limited", b="unreachable", c="key")
    await bench.request(A, B, C)
    assert await bench.tried(A, B, C) == "abc"


@pytest.mark.parametrize(
    ("error", "marked_s"),
    [
        (Overloaded("Full."), SHORTEST_S),
        (Overloaded("Full.", retry_after_s=0.01), SHORTEST_S),
        (RateLimited("Later.", retry_after_s=7), 7),
        (ModelWarming("a", retry_after_s=90), LONGEST_S),
        (EngineUnreachable("No engine."), UNSAID_S),
        (QuotaExhausted("Used up."), UNSAID_S),
        (UpstreamError("Crashed.", retry=False), UNSAID_S),
        (UpstreamTimeout("Silent.", retry=False), LONGEST_S),
        (InvalidRequest("Wrong."), 0),
        (ModelNotFound("a"), 0),
    ],
    ids=repr,
)
@pytest.mark.parametrize("accepted", [False, True])
async def test_an_engine_is_marked_for_as_long_as_it_says_within_limits(
    error: ApiError, marked_s: float, accepted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DOES, "fails", [Accepted()] * accepted + [Failure(error)])
    bench = Bench(a="fails", b="good")
    await bench.request()
    bench.engines.does["a"] = "good"
    if marked_s:
        bench.engines.at = marked_s - 0.01
        assert await bench.answered_by() == "b"
    bench.engines.at = marked_s
    assert await bench.answered_by() == "a"


async def test_an_engine_that_is_late_is_behind_for_the_next_requests_only() -> None:
    bench = Bench(a="good", b="good")
    bench.engines.takes_s["a"] = SLOW_S
    assert await bench.answered_by() == "a"
    bench.engines.takes_s["a"] = SLOW_S - 1
    assert await bench.answered_by() == "b"
    bench.engines.at += LONGEST_S
    assert await bench.answered_by() == "a"
    assert await bench.answered_by() == "a"


async def test_a_whole_reply_may_take_its_time() -> None:
    bench = Bench(a="whole", b="whole")
    bench.engines.takes_s["a"] = 10 * SLOW_S
    await bench.request(stream=False)
    assert await bench.answered_by() == "a"


@pytest.mark.parametrize("accepts", [0, 1])
@pytest.mark.parametrize(("waited_s", "next_one"), [(SLOW_S - 1, "a"), (SLOW_S, "b")])
async def test_a_caller_who_leaves_a_silent_engine_leaves_a_mark(
    waited_s: float, next_one: str, accepts: int
) -> None:
    bench = Bench(a="good", b="good")
    bench.engines.hang, bench.engines.accepts = {"a"}, accepts
    streaming = asyncio.create_task(bench.request())
    await bench.engines.hangs.wait()
    bench.engines.at, bench.engines.hang = waited_s, set()
    streaming.cancel()
    await asyncio.wait({streaming})
    assert await bench.answered_by() == next_one
    assert not bench.engines.open_streams


async def test_one_request_at_a_time_tries_a_marked_engine() -> None:
    bench = Bench(a="unreachable", b="good")
    await bench.request()
    bench.engines.at = UNSAID_S
    bench.engines.opened.clear()
    await asyncio.gather(*(bench.request() for _ in range(10)))
    assert Counter(bench.engines.opened) == {"a": 1, "b": 10}


async def test_marks_are_of_a_model_wherever_it_is_named() -> None:
    bench = Bench(a="unreachable", b="good", c="good")
    await bench.request(A, B)
    assert await bench.tried(C, A) == "c"
    bench.engines.does["c"] = "full"
    assert await bench.tried(C, A, B) == "cb"


# engines that start


class Scaler:
    """A scaler that counts how often it was called; it may be blocked."""

    started = 0
    reason: str | None = None

    async def start(self, _: str, holder: str | None) -> Start:
        self.started += 1
        return Start("blocked" if self.reason else "starting", self.reason, may_hold=holder is not None)

    async def release(self, _: str, holder: str) -> None:
        assert holder


COLD = replace(A, scaler="arn:aws:lambda:eu-central-1:123456789012:function:scaler")


class ColdBench(Bench):
    """Engines that answer for one that is scaled to zero, until `answers_from`."""

    def __init__(self, answers_from: float = 9, **does: str) -> None:
        super().__init__(**does)
        self.scaler, self.answers_from = Scaler(), answers_from
        started = ScaleFromZero(self.engines, self.scaler, timeout_s=840, clock=self.clock, pause=self._pause)
        self.fallback = Fallback(started, clock=self.clock)

    async def _pause(self, seconds: float) -> None:
        self.engines.at += seconds
        if self.engines.at >= self.answers_from:
            self.engines.does["a"] = "good"


async def test_a_stream_is_not_held_for_an_engine_that_starts_where_a_fallback_answers() -> None:
    bench = ColdBench(a="unreachable", b="good")
    assert await bench.answered_by(COLD, B) == "b"
    assert (bench.scaler.started, bench.engines.at) == (1, 0)


async def test_a_stream_that_no_fallback_answers_is_held_for_the_first_that_starts() -> None:
    bench = ColdBench(a="unreachable", b="full")
    assert await bench.answered_by(COLD, B) == "a"
    assert bench.scaler.started == 2, "and for a place among the streams that wait"
    assert bench.engines.at == 10, "the first time after 9 s at which it was tried"


async def test_a_stream_is_held_for_a_fallback_that_starts() -> None:
    bench = ColdBench(a="unreachable", b="full")
    assert await bench.answered_by(B, COLD) == "a"


async def test_a_fallback_answers_for_an_engine_that_cannot_start() -> None:
    bench = ColdBench(a="unreachable", b="good")
    bench.scaler.reason = "quota"
    assert await bench.answered_by(COLD, B) == "b"
    bench.engines.does["b"] = "full"
    for stream in (True, False):
        (failure,) = await bench.request(COLD, B, stream=stream)
        assert isinstance(failure, Failure)
        assert failure.error.code == "server_is_overloaded", "which may pass"
    (failure,) = await bench.request(COLD)
    assert isinstance(failure, Failure)
    assert failure.error.code == "model_unavailable"


async def test_a_whole_reply_that_no_fallback_answers_is_refused_until_later() -> None:
    bench = ColdBench(a="unreachable", b="full")
    (failure,) = await bench.request(COLD, B, stream=False)
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, ModelWarming)
    assert '"stream": true' in failure.error.message
    assert bench.scaler.started == 1


async def test_an_engine_that_starts_is_looked_at_while_its_fallback_answers() -> None:
    bench = ColdBench(a="unreachable", b="good")
    tried = []
    for bench.engines.at in range(0, 61, 3):
        tried.append(await bench.tried(COLD, B))
    assert tried == (["ab"] + ["b"] * 4) * 4 + ["ab"], "every 15 s"
    assert bench.scaler.started == 5


# what is reported


async def test_each_request_that_a_fallback_answers_is_counted_as_its_models() -> None:
    bench = Bench(a="unreachable", b="good")
    await bench.request()
    await bench.request()
    assert [json.loads(line)["fallbacks"] for line in bench.lines] == [1, 1]
    assert json.loads(bench.lines[0])["model"] == "a"
    bench.engines.at, bench.engines.does["a"] = UNSAID_S, "good"
    await bench.request()
    assert len(bench.lines) == 2


async def test_lists_of_models_are_each_engines_own() -> None:
    bench = Bench()
    assert await bench.fallback.models(A) == {"of": "a"}
    await bench.fallback.aclose()
    assert bench.engines.is_closed


# whatever engines do

requests = st.lists(
    st.tuples(st.fixed_dictionaries(dict.fromkeys("abc", st.sampled_from(sorted(DOES)))), st.integers(0, 30)),
    max_size=12,
)


@given(requests)
def test_no_request_is_run_twice(requests: list[tuple[dict[str, str], int]]) -> None:
    async def scenario() -> None:
        bench = Bench()
        for bench.engines.does, passed_s in requests:
            bench.engines.at += passed_s
            bench.engines.opened.clear()
            reply = await bench.request(A, B, C)
            opened = [bench.engines.does[name] for name in bench.engines.opened]
            is_held = any(each == "starting" for each in opened) and len(opened) > 3
            begun = [each for each in opened if each not in REFUSALS]
            assert len(begun) <= 1, "one engine at most has begun"
            assert opened[-1:] == begun or not begun, "and no other got it after that"
            assert len(opened) <= 3 + is_held
            refused = [each for each in opened if each in REFUSALS]
            assert begun or len(set(bench.engines.opened)) == 3, "all were tried before it failed"
            assert refused == opened[: len(refused)]
            shape = "".join(type(event).__name__[0] for event in reply)
            assert re.fullmatch(r"F|A(R*)[EF]", shape), "Failure, or Accepted, what follows, and one end"
            assert not bench.engines.open_streams

    asyncio.run(scenario())


def test_what_has_not_run_is_as_decided() -> None:
    assert all(map(has_not_run, REFUSALS.values()))
    assert not any(map(has_not_run, FINAL.values()))
