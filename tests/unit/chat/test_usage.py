"""What a request reserves and settles, and the record that it leaves, however it ends."""

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from functions.chat import usage as metering
from functions.chat.engines.engine import Accepted, Chunks, End, Event, Failure, Reply, Run
from functions.chat.errors import (
    ApiError,
    EngineUnreachable,
    InvalidRequest,
    ModelWarming,
    QuotaExhausted,
    RateLimited,
    UpstreamError,
    UpstreamTimeout,
)
from functions.chat.usage import Account, Meter
from functions.shared.keys import Key, KeysUnavailable
from functions.shared.limiter import LEDGER_PAUSE_S
from functions.shared.limits import Allowance, LimitReached, Reservation
from functions.shared.metrics import Metrics
from functions.shared.usage import UsageRecord
from tests.unit.chat.fakes import EventsEngine, engine_request

REQUEST = engine_request(body=b"x" * 399, max_completion=50)
WHOLE = replace(REQUEST, stream=False)
LIMITED = Key(
    id="key_1", digest="d", name="alice", requests_per_minute=60, tokens_per_minute=1000, created_at=0
)
FREE = Key(id="key_2", digest="e", name="bob", created_at=0)
ALLOWANCE = Allowance(
    limit_requests=60, remaining_requests=59, limit_tokens=1000, remaining_tokens=850, resets_in_s=17.5
)
RUN = Run(b"data: {}\n\n", 1)
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}


class FakeLedger:
    """Keeps what is reserved and settled; raises `failure` if that is set."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.reserved: list[int] = []
        self.settled: list[int] = []

    async def reserve(self, key: Key, tokens: int, now: float) -> Reservation:
        if self.failure:
            raise self.failure
        self.reserved.append(tokens)
        return Reservation(key_id=key.id, window=int(now // 60), tokens=tokens, allowance=ALLOWANCE)

    async def settle(self, reservation: Reservation, tokens: int) -> None:  # noqa: ARG002
        if self.failure:
            raise self.failure
        self.settled.append(tokens)

    async def peek(self, key: Key, now: float) -> Allowance:  # noqa: ARG002
        if self.failure:
            raise self.failure
        return ALLOWANCE


class FakeUsage:
    """Keeps records as the table does: one per request."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.delay_s = 0.0
        self.records: dict[str, UsageRecord] = {}
        self.outcomes: list[str] = []

    async def put(self, record: UsageRecord) -> None:
        await asyncio.sleep(self.delay_s)
        if self.failure:
            raise self.failure
        self.records[record.request_id] = record
        self.outcomes.append(record.outcome)


class Bench:
    """A meter on fakes."""

    def __init__(self, remaining_ms: Callable[[], int] | None = None) -> None:
        self.ledger, self.usage, self.lines = FakeLedger(), FakeUsage(), list[str]()
        self.clock = [1000.0]
        self.meter = Meter(
            ledger=self.ledger,
            usage=self.usage,
            metrics=Metrics("Api", self.lines.append),
            now=lambda: self.clock[0],
        )
        self._remaining_ms = remaining_ms

    def account(self, key: Key | None = LIMITED) -> Account:
        return self.meter.account(key, "req", self._remaining_ms)

    @property
    def record(self) -> UsageRecord:
        (record,) = self.usage.records.values()
        return record


def run(scenario: Any) -> Any:
    return asyncio.run(scenario)


def reply(*events: Event, failure: ApiError | None = None) -> EventsEngine:
    """Return an engine that accepts, sends events and ends with its count, or with a failure."""
    return EventsEngine(Accepted(), *events, Failure(failure) if failure else End(USAGE))


async def streamed(
    bench: Bench, *events: Event, key: Key | None = LIMITED, failure: ApiError | None = None
) -> list[Event]:
    account = bench.account(key)
    await account.admit(REQUEST)
    return [event async for event in account.run(reply(*events, failure=failure), REQUEST)]


def test_a_stream_reserves_first_and_settles_before_its_end() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(REQUEST)
        assert (bench.ledger.reserved, account.allowance) == ([100 + 50], ALLOWANCE)
        passed = []
        async for each in account.run(reply(RUN, RUN), REQUEST):
            if isinstance(each, End):
                assert (bench.ledger.settled, bench.record.outcome) == ([10], "ok")
            passed.append(each)
        assert passed == [Accepted(), RUN, RUN, End(USAGE)]
        assert bench.usage.outcomes == ["cut", "ok"], "written while the engine works, then replaced"
        record = bench.record
        assert (record.key_id, record.model, record.request_id) == ("key_1", "tiny", "req")
        assert (record.prompt_tokens, record.completion_tokens, record.cached_tokens) == (7, 3, 2)
        assert record.first_byte_ms is not None
        assert record.started_at == 1_000_000

    run(scenario())


def test_a_request_whose_environment_is_killed_counts_as_what_it_reserved() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(REQUEST)
        stream = account.run(reply(RUN, RUN), REQUEST)
        for _ in range(3):
            await anext(stream)
        await asyncio.sleep(0.01)
        assert (bench.record.outcome, bench.record.prompt_tokens, bench.record.completion_tokens) == (
            "cut",
            100,
            50,
        )

    run(scenario())


def test_a_caller_who_disconnects_pays_for_the_events_that_were_sent() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(REQUEST)
        stream = account.run(reply(Run(b"", 3), Chunks(b"", 1, []), RUN), REQUEST)
        for _ in range(3):
            await anext(stream)
        await stream.aclose()
        assert (bench.record.outcome, bench.record.completion_tokens, bench.ledger.settled) == (
            "cut",
            4,
            [104],
        )

    run(scenario())


@pytest.mark.parametrize(("remaining_ms", "outcome"), [(60_000, "cut"), (1_400, "timeout")])
def test_a_cut_at_the_deadline_is_a_timeout(remaining_ms: int, outcome: str) -> None:
    async def scenario() -> None:
        bench = Bench(lambda: remaining_ms)
        account = bench.account()
        await account.admit(REQUEST)
        stream = account.run(reply(RUN), REQUEST)
        await anext(stream)
        await stream.aclose()
        assert bench.record.outcome == outcome

    run(scenario())


@pytest.mark.parametrize(
    ("failure", "outcome"), [(UpstreamError("broken"), "error"), (UpstreamTimeout("late"), "timeout")]
)
def test_a_failure_within_the_stream_has_its_outcome_and_its_code(failure: ApiError, outcome: str) -> None:
    bench = Bench()
    passed = run(streamed(bench, RUN, failure=failure))
    assert bench.record.code == json.loads(bench.lines[0])["code"] == failure.code
    assert passed == [Accepted(), RUN, Failure(failure)]
    assert (bench.record.outcome, bench.record.completion_tokens) == (outcome, 1)


def test_a_failure_before_the_stream_has_its_outcome() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(REQUEST)
        failure = Failure(UpstreamError("down"))
        assert await anext(account.run(EventsEngine(failure), REQUEST)) == failure
        assert (bench.record.outcome, bench.ledger.settled) == ("error", [100])

    run(scenario())


def test_a_bug_of_the_engine_is_an_error() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(REQUEST)
        with pytest.raises(ZeroDivisionError):
            async for _ in account.run(EventsEngine(Accepted(), RUN, ZeroDivisionError()), REQUEST):
                pass
        assert (bench.record.outcome, bench.ledger.settled) == ("error", [101])

    run(scenario())


def test_a_whole_completion_is_accounted_for() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(WHOLE)
        events = [event async for event in account.run(reply(Reply({})), WHOLE)]
        assert events == [Accepted(), Reply({}), End(USAGE)]
        assert (bench.record.outcome, bench.ledger.settled) == ("ok", [10])
        assert bench.record.first_byte_ms is not None
        other = bench.account()
        await other.admit(WHOLE)
        async for _ in other.run(reply(failure=UpstreamTimeout("late")), WHOLE):
            pass
        late = bench.record
        assert (late.outcome, late.first_byte_ms) == ("timeout", None)

    run(scenario())


@pytest.mark.parametrize("cancels", [1, 2, 5])
def test_no_cancellation_cuts_the_close_short(cancels: int) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.usage.delay_s = 0.02
        account = bench.account()
        await account.admit(REQUEST)
        blocked = asyncio.Event()

        async def read() -> None:
            async with aclosing(account.run(reply(RUN), REQUEST)) as events:
                async for event in events:
                    if event == RUN:
                        blocked.set()
                        await asyncio.Event().wait()

        task = asyncio.create_task(read())
        await blocked.wait()
        for _ in range(cancels):
            task.cancel()
            await asyncio.sleep(0.001)
        await asyncio.wait({task})
        await asyncio.sleep(0.1)
        assert (bench.usage.outcomes, bench.ledger.settled) == (["cut"], [101])
        assert bench.record.completion_tokens == 1

    run(scenario())


@pytest.mark.parametrize(
    ("failure", "whole", "streamed"),
    [
        (ModelWarming("tiny", retry_after_s=5), "refused", "timeout"),
        (EngineUnreachable("no engine"), "error", "error"),
    ],
    ids=["starting", "unreachable"],
)
def test_a_request_that_reached_no_engine_costs_nothing(failure: ApiError, whole: str, streamed: str) -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(WHOLE)
        async for _ in account.run(EventsEngine(Failure(failure)), WHOLE):
            pass
        other = bench.account()
        await other.admit(REQUEST)
        async for _ in other.run(reply(failure=failure), REQUEST):
            pass
        assert bench.ledger.settled == [0, 0], "the whole reservation is released"
        assert (bench.record.prompt_tokens, bench.record.completion_tokens) == (0, 0)
        assert [each for each in bench.usage.outcomes if each != "cut"] == [whole, streamed]

    run(scenario())


def test_a_refused_request_leaves_one_record_and_its_allowance() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.refuse(InvalidRequest("wrong"))
        await account.refuse(InvalidRequest("wrong"))
        assert (bench.usage.outcomes, account.allowance) == (["refused"], ALLOWANCE)
        assert (bench.record.prompt_tokens, bench.record.completion_tokens) == (0, 0)
        assert bench.record.code == "invalid_request_error", "the type of an error that has no code"

    run(scenario())


@pytest.mark.parametrize(
    ("kind", "type_", "code", "retries"),
    [
        ("requests", "requests", "rate_limit_exceeded", True),
        ("tokens", "tokens", "rate_limit_exceeded", True),
        ("too_large", "tokens", "rate_limit_exceeded", False),
        ("budget", "insufficient_quota", "insufficient_quota", False),
    ],
)
def test_a_reached_limit_is_reported_as_sdks_expect_it(
    kind: Any, type_: str, code: str, retries: bool
) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.ledger.failure = LimitReached(kind, ALLOWANCE)
        account = bench.account()
        with pytest.raises((RateLimited, QuotaExhausted)) as raised:
            await account.admit(REQUEST)
        error = raised.value
        assert (error.status, error.type, error.code) == (429, type_, code)
        assert account.allowance == ALLOWANCE
        if retries:
            assert error.headers == {"retry-after": "18", "retry-after-ms": "17500"}
        else:
            assert error.headers == {"x-should-retry": "false"}

    run(scenario())


def test_a_key_without_limits_needs_no_ledger() -> None:
    bench = Bench()
    run(streamed(bench, RUN, key=FREE))
    assert (bench.ledger.reserved, bench.ledger.settled, bench.record.outcome) == ([], [], "ok")


def test_a_request_without_a_key_is_only_measured() -> None:
    bench = Bench()
    run(streamed(bench, RUN, key=None))
    assert (bench.usage.records, len(bench.lines)) == ({}, 1)
    assert json.loads(bench.lines[0])["_aws"]["CloudWatchMetrics"]


def test_an_unavailable_ledger_is_not_called_for_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench()
    bench.ledger.failure = KeysUnavailable()
    passed = run(streamed(bench, RUN))
    assert passed[-1] == End(USAGE)
    bench.ledger.failure = AssertionError("called too soon")
    run(streamed(bench, RUN))
    bench.clock[0] += LEDGER_PAUSE_S
    bench.ledger.failure = None
    run(streamed(bench, RUN))
    assert bench.ledger.settled == [10]
    assert capsys.readouterr().out == ""


def test_usage_that_cannot_be_stored_is_logged_once(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench()
    bench.usage.failure = KeysUnavailable()
    run(streamed(bench, RUN, RUN))
    lines = [json.loads(line)["usage"] for line in capsys.readouterr().out.splitlines()]
    assert [line["outcome"] for line in lines] == ["cut", "ok"], "replaying both keeps the last"
    assert {line["request_id"] for line in lines} == {"req"}


def test_a_slow_table_delays_the_caller_only_for_a_moment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(metering, "CLOSE_S", 0.02)
    bench = Bench()
    bench.usage.delay_s = 5
    assert run(streamed(bench, RUN))[-1] == End(USAGE)
    assert json.loads(capsys.readouterr().out)["usage"]["outcome"] == "ok"


def test_an_idle_meter_passes_all_events() -> None:
    async def scenario() -> None:
        account = Meter().account(None, "req", None)
        await account.admit(REQUEST)
        events = [event async for event in account.run(reply(RUN), REQUEST)]
        assert events == [Accepted(), RUN, End(USAGE)]

    run(scenario())


# the engine's count


def counted(usage: Any, on: str = "end") -> UsageRecord:
    last: dict[str, tuple[Event, ...]] = {
        "end": (End(usage),),
        "failure": (Failure(UpstreamError("broken"), usage),),
        "chunk": (Chunks(b"", 1, [], usage), End()),
    }

    async def scenario() -> UsageRecord:
        bench = Bench()
        account = bench.account()
        await account.admit(REQUEST)
        async for _ in account.run(EventsEngine(Accepted(), RUN, *last[on]), REQUEST):
            pass
        return bench.record

    record: UsageRecord = run(scenario())
    return record


@pytest.mark.parametrize("on", ["end", "failure", "chunk"])
def test_the_engines_count_is_used(on: str) -> None:
    record = counted(USAGE, on)
    assert (record.prompt_tokens, record.completion_tokens, record.cached_tokens) == (7, 3, 2)


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        "7",
        {},
        {"prompt_tokens": None},
        {"prompt_tokens": -1},
        {"prompt_tokens": True},
        {"prompt_tokens": 1.5},
    ],
    ids=str,
)
def test_a_wrong_count_changes_nothing(usage: Any) -> None:
    record = counted(usage)
    assert (record.prompt_tokens, record.completion_tokens, record.cached_tokens) == (100, 1, 0)


@pytest.mark.parametrize("details", [None, [], {}, {"cached_tokens": None}, {"cached_tokens": "2"}], ids=str)
def test_details_may_be_missing(details: Any) -> None:
    record = counted({"prompt_tokens": 7, "completion_tokens": None, "prompt_tokens_details": details})
    assert (record.prompt_tokens, record.completion_tokens, record.cached_tokens) == (7, 0, 0)
