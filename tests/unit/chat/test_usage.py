"""What a request reserves, settles and leaves behind, whatever becomes of it."""

import asyncio
import json
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest

from functions.chat import usage as metering
from functions.chat.completions import Call
from functions.chat.errors import (
    ApiError,
    EngineAsleep,
    ModelWarming,
    QuotaExhausted,
    RateLimited,
    UpstreamError,
    UpstreamTimeout,
)
from functions.chat.settings import Model
from functions.chat.streams.sse import DONE, error_event
from functions.chat.usage import Account, Meter
from functions.shared.keys import Key, KeysUnavailable
from functions.shared.limiter import LEDGER_PAUSE_S
from functions.shared.limits import Allowance, LimitReached, Reservation
from functions.shared.metrics import Metrics
from functions.shared.usage import UsageRecord

MODEL = Model(id="tiny", base_url="", served_name="", key=None, max_tokens_default=100, max_tokens_limit=100)
CALL = Call(model=MODEL, body=b"x" * 399, request_id="r", n=1, max_completion=50, include_usage=False)
LIMITED = Key(
    id="key_1", digest="d", name="alice", requests_per_minute=60, tokens_per_minute=1000, created_at=0
)
FREE = Key(id="key_2", digest="e", name="bob", created_at=0)
ALLOWANCE = Allowance(
    limit_requests=60, remaining_requests=59, limit_tokens=1000, remaining_tokens=850, resets_in_s=17.5
)
EVENT = b'data: {"id":"c","choices":[{"index":0,"delta":{"content":"word"},"finish_reason":null}]}\n\n'
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}


class FakeLedger:
    """Notes what it is asked; refuses or fails when told to."""

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


async def events(
    account: Account, *runs: bytes, failure: ApiError | None = None
) -> AsyncGenerator[bytes, None]:
    """Yield runs as a completion does; a failure after the first is its last event."""
    for run in runs:
        if run.endswith(DONE) and not failure:
            account.tally.take(USAGE)
        yield run
    if failure:
        account.tally.failure = failure
        yield error_event(failure)


def run(scenario: Any) -> Any:
    return asyncio.run(scenario)


async def streamed(
    bench: Bench, *runs: bytes, key: Key | None = LIMITED, failure: ApiError | None = None
) -> list[bytes]:
    account = bench.account(key)
    await account.admit(CALL)
    return [run async for run in account.stream(events(account, *runs, failure=failure))]


def test_a_stream_reserves_first_and_settles_before_its_end() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(CALL)
        assert (bench.ledger.reserved, account.allowance) == ([100 + 50], ALLOWANCE)
        passed = []
        async for each in account.stream(events(account, b"", EVENT, EVENT + DONE)):
            if each == DONE:
                assert (bench.ledger.settled, bench.record.outcome) == ([10], "ok")
            passed.append(each)
        assert passed == [b"", EVENT, EVENT, DONE]
        assert bench.usage.outcomes == ["cut", "ok"], "opened while the engine works, then replaced"
        record = bench.record
        assert (record.key_id, record.model, record.request_id) == ("key_1", "tiny", "req")
        assert (record.prompt_tokens, record.completion_tokens, record.cached_tokens) == (7, 3, 2)
        assert record.first_byte_ms is not None
        assert record.started_at == 1_000_000

    run(scenario())


def test_a_request_whose_environment_dies_counts_as_what_it_reserved() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(CALL)
        stream = account.stream(events(account, b"", EVENT, EVENT, DONE))
        for _ in range(3):
            await anext(stream)
        await asyncio.sleep(0.01)
        assert (bench.record.outcome, bench.record.prompt_tokens, bench.record.completion_tokens) == (
            "cut",
            100,
            50,
        )

    run(scenario())


def test_a_caller_who_leaves_pays_for_the_events_that_passed() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(CALL)
        stream = account.stream(events(account, b"", EVENT * 3, EVENT, EVENT + DONE))
        for _ in range(3):
            await anext(stream)
        await stream.aclose()
        assert (bench.record.outcome, bench.record.completion_tokens, bench.ledger.settled) == (
            "cut",
            4,
            [104],
        )

    run(scenario())


@pytest.mark.parametrize(("left_ms", "outcome"), [(60_000, "cut"), (1_400, "timeout")])
def test_a_cut_at_the_deadline_is_a_timeout(left_ms: int, outcome: str) -> None:
    async def scenario() -> None:
        bench = Bench(lambda: left_ms)
        account = bench.account()
        await account.admit(CALL)
        stream = account.stream(events(account, b"", EVENT, DONE))
        await anext(stream)
        await stream.aclose()
        assert bench.record.outcome == outcome

    run(scenario())


@pytest.mark.parametrize(
    ("failure", "outcome"), [(UpstreamError("broken"), "error"), (UpstreamTimeout("late"), "timeout")]
)
def test_a_failure_within_the_stream_has_its_outcome(failure: ApiError, outcome: str) -> None:
    bench = Bench()
    passed = run(streamed(bench, b"", EVENT, failure=failure))
    assert passed[-1] == DONE
    assert b'"error"' in passed[-2]
    assert (bench.record.outcome, bench.record.completion_tokens) == (outcome, 1)


def test_a_failure_before_the_stream_has_its_outcome() -> None:
    async def failing() -> AsyncGenerator[bytes, None]:
        raise UpstreamError("down")
        yield b""

    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(CALL)
        with pytest.raises(UpstreamError):
            await anext(account.stream(failing()))
        assert (bench.record.outcome, bench.ledger.settled) == ("error", [100])

    run(scenario())


def test_a_whole_completion_is_accounted_for() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(CALL)
        async with account:
            account.tally.take(USAGE)
        assert (bench.record.outcome, bench.ledger.settled) == ("ok", [10])
        other = bench.account()
        await other.admit(CALL)
        with pytest.raises(UpstreamTimeout):
            async with other:
                raise UpstreamTimeout("late")
        assert bench.record.outcome == "timeout"

    run(scenario())


@pytest.mark.parametrize(
    ("failure", "whole", "streamed"),
    [
        (ModelWarming("tiny", retry_after_s=5), "refused", "timeout"),
        (EngineAsleep("nobody there"), "error", "error"),
    ],
    ids=["starting", "out of reach"],
)
def test_what_no_engine_was_asked_for_costs_nothing(failure: ApiError, whole: str, streamed: str) -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(CALL)
        with pytest.raises(type(failure)):
            async with account:
                raise failure
        other = bench.account()
        await other.admit(CALL)
        async for _ in other.stream(events(other, b"", failure=failure)):
            pass
        assert bench.ledger.settled == [0, 0], "all that was reserved is given back"
        assert (bench.record.prompt_tokens, bench.record.completion_tokens) == (0, 0)
        assert [each for each in bench.usage.outcomes if each != "cut"] == [whole, streamed]

    run(scenario())


def test_a_refused_request_leaves_one_record_and_its_allowance() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.refused()
        await account.close("ok")
        assert (bench.usage.outcomes, account.allowance) == (["refused"], ALLOWANCE)
        assert (bench.record.prompt_tokens, bench.record.completion_tokens) == (0, 0)

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
def test_a_limit_that_is_reached_is_told_as_sdks_know_it(
    kind: Any, type_: str, code: str, retries: bool
) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.ledger.failure = LimitReached(kind, ALLOWANCE)
        account = bench.account()
        with pytest.raises((RateLimited, QuotaExhausted)) as raised:
            await account.admit(CALL)
        error = raised.value
        assert (error.status, error.type, error.code) == (429, type_, code)
        assert account.allowance == ALLOWANCE
        if retries:
            assert error.headers == {"retry-after": "18", "retry-after-ms": "17500"}
        else:
            assert error.headers == {"x-should-retry": "false"}

    run(scenario())


def test_a_key_without_limits_asks_no_ledger() -> None:
    bench = Bench()
    run(streamed(bench, b"", EVENT + DONE, key=FREE))
    assert (bench.ledger.reserved, bench.ledger.settled, bench.record.outcome) == ([], [], "ok")


def test_a_request_without_a_key_is_only_measured() -> None:
    bench = Bench()
    run(streamed(bench, b"", EVENT + DONE, key=None))
    assert (bench.usage.records, len(bench.lines)) == ({}, 1)
    assert json.loads(bench.lines[0])["_aws"]["CloudWatchMetrics"]


def test_a_ledger_out_of_reach_is_left_alone_for_a_while(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench()
    bench.ledger.failure = KeysUnavailable()
    passed = run(streamed(bench, b"", EVENT + DONE))
    assert passed[-1] == DONE
    bench.ledger.failure = AssertionError("asked too soon")
    run(streamed(bench, b"", EVENT + DONE))
    bench.clock[0] += LEDGER_PAUSE_S
    bench.ledger.failure = None
    run(streamed(bench, b"", EVENT + DONE))
    assert bench.ledger.settled == [10]
    assert capsys.readouterr().out == ""


def test_usage_that_cannot_be_kept_goes_to_the_log_once(capsys: pytest.CaptureFixture[str]) -> None:
    bench = Bench()
    bench.usage.failure = KeysUnavailable()
    run(streamed(bench, b"", EVENT, EVENT + DONE))
    lines = [json.loads(line)["usage"] for line in capsys.readouterr().out.splitlines()]
    assert [line["outcome"] for line in lines] == ["cut", "ok"], "replaying both keeps the last"
    assert {line["request_id"] for line in lines} == {"req"}


def test_a_slow_table_costs_the_caller_no_more_than_a_moment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(metering, "CLOSE_S", 0.02)
    bench = Bench()
    bench.usage.delay_s = 5
    assert run(streamed(bench, b"", EVENT + DONE))[-1] == DONE
    assert json.loads(capsys.readouterr().out)["usage"]["outcome"] == "ok"


def test_without_parts_nothing_is_between_engine_and_caller() -> None:
    async def scenario() -> None:
        account = Meter().account(None, "req", None)
        await account.admit(CALL)
        source = events(account, b"", DONE)
        assert account.stream(source) is source

    run(scenario())
