"""What a request reserves and settles, and the record that it leaves, however it ends."""

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.chat import usage as metering
from functions.chat.engines.engine import Accepted, Chunks, End, Event, Failure, Hedged, Reply, Run
from functions.chat.errors import (
    ApiError,
    EngineUnreachable,
    InvalidRequest,
    ModelWarming,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    UpstreamError,
    UpstreamTimeout,
)
from functions.chat.prices import Prices
from functions.chat.usage import Account, Meter
from functions.shared.keys import Key, KeyClosed, KeysRefused, KeysUnavailable, KeyThrottled
from functions.shared.limit_headers import limit_headers
from functions.shared.limiter import LEDGER_PAUSE_S
from functions.shared.limits import Allowance, LimitReached, Reservation, Running, died
from functions.shared.metrics import Metrics
from functions.shared.traces import Traces
from functions.shared.usage import UsageRecord
from tests.unit.chat.fakes import EventsEngine, engine_request, model

REQUEST = engine_request(prompt_tokens=100, prompt_tokens_most=400, max_completion=50)
WHOLE = replace(REQUEST, stream=False)
LIMITED = Key(
    id="key_1", digest="d", name="alice", requests_per_minute=60, tokens_per_minute=1000, created_at=0
)
FREE = Key(id="key_2", digest="e", name="bob", created_at=0)
ALLOWANCE = Allowance(
    limit_requests=60,
    remaining_requests=59,
    requests_reset_in_s=17.5,
    limit_tokens=1000,
    remaining_tokens=850,
    tokens_reset_in_s=17.5,
)
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
RUN = Run(b"data: {}\n\n", 1)
USAGE = {"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}}


class FakeLedger:
    """Keeps what is reserved and settled; raises `failure` if that is set, and takes `delay_s`."""

    def __init__(self) -> None:
        self.failure: Exception | None = None
        self.delay_s = 0.0
        self.reserved: list[Running | None] = []
        self.settled: list[tuple[int | None, int]] = []
        self.records: list[UsageRecord] = []

    async def _respond(self) -> None:
        await asyncio.sleep(self.delay_s)
        if self.failure:
            raise self.failure

    async def reserve(self, key: Key, request: Running | None, now: float) -> Reservation:  # noqa: ARG002
        await self._respond()
        self.reserved.append(request)
        return Reservation(allowance=ALLOWANCE, running=request)

    async def settle(
        self,
        record: UsageRecord,
        running: Running | None = None,
        period: str = "",  # noqa: ARG002
    ) -> None:
        await self._respond()
        self.settled.append((running.most if running else None, record.tokens))
        self.records.append(record)

    async def peek(self, key: Key, now: float) -> Allowance:  # noqa: ARG002
        await self._respond()
        return ALLOWANCE

    async def touch(self, key_id: str, now: float) -> None:
        raise AssertionError(f"expected no such update, but got {key_id}, {now}")


class Bench:
    """A meter on fakes."""

    def __init__(self, remaining_ms: Callable[[], int] | None = None) -> None:
        self.ledger, self.lines, self.spans = FakeLedger(), list[str](), list[bytes]()
        self.clock = [1000.0]
        self.meter = Meter(
            ledger=self.ledger,
            metrics=Metrics("Api", self.lines.append),
            traces=Traces({}, lambda: TRACE, self.spans.append),
            now=lambda: self.clock[0],
            steady=lambda: self.clock[0],
        )
        self._remaining_ms = remaining_ms

    def account(self, key: Key | None = LIMITED) -> Account:
        return self.meter.account(key, "req", self._remaining_ms)

    @property
    def record(self) -> UsageRecord:
        (record,) = self.ledger.records
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
        (running,) = bench.ledger.reserved
        assert running == Running(
            request_id="req",
            model="tiny",
            tokens=400 + 50,
            most=400 + 50,
            prompt=400,
            started_at=1_000_000,
            expires_at=1000 + 900 + 60,
        )
        assert account.allowance == ALLOWANCE
        passed = []
        async for each in account.run(reply(RUN, RUN), REQUEST):
            if isinstance(each, End):
                assert (bench.ledger.settled, bench.record.outcome) == ([(450, 10)], "ok")
            passed.append(each)
        assert passed == [Accepted(), RUN, RUN, End(USAGE)]
        record = bench.record
        assert (record.key_id, record.model, record.request_id) == ("key_1", "tiny", "req")
        assert (record.prompt_tokens, record.completion_tokens, record.cached_tokens) == (7, 3, 2)
        assert record.first_byte_ms is not None
        assert record.started_at == 1_000_000

    run(scenario())


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        ({"tokens_per_minute": 10_000}, 450),
        ({"budget_tokens": 10_000}, 450),
        ({"requests_per_minute": 60}, 150),
        ({"concurrent": 2}, 150),
    ],
    ids=str,
)
def test_what_tokens_are_limited_by_is_reserved_at_its_most(limits: dict[str, Any], most: int) -> None:
    async def scenario() -> None:
        bench = Bench(lambda: 30_000)
        await bench.account(replace(FREE, **limits)).admit(REQUEST)
        (running,) = bench.ledger.reserved
        assert running
        assert (running.tokens, running.most, running.prompt) == (most, most, most - 50)
        assert running.expires_at == 1000 + 30 + 60, "after the deadline"

    run(scenario())


@pytest.mark.parametrize("stream", [True, False])
def test_a_request_whose_environment_is_killed_leaves_its_reservation(stream: bool) -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(REQUEST)
        events = account.run(reply(RUN, RUN), replace(REQUEST, stream=stream))
        for _ in range(3):
            await anext(events)
        assert (len(bench.ledger.reserved), bench.ledger.records) == (1, [])

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
        assert (bench.record.outcome, bench.record.completion_tokens) == ("cut", 4)
        assert bench.ledger.settled == [(450, 104)]

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


RAN = UpstreamError("broken", retry=False), UpstreamTimeout("late", retry=False)
NOT_RUN = (
    InvalidRequest("too long", code="context_length_exceeded"),
    RateLimited("busy"),
    Overloaded("busy"),
    EngineUnreachable("no engine"),
    ModelWarming("tiny", retry_after_s=5),
    UpstreamError("refused"),
    UpstreamTimeout("not connected"),
)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(
    ("failure", "tokens"), [*((each, 100) for each in RAN), *((each, 0) for each in NOT_RUN)], ids=repr
)
def test_what_the_engine_has_refused_costs_nothing(failure: ApiError, tokens: int, stream: bool) -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(REQUEST)
        assert await anext(account.run(EventsEngine(Failure(failure)), replace(REQUEST, stream=stream)))
        outcome = "timeout" if isinstance(failure, UpstreamTimeout) else "error"
        assert (bench.record.outcome, bench.record.code) == (outcome, failure.code)
        assert bench.ledger.settled == [(450, tokens)]

    run(scenario())


@pytest.mark.parametrize(
    ("failure", "tokens"),
    [
        (InvalidRequest("too long"), 0),
        (ModelWarming("tiny", retry_after_s=5), 0),
        (EngineUnreachable("no engine"), 0),
        (UpstreamError("broken"), 100),
        (UpstreamTimeout("silent"), 100),
    ],
    ids=repr,
)
def test_a_request_that_was_accepted_and_then_refused_costs_nothing(failure: ApiError, tokens: int) -> None:
    """As when an engine is started first, or sends its refusal as an event."""
    bench = Bench()
    run(streamed(bench, failure=failure))
    assert bench.ledger.settled == [(450, tokens)]


def test_a_bug_of_the_engine_is_an_error() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(REQUEST)
        with pytest.raises(ZeroDivisionError):
            async for _ in account.run(EventsEngine(Accepted(), RUN, ZeroDivisionError()), REQUEST):
                pass
        assert (bench.record.outcome, bench.ledger.settled) == ("error", [(450, 101)])

    run(scenario())


def test_a_whole_completion_is_accounted_for() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(WHOLE)
        events = [event async for event in account.run(reply(Reply({})), WHOLE)]
        assert events == [Accepted(), Reply({}), End(USAGE)]
        assert (bench.record.outcome, bench.ledger.settled) == ("ok", [(450, 10)])
        assert bench.record.first_byte_ms is not None
        other = bench.account()
        await other.admit(WHOLE)
        async for _ in other.run(reply(failure=UpstreamTimeout("late")), WHOLE):
            pass
        _, late = bench.ledger.records
        assert (late.outcome, late.first_byte_ms) == ("timeout", None)

    run(scenario())


@pytest.mark.parametrize("cancels", [1, 2, 5])
def test_no_cancellation_cuts_the_close_short(cancels: int) -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(REQUEST)
        bench.ledger.delay_s = 0.02
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
        assert (bench.record.outcome, bench.ledger.settled) == ("cut", [(450, 101)])

    run(scenario())


def test_a_refused_request_is_counted_once_as_a_request() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.refuse(InvalidRequest("wrong"))
        await account.refuse(InvalidRequest("wrong"))
        assert (bench.ledger.reserved, account.allowance) == ([None], ALLOWANCE)
        assert (bench.record.outcome, bench.record.tokens) == ("refused", 0)
        assert bench.record.code == "invalid_request_error", "the type of an error that has no code"
        assert [json.loads(line)["outcome"] for line in bench.lines] == ["refused"]

    run(scenario())


@pytest.mark.parametrize(
    "failure",
    [KeysUnavailable(), KeyThrottled(), KeysRefused(), LimitReached("requests", ALLOWANCE)],
    ids=repr,
)
def test_a_refusal_is_the_same_whatever_the_table_does(
    failure: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = Bench()
    bench.ledger.failure = failure
    run(bench.account().refuse(InvalidRequest("wrong")))
    assert (bench.ledger.records, capsys.readouterr().out) == ([], "")


@pytest.mark.parametrize("failure", [None, KeysUnavailable(), KeyThrottled(), KeysRefused()], ids=repr)
def test_a_refusal_of_a_key_without_a_limit_of_requests_uses_nothing(failure: Exception | None) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.ledger.failure = failure
        account = bench.account(replace(LIMITED, requests_per_minute=None))
        await account.refuse(InvalidRequest("wrong"))
        assert (bench.ledger.reserved, account.allowance) == ([], None if failure else ALLOWANCE)

    run(scenario())


@pytest.mark.parametrize(
    ("kind", "type_", "code", "retries"),
    [
        ("requests", "requests", "rate_limit_exceeded", True),
        ("tokens", "tokens", "rate_limit_exceeded", True),
        ("concurrent", "requests", "rate_limit_exceeded", True),
        ("too_large", "tokens", "rate_limit_exceeded", False),
        ("budget", "insufficient_quota", "insufficient_quota", False),
    ],
)
def test_a_reached_limit_is_reported_as_sdks_expect_it(
    kind: Any, type_: str, code: str, retries: bool
) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.ledger.failure = LimitReached(kind, ALLOWANCE, 1 if kind == "concurrent" else 17.5)
        account = bench.account(replace(LIMITED, budget_tokens=1000, concurrent=2))
        with pytest.raises((RateLimited, QuotaExhausted)) as raised:
            await account.admit(REQUEST)
        error = raised.value
        assert (error.status, error.type, error.code) == (429, type_, code)
        assert account.allowance == ALLOWANCE
        if retries:
            assert error.headers["retry-after"] == ("1" if kind == "concurrent" else "18")
        else:
            assert error.headers == {"x-should-retry": "false"}

    run(scenario())


def test_a_key_without_limits_does_not_wait_for_the_ledger() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account(FREE)
        await account.admit(REQUEST)
        events = account.run(reply(RUN, RUN), REQUEST)
        assert (await anext(events), await anext(events)) == (Accepted(), RUN)
        await asyncio.sleep(0.01)
        assert bench.ledger.reserved == [], "it would delay the first byte"
        await anext(events)
        await asyncio.sleep(0.01)
        assert (len(bench.ledger.reserved), bench.ledger.settled) == (1, []), "if it is killed from now on"
        async for _ in events:
            pass
        assert bench.ledger.settled == [(150, 10)]

        whole = bench.account(FREE)
        await whole.admit(WHOLE)
        events = whole.run(reply(Reply({})), WHOLE)
        await anext(events)
        await asyncio.sleep(0.01)
        assert len(bench.ledger.reserved) == 2
        await events.aclose()

    run(scenario())


def test_a_request_without_a_key_is_only_measured() -> None:
    bench = Bench()
    run(streamed(bench, RUN, key=None))
    assert (bench.ledger.reserved, bench.ledger.records, len(bench.lines)) == ([], [], 1)
    assert json.loads(bench.lines[0])["_aws"]["CloudWatchMetrics"]


def test_an_unreachable_ledger_is_not_called_for_a_while_for_that_key(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench = Bench()
    bench.ledger.failure = KeysUnavailable()
    assert run(streamed(bench, RUN))[-1] == End(USAGE)
    bench.ledger.failure = AssertionError("called too soon")
    run(streamed(bench, RUN))
    lines = [json.loads(line)["usage"] for line in capsys.readouterr().out.splitlines()]
    assert [(line["outcome"], line["prompt_tokens"]) for line in lines] == [("ok", 7)] * 2
    bench.ledger.failure = None
    run(streamed(bench, RUN, key=replace(LIMITED, id="key_9")))
    assert bench.record.key_id == "key_9"
    bench.clock[0] += LEDGER_PAUSE_S
    run(streamed(bench, RUN))
    assert bench.ledger.settled == [(450, 10)] * 2


def test_the_pause_ends_though_the_clock_is_set_back() -> None:
    bench, steady = Bench(), [0.0]
    bench.meter = Meter(ledger=bench.ledger, now=lambda: bench.clock[0], steady=lambda: steady[0])
    bench.ledger.failure = KeysUnavailable()
    run(streamed(bench, RUN))
    bench.ledger.failure = None
    bench.clock[0] -= 3600
    steady[0] += LEDGER_PAUSE_S
    run(streamed(bench, RUN))
    assert bench.ledger.settled == [(450, 10)]


def test_a_throttled_key_is_refused_and_no_other() -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.ledger.failure = KeyThrottled("ThrottlingException")
        account = bench.account()
        with pytest.raises(RateLimited, match="more requests at once than can be counted") as refused:
            await account.admit(REQUEST)
        assert refused.value.headers["retry-after"] == "1"
        assert not limit_headers(account.allowance or ALLOWANCE)
        bench.ledger.failure = None
        await bench.account().admit(REQUEST)
        assert len(bench.ledger.reserved) == 1, "at once"

    run(scenario())


def test_a_table_that_refuses_the_call_opens_no_limits() -> None:
    bench = Bench()
    bench.ledger.failure = KeysRefused("AccessDeniedException")
    with pytest.raises(KeysUnavailable):
        run(bench.account().admit(REQUEST))


@pytest.mark.parametrize(
    ("limits", "error"),
    [({"tokens_per_minute": 449}, RateLimited), ({"budget_tokens": 449}, QuotaExhausted)],
    ids=str,
)
def test_what_can_never_fit_is_refused_though_the_table_is_unreachable(
    limits: dict[str, int], error: type[ApiError]
) -> None:
    bench = Bench()
    bench.ledger.failure = KeysUnavailable()
    for _ in range(2):
        with pytest.raises(error):
            run(bench.account(replace(LIMITED, **limits)).admit(REQUEST))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "failure", [KeysUnavailable(), KeyThrottled(), KeysRefused(), ZeroDivisionError()], ids=repr
)
def test_usage_that_cannot_be_stored_is_logged_once(
    failure: Exception, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(REQUEST)
        bench.ledger.failure = failure
        async for _ in account.run(reply(RUN, RUN), REQUEST):
            pass
        assert len(bench.lines) == 1

    run(scenario())
    (line,) = (json.loads(line)["usage"] for line in capsys.readouterr().out.splitlines())
    assert (line["outcome"], line["request_id"]) == ("ok", "req")


def test_a_slow_table_delays_the_caller_only_for_a_moment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(REQUEST)
        bench.ledger.delay_s = 0.1
        events = [event async for event in account.run(reply(RUN), REQUEST)]
        assert (events[-1], bench.ledger.records) == (End(USAGE), [])
        assert json.loads(capsys.readouterr().out)["usage"]["outcome"] == "ok"
        await asyncio.sleep(0.12)
        assert bench.ledger.settled == [(450, 10)], "all the same"

    monkeypatch.setattr(metering, "CLOSE_S", 0.02)
    run(scenario())


@pytest.mark.parametrize("after_s", [0.0, 0.01, 0.03])
@pytest.mark.parametrize("key", [LIMITED, FREE], ids=["limited", "free"])
def test_a_caller_who_leaves_while_the_table_reserves_leaves_nothing_reserved(
    key: Key, after_s: float
) -> None:
    async def scenario() -> None:
        bench = Bench()
        bench.ledger.delay_s = 0.02
        account = bench.account(key)

        async def request() -> None:
            try:
                await account.admit(REQUEST)
                async with aclosing(account.run(reply(RUN), REQUEST)) as events:
                    async for event in events:
                        if event == RUN:
                            await asyncio.Event().wait()
            finally:
                await account.end()

        task = asyncio.create_task(request())
        await asyncio.sleep(after_s)
        task.cancel()
        await asyncio.wait({task})
        await asyncio.sleep(0.06)
        assert len(bench.ledger.reserved) <= len(bench.ledger.settled) <= 1
        assert {record.outcome for record in bench.ledger.records} <= {"cut"}

    run(scenario())


def test_an_account_that_never_ran_is_closed_at_the_end() -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(REQUEST)
        await account.end()
        await account.end()
        assert (bench.record.outcome, bench.ledger.settled) == ("cut", [(450, 0)])
        other = bench.account()
        await other.end()
        assert len(bench.ledger.records) == 1, "none that reserved nothing"

    run(scenario())


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
    ("usage", "charged"),
    [
        (None, (100, 1, 0)),
        ([], (100, 1, 0)),
        ("7", (100, 1, 0)),
        ({}, (100, 1, 0)),
        ({"prompt_tokens": None}, (100, 1, 0)),
        ({"prompt_tokens": -1}, (100, 1, 0)),
        ({"prompt_tokens": True}, (100, 1, 0)),
        ({"prompt_tokens": 1.5}, (100, 1, 0)),
        ({"prompt_tokens": 10**30, "completion_tokens": 10**30}, (100, 1, 0)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (100, 1, 0)),
        ({"prompt_tokens": 0, "completion_tokens": 5}, (100, 5, 0)),
        ({"completion_tokens": 5}, (100, 5, 0)),
        ({"prompt_tokens": 7, "completion_tokens": 0}, (7, 1, 0)),
        ({"prompt_tokens": 7, "completion_tokens": -5}, (7, 1, 0)),
        ({"prompt_tokens": 5000, "completion_tokens": 700}, (5000, 700, 0)),
        ({"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": 900}}, (7, 1, 7)),
        ({"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": -1}}, (7, 1, 0)),
        ({"prompt_tokens": 7, "prompt_tokens_details": {"cached_tokens": "2"}}, (7, 1, 0)),
        ({"prompt_tokens": 7, "prompt_tokens_details": []}, (7, 1, 0)),
    ],
    ids=str,
)
def test_what_is_no_count_is_left_out_and_nothing_seen_is_free(
    usage: Any, charged: tuple[int, int, int]
) -> None:
    record = counted(usage)
    assert (record.prompt_tokens, record.completion_tokens, record.cached_tokens) == charged


def choice(text: str) -> dict[str, Any]:
    return {"message": {"content": text}}


CALL = {"message": {"tool_calls": [{"function": {"name": "f", "arguments": '{"a": "' + 80 * "x" + '"}'}}]}}


@pytest.mark.parametrize(("usage", "charged"), [({"prompt_tokens": 7}, 7), (None, WHOLE.prompt_tokens)])
def test_embeddings_cost_their_prompt(usage: Any, charged: int) -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(WHOLE)
        reply = Reply({"object": "list", "data": [{"index": 0, "embedding": [0.5]}]})
        async for _ in account.run(EventsEngine(Accepted(), reply, End(usage)), WHOLE):
            pass
        assert (bench.record.prompt_tokens, bench.record.completion_tokens) == (charged, 0)

    run(scenario())


@pytest.mark.parametrize(
    ("choices", "completion", "charged"),
    [
        ([choice("a word " * 20)], 40, 40),
        ([choice("a word " * 20)], None, 26),
        ([choice("a word " * 20)], 0, 26),
        ([choice("")], 0, 0),
        ([choice("x")], 1, 1),
        ([choice(" " * 500)], 3, 3),
        ([choice("Congratulations")], 1, 1),
        ([choice("half a pair: \ud83d")], None, 3),
        ([CALL], None, 23),
        ([{"text": "a word " * 20}], None, 26),
        ([choice("one two three " * 8)] * 2, 48, 48),
        ([choice("Congratulations")] * 2, 2, 2),
        ([choice("one two three " * 8)] * 2, 24, 50),
        ([choice("one two three " * 8)] * 2, None, 50),
        ([{}, {"message": None}], None, 0),
    ],
    ids=str,
)
def test_a_whole_reply_costs_its_text_at_least(
    choices: list[dict[str, Any]], completion: int | None, charged: int
) -> None:
    """llama.cpp counts one of several choices: then the reservation stays."""

    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(WHOLE)
        usage = {"prompt_tokens": 7, "completion_tokens": completion}
        async for _ in account.run(EventsEngine(Accepted(), Reply({"choices": choices}), End(usage)), WHOLE):
            pass
        assert bench.record.completion_tokens == charged

    run(scenario())


@given(st.integers(0, 40), st.none() | st.integers(-5, 60), st.none() | st.integers(-5, 500))
def test_no_engine_makes_a_stream_cheaper_than_what_was_seen(
    seen: int, completion: int | None, prompt: int | None
) -> None:
    async def scenario() -> None:
        bench = Bench()
        account = bench.account()
        await account.admit(REQUEST)
        usage = {"prompt_tokens": prompt, "completion_tokens": completion}
        async for _ in account.run(EventsEngine(Accepted(), *[RUN] * seen, End(usage)), REQUEST):
            pass
        assert bench.record.completion_tokens >= max(seen, completion or 0)
        assert bench.record.prompt_tokens == (prompt if prompt and prompt > 0 else 100)

    run(scenario())


def test_a_prompt_that_is_larger_than_what_was_reserved_is_reported_once_for_its_model(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scenario() -> None:
        bench = Bench()
        for counted in (400, 401, 500):
            account = bench.account()
            await account.admit(REQUEST)
            usage = {"prompt_tokens": counted, "completion_tokens": 3}
            async for _ in account.run(EventsEngine(Accepted(), RUN, End(usage)), REQUEST):
                pass
        assert bench.ledger.settled == [(450, 403), (450, 404), (450, 503)]

    run(scenario())
    (line,) = caplog.messages
    assert line.startswith(
        "the engine of tiny counted 401 tokens of a prompt, and at most 400 were expected:"
    )


# what it costs

PRICED = model(prices=Prices.of({"input": 2, "cached": 1, "output": 10}, "tiny"))
DEAR = model("dear", prices=Prices.of({"input": 20, "output": 100}, "dear"))


def test_a_record_has_what_the_model_that_answered_costs() -> None:
    async def scenario(*events: Event) -> UsageRecord:
        bench = Bench()
        request = replace(REQUEST, model=PRICED, fallbacks=(replace(REQUEST, model=DEAR),))
        account = bench.account()
        await account.admit(request)
        (running,) = bench.ledger.reserved
        assert running
        assert running.cost == died("key_1", running).cost == 400 * 2000 + 50 * 10_000
        async for _ in account.run(EventsEngine(*events), request):
            pass
        assert json.loads(bench.record.to_json())["usage"]["cost"] == bench.record.cost
        return bench.record

    other = replace(REQUEST, model=DEAR)
    assert run(scenario(Accepted(), RUN, End(USAGE))).cost == 5 * 2000 + 2 * 1000 + 3 * 10_000
    assert run(scenario(Accepted(other), RUN, End(USAGE))).cost == 7 * 20_000 + 3 * 100_000
    assert run(scenario(Accepted(), RUN, Failure(UpstreamError("broken")))).cost == 100 * 2000 + 10_000
    assert run(scenario(Failure(Overloaded("busy")))).cost == 0


# keys that are closed in an outage


@pytest.mark.parametrize("limits", [{"budget_tokens": 10_000}, {}], ids=str)
def test_a_closed_key_is_refused_while_its_table_is_unreachable(limits: dict[str, Any]) -> None:
    async def scenario() -> None:
        bench = Bench()
        closed = replace(FREE, on_outage="closed", **limits)
        bench.ledger.failure = KeysUnavailable("ReadTimeoutError")
        for left_s in (10.0, 6.0):
            with pytest.raises(KeyClosed) as refused:
                await bench.account(closed).admit(REQUEST)
            assert refused.value.retry_after_s == left_s
            assert "cannot be reached right now, and the key is not accepted" in refused.value.for_callers
            bench.ledger.failure = AssertionError("called too soon")
            bench.clock[0] += 4
        bench.ledger.failure = None
        bench.clock[0] += 2
        await bench.account(closed).admit(REQUEST)
        assert len(bench.ledger.reserved) == 1, "before the engine is called"

    run(scenario())


# ── traces


@pytest.mark.parametrize(
    ("events", "failure", "parts"),
    [
        ((RUN, RUN), None, ["wait for the engine", "first token"]),
        ((Reply({"choices": []}),), None, ["wait for the engine", "first token"]),
        ((), Overloaded("full"), ["wait for the engine"]),
    ],
)
def test_a_trace_has_what_a_request_waited_for(
    events: tuple[Event, ...], failure: ApiError | None, parts: list[str]
) -> None:
    bench = Bench()
    run(streamed(bench, *events, failure=failure))
    (datagram,) = bench.spans
    span = json.loads(datagram.partition(b"\n")[2])
    assert (span["name"], [part["name"] for part in span["subsegments"]]) == ("engine", parts)
    assert span["annotations"] == {"model": "tiny", "outcome": "error" if failure else "ok"}
    times = [span["start_time"], *(part["end_time"] for part in span["subsegments"]), span["end_time"]]
    assert times == sorted(times)
    assert 1000 <= times[0] <= times[-1] < 1010


def test_a_request_that_is_refused_has_no_span() -> None:
    bench = Bench()
    run(bench.account().refuse(InvalidRequest("no")))
    assert bench.spans == []


# ── two runs of one request


async def hedged(bench: Bench, key: Key | None, *, second_won: bool) -> UsageRecord:
    prices = Prices(input=Decimal(1000), cached=Decimal(1000), output=Decimal(1000))
    first = replace(REQUEST, model=replace(model("a", hedge_after_s=2), prices=prices))
    costly = replace(model("b"), prices=replace(prices, input=Decimal(5000)))
    second = replace(REQUEST, model=costly, about_prompt=lambda: 90)
    request = replace(first, fallbacks=(second,))
    account = bench.account(key)
    await account.admit(request)
    winner = second if second_won else first
    events = EventsEngine(Hedged(first, second), Accepted(winner), RUN, End(USAGE))
    passed = [event async for event in account.run(events, request)]
    assert [type(event) for event in passed] == [Accepted, Run, End]
    return bench.record


@pytest.mark.parametrize("second_won", [True, False])
@pytest.mark.parametrize("key", [LIMITED, FREE])
def test_both_runs_are_charged_and_named(key: Key, *, second_won: bool) -> None:
    bench = Bench()
    record = run(hedged(bench, key, second_won=second_won))
    assert (record.model, record.hedge) == (("b", "a") if second_won else ("a", "b"))
    # The engine counted its own prompt as 7; the other one's is what was estimated.
    assert (record.prompt_tokens, record.completion_tokens) == (7 + (100 if second_won else 90), 3)
    # Two of the seven were in the engine's cache.
    thousandths = (5 * 5 + 2 + 3 + 100) if second_won else (7 + 3 + 90 * 5)
    assert record.cost == thousandths * 10**6
    assert UsageRecord.from_json(record.to_json()) == record


def test_two_prompts_are_reserved_where_there_may_be_two_runs() -> None:
    bench = Bench()
    run(hedged(bench, LIMITED, second_won=True))
    (running,) = bench.ledger.reserved
    assert running
    assert running.most == 2 * 400 + 50
