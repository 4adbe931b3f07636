"""What each request may use, and what it has used: one account a request.

    admit    what it may use is reserved before the engine gets the request: the prompt, at its most for keys
             with a budget or a limit of tokens a minute, and the whole completion that is allowed; once, for
             whichever engine answers
    run      the engine's events pass, and are counted
    close    before the last event leaves: metrics are written, the record is kept, the reservation settled

It is settled at the end, though an engine may count in each chunk, where a caller requests that: one more
write of the key's item for each stream would free the prompt's part only, for the reply may still grow.

Reserving and closing are tasks of their own: no cancellation cuts them short, and a close waits for what is
being reserved. A request whose environment is killed stays in the table as running, and expires there.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import replace
from operator import attrgetter
from typing import Any

from functions.shared.keys import Key, KeysUnavailable
from functions.shared.limit_headers import limit_headers
from functions.shared.limiter import Limiter
from functions.shared.limits import Allowance, Ledger, LimitReached, Reservation, Running, died
from functions.shared.logs import log_unexpected
from functions.shared.metrics import Metrics
from functions.shared.refusals import Need, helps_to_shorten_reply, text_of
from functions.shared.traces import Traces
from functions.shared.usage import NONE, Outcome, UsageRecord

from .engines.engine import Accepted, Chunks, End, Engine, EngineRequest, Event, Failure, Hedged, Reply, Run
from .errors import ApiError, EngineUnreachable, UpstreamError, UpstreamTimeout, limit_error
from .models import Model

logger = logging.getLogger("chat.metering")

# How long a caller's last event may wait for the close; the deadline leaves it that long.
CLOSE_S = 1.5
# With less time than this left, the deadline has cut the request, not its caller.
DEADLINE_MS = 2500
# How long a request may run where no deadline is known, and how long after its deadline it counts as dead.
LONGEST_MS, GRACE_S = 900_000, 60
# Larger counts of an engine are mistakes, not counts.
MOST_TOKENS = 10**9
# A token is about so many bytes of text, white space aside; and in a longer text no more than so many.
BYTES_PER_TOKEN, MOST_BYTES_PER_TOKEN = 4, 6
_SPACES = b" \t\n\r\v\f"
# How much longer than that a choice may be: one of a few words may be one of few, long tokens.
SHORT_BYTES = 10


class Meter:
    """Opens accounts. Each part may be missing: then it is not done."""

    def __init__(
        self,
        *,
        ledger: Ledger | None = None,
        metrics: Metrics | None = None,
        traces: Traces | None = None,
        now: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limiter = Limiter(ledger, now, steady)
        self.metrics, self.traces, self.now = metrics, traces, now
        self.idle = not (ledger or metrics or traces)
        self.exceeded: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()

    def account(self, key: Key | None, request_id: str, remaining_ms: Callable[[], int] | None) -> Account:
        """Begin to account for a request, whatever becomes of it."""
        return Account(self, key, request_id, remaining_ms)

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start work that goes on though its waiters are cancelled; its failure may go unread."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return task


class Account:
    """One request's account.

    Units:  tokens are the engine's own count once it has sent one, but never fewer than the events that the
            caller may have seen; until then the prompt's estimate, and these events.
    """

    def __init__(
        self, meter: Meter, key: Key | None, request_id: str, remaining_ms: Callable[[], int] | None
    ) -> None:
        self.allowance: Allowance | None = None
        self._meter, self._key, self._request_id, self._remaining_ms = meter, key, request_id, remaining_ms
        self._request: EngineRequest | None = None
        self._passed = self._accepted = False
        self._hedged: Hedged | None = None
        self._tokens_seen = 0
        self._whole: dict[str, Any] | None = None
        self._counted: dict[str, int] = {}
        self._failure: ApiError | None = None
        self._reserving: asyncio.Task[Reservation | None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._started_at = meter.now()
        self._began = time.perf_counter()
        self._sent = self._began
        self._accepted_ms: float | None = None
        self._first_byte_ms: float | None = None

    @property
    def answering(self) -> Model | None:
        """The model that has accepted the request."""
        return self._request.model if self._request and self._accepted else None

    @property
    def headers(self) -> dict[str, str]:
        """What the response says of it: what is left of the key's limits, and which model answers."""
        headers = limit_headers(self.allowance) if self.allowance else {}
        return {**headers, "x-model": self.answering.header_value} if self.answering else headers

    async def admit(self, request: EngineRequest) -> None:
        """Let a request pass if its key's limits allow it.

        Raises: RateLimited and its kinds, QuotaExhausted; KeysUnavailable.
        """
        self._request = request
        if self._key and (self._key.limited or self._key.on_outage == "closed"):
            try:
                reservation = await asyncio.shield(self._reserve(self._key, request))
            except LimitReached as reached:
                self.allowance = reached.allowance
                need = _need(self._key, request)
                text = text_of(reached, self._key, need)
                shorter = helps_to_shorten_reply(reached, self._key, need)
                raise limit_error(reached, text, needs_less=shorter) from None
            self.allowance = reservation.allowance if reservation else None
        self._sent = time.perf_counter()

    def _reserve(self, key: Key, request: EngineRequest) -> asyncio.Task[Reservation | None]:
        need = _need(key, request)
        remaining_ms = self._remaining_ms() if self._remaining_ms else LONGEST_MS
        running = Running(
            request_id=self._request_id,
            model=request.model.id,
            tokens=need.tokens,
            most=need.tokens,
            prompt=need.prompt,
            started_at=round(self._started_at * 1000),
            expires_at=round(self._meter.now() + remaining_ms / 1000) + GRACE_S,
        )
        running = replace(running, cost=_priced(died(key.id, running), request.model).cost)
        self._reserving = self._meter.start(self._meter.limiter.reserve(key, running))
        return self._reserving

    async def refuse(self, error: ApiError) -> None:
        """Account for a request that is not passed on: it counts as one, and leaves no record."""
        self._failure = error
        if self._key and not self.allowance:
            try:
                if self._key.requests_per_minute is None:
                    self.allowance = await self._meter.limiter.peek(self._key)
                elif reservation := await self._meter.limiter.reserve(self._key):
                    self.allowance = reservation.allowance
            except LimitReached as reached:
                self.allowance = reached.allowance
            except KeysUnavailable:
                pass
        await self._close("refused")

    async def run(self, engine: Engine, request: EngineRequest) -> AsyncGenerator[Event, None]:
        """Pass the events of an engine's reply on; the account is closed before the last one leaves."""
        outcome: Outcome = "cut"
        self._passed = True
        # Without limits, nothing has been reserved: it would delay the first byte of a stream.
        unreserved = None if self._reserving else self._key
        if unreserved and not request.stream:
            self._reserve(unreserved, request)
        try:
            async with engine.open(request) as events:
                async for event in events:
                    if isinstance(event, (Run, Chunks)):
                        self._tokens_seen += event.tokens
                        self._first_byte_ms = self._first_byte_ms or self._elapsed_ms()
                        if isinstance(event, Chunks):
                            self._take(event.usage)
                        yield event
                        if unreserved and not self._reserving:
                            self._reserve(unreserved, request)
                        continue
                    if isinstance(event, (End, Failure)):
                        outcome = self._ended(event)
                        await self._close(outcome)
                    else:
                        self._note(event, request)
                    if isinstance(event, Hedged):
                        continue
                    yield event
        except Exception:
            outcome = "error"
            raise
        finally:
            await self._close(outcome)

    async def end(self) -> None:
        """Close the account if nothing else has: its caller has left, or its key is refused in an outage."""
        if self._reserving and not self._closing:
            reserved = self._passed or not self._reserving.done() or self._reserving.cancelled()
            error = None if reserved else self._reserving.exception()
            await self._close("refused" if isinstance(error, KeysUnavailable) else "cut")

    def _note(self, event: Hedged | Accepted | Reply, request: EngineRequest) -> None:
        """Note which engine answers, and a whole reply."""
        if isinstance(event, Hedged):
            self._hedged = event
        elif isinstance(event, Accepted):
            self._request, self._accepted = event.request or request, True
            self._accepted_ms = self._elapsed_ms()
        else:
            self._first_byte_ms, self._whole = self._elapsed_ms(), event.value

    def _ended(self, event: End | Failure) -> Outcome:
        """Take the engine's last count, and its failure; return how the request has ended."""
        self._take(event.usage)
        if isinstance(event, End):
            return "ok"
        self._request, self._failure = event.request or self._request, event.error
        return "timeout" if isinstance(event.error, UpstreamTimeout) else "error"

    def _take(self, usage: Any) -> None:
        """Take the engine's own count; what is not one is left out, and no prompt has no tokens."""
        if not isinstance(usage, dict):
            return
        details = usage.get("prompt_tokens_details")
        found = {
            "prompt": usage.get("prompt_tokens") or None,
            "completion": usage.get("completion_tokens"),
            "cached": details.get("cached_tokens") if isinstance(details, dict) else None,
        }
        self._counted |= {
            name: value for name, value in found.items() if type(value) is int and 0 <= value <= MOST_TOKENS
        }

    async def _close(self, outcome: Outcome) -> None:
        """Report, keep and settle, once; it takes no longer than `CLOSE_S`, and raises nothing."""
        if self._meter.idle:
            return
        if not self._closing:
            if outcome == "cut" and self._remaining_ms and self._remaining_ms() < DEADLINE_MS:
                outcome = "timeout"
            record = self._record(outcome)
            if self._meter.metrics:
                engine_ms = (time.perf_counter() - self._sent) * 1000
                self._meter.metrics.write_request(record, engine_ms=engine_ms)
            if self._meter.traces and self._passed:
                self._trace(self._meter.traces, record)
            self._closing = self._meter.start(self._finish(record))
        await asyncio.shield(self._closing)

    def _trace(self, traces: Traces, record: UsageRecord) -> None:
        """Write for how long the engine took to accept the request, and then to begin its reply."""
        sent = self._started_at + self._sent - self._began
        accepted = self._at(self._accepted_ms)
        parts = [("wait for the engine", sent, accepted)]
        if self._first_byte_ms is not None:
            parts.append(("first token", accepted, self._at(self._first_byte_ms)))
        about = {"model": record.model, "outcome": record.outcome}
        traces.write(("engine", sent, self._at(None)), parts, about)

    def _at(self, ms: float | None) -> float:
        """Return the time of something that came so late, in s since 1970; None: now."""
        return self._started_at + (self._elapsed_ms() if ms is None else ms) / 1000

    async def _finish(self, record: UsageRecord) -> None:
        """Settle; what the table has not taken yet goes to the log, from where it can be replayed."""
        if not self._key or not self._meter.limiter.ledger:
            return
        settling = self._meter.start(self._settle(record))
        await asyncio.wait({settling}, timeout=CLOSE_S)
        settled = settling.done() and not settling.cancelled() and settling.result()
        if not settled and record.outcome != "refused":
            print(record.to_json(), flush=True)

    async def _settle(self, record: UsageRecord) -> bool:
        running = None
        if self._reserving:
            await asyncio.wait({self._reserving})
            if not self._reserving.cancelled() and not self._reserving.exception():
                reservation = self._reserving.result()
                running = reservation.running if reservation else None
        try:
            await self._meter.limiter.settle(record, running)
        except KeysUnavailable:
            return False
        except Exception as error:  # noqa: BLE001 - an account must not cost the caller the reply
            log_unexpected(logger, error)
            return False
        return True

    def _record(self, outcome: Outcome) -> UsageRecord:
        prompt, completion = self._tokens()
        record = UsageRecord(
            request_id=self._request_id,
            key_id=self._key.id if self._key else NONE,
            model=self._request.model.id if self._request else NONE,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cached_tokens=min(self._counted.get("cached", 0), prompt),
            duration_ms=round(self._elapsed_ms()),
            first_byte_ms=None if self._first_byte_ms is None else round(self._first_byte_ms),
            outcome=outcome,
            code=self._failure.code or self._failure.type if self._failure else None,
            started_at=round(self._started_at * 1000),
        )
        record = _priced(record, self._request.model if self._request else None)
        if not self._hedged:
            return record
        second_won = self._request is self._hedged.second
        stopped = self._hedged.first if second_won else self._hedged.second
        run = replace(record, prompt_tokens=stopped.prompt_tokens, completion_tokens=0, cached_tokens=0)
        return replace(
            record,
            hedge=stopped.model.id,
            prompt_tokens=prompt + stopped.prompt_tokens,
            cost=record.cost + _priced(replace(run, cost=0), stopped.model).cost,
        )

    def _tokens(self) -> tuple[int, int]:
        """Return the tokens that are charged, of the prompt and of the completion.

        A model whose prompts can be larger than what is reserved for them is reported, once.
        """
        request = self._request
        if not request or not self._passed:
            return 0, 0
        if not self._counted and not self._tokens_seen and self._whole is None and self._not_run():
            return 0, 0
        prompt = self._counted.get("prompt", about := request.prompt_tokens)
        is_new = prompt > about and request.model.id not in self._meter.exceeded
        if is_new and prompt > (most := request.prompt_tokens_most):
            self._meter.exceeded.add(request.model.id)
            logger.warning(
                "the engine of %s counted %d tokens of a prompt, and at most %d were expected: raise its "
                "template_tokens or media_tokens in MODELS, or budgets can be overspent",
                *(request.model.id, prompt, most),
            )
        completion = max(self._counted.get("completion", 0), self._tokens_seen)
        if self._whole is not None:
            choices = self._whole.get("choices") or ()
            text = sum(map(_text_bytes, choices))
            plausible = completion * MOST_BYTES_PER_TOKEN + len(choices) * SHORT_BYTES
            if len(choices) > 1 and plausible < text:  # that of one choice, as llama.cpp's
                completion = request.max_completion
            elif text and not completion:
                completion = text // BYTES_PER_TOKEN + 1
        return prompt, completion

    def _not_run(self) -> bool:
        """Return whether the engine has refused the request, or has never had it."""
        failure = self._failure
        if not isinstance(failure, UpstreamError | UpstreamTimeout):
            return failure is not None
        retry = failure.headers.get("x-should-retry") != "false"
        return isinstance(failure, EngineUnreachable) or (retry and not self._accepted)

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._began) * 1000


def _need(key: Key, request: EngineRequest) -> Need:
    """Return the most that a request, or any of its fallbacks, may use: about, where no limit counts it."""
    counted = key.budget_tokens is not None or key.tokens_per_minute is not None
    prompt_of = attrgetter("prompt_tokens_most" if counted else "prompt_tokens")
    needs = [Need(prompt_of(each), each.max_completion) for each in (request, *request.fallbacks)]
    most = max(needs, key=attrgetter("tokens"))
    if request.stream and any(each.model.hedge_after_s for each in (request, *request.fallbacks)):
        most = most._replace(prompt=most.prompt + max(need.prompt for need in needs))
    return most


def _priced(record: UsageRecord, model: Model | None) -> UsageRecord:
    """Return a record with what it costs, where its model has prices."""
    return replace(record, cost=model.prices.cost(record)) if model and model.prices else record


def _text_bytes(choice: dict[str, Any]) -> int:
    """Return how much text a choice has, white space aside."""
    message = choice.get("message") or choice
    calls = [call.get("function") or {} for call in message.get("tool_calls") or ()]
    names = ("content", "text", "reasoning_content")
    texts = [*map(message.get, names), *(each.get("arguments") for each in calls)]
    found = (text.encode("utf-8", "replace") for text in texts if isinstance(text, str))
    return sum(len(each.translate(None, _SPACES)) for each in found)
