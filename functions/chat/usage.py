"""What each request may use, and what it has used: one account a request.

    admit    the key's limits are reserved before the engine gets the request: the prompt's estimate, and the
             whole completion that is allowed
    run      the engine's events pass, and are counted
    close    before the last event leaves: the reservation is settled, the record kept, metrics written

Closing runs as a task of its own, so that no cancellation cuts it short. A request whose environment is
killed counts as what it reserved: its record is opened after the first byte, and the close replaces it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, TypeGuard

from functions.shared.keys import Key, KeysUnavailable
from functions.shared.limiter import Limiter
from functions.shared.limits import Allowance, Ledger, LimitReached, Reservation
from functions.shared.logs import log_unexpected
from functions.shared.metrics import Metrics
from functions.shared.usage import NONE, Outcome, UsageRecord, UsageStore

from .engines.engine import Chunks, End, Engine, EngineRequest, Event, Failure, Reply, Run
from .errors import (
    ApiError,
    EngineUnreachable,
    ModelWarming,
    QuotaExhausted,
    RateLimited,
    RequestTooLarge,
    TokensLimited,
    UpstreamTimeout,
)

logger = logging.getLogger("chat.metering")

# How long a caller's last event may wait for the close; the deadline leaves it that long.
CLOSE_S = 1.5
# With less time than this left, the deadline has cut the request, not its caller.
DEADLINE_MS = 2500


class Meter:
    """Opens accounts. Each part may be missing: then it is not done."""

    def __init__(
        self,
        *,
        ledger: Ledger | None = None,
        usage: UsageStore | None = None,
        metrics: Metrics | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.limiter = Limiter(ledger, now)
        self.usage, self.metrics, self.now = usage, metrics, now
        self.idle = not (ledger or usage or metrics)

    def account(self, key: Key | None, request_id: str, remaining_ms: Callable[[], int] | None) -> Account:
        """Begin to account for a request, whatever becomes of it."""
        return Account(self, key, request_id, remaining_ms)

    async def keep(self, record: UsageRecord) -> None:
        """Keep a record; what the table does not take goes to the log, from where it can be replayed."""
        try:
            if self.usage:
                await self.usage.put(record)
        except KeysUnavailable:
            print(record.to_json(), flush=True)


class Account:
    """One request's account.

    Units:  tokens are the engine's own count once it has sent one; until then the prompt's estimate, and the
            events that the caller may have seen.
    """

    def __init__(
        self, meter: Meter, key: Key | None, request_id: str, remaining_ms: Callable[[], int] | None
    ) -> None:
        self.allowance: Allowance | None = None
        self._meter, self._key, self._request_id, self._remaining_ms = meter, key, request_id, remaining_ms
        self._model = NONE
        self._estimate = 0
        self._tokens_seen = 0
        self._counted: tuple[int, int, int] | None = None
        self._failure: ApiError | None = None
        self._reservation: Reservation | None = None
        self._opening: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._started_at = meter.now()
        self._began = time.perf_counter()
        self._sent = self._began
        self._first_byte_ms: float | None = None

    async def admit(self, request: EngineRequest) -> None:
        """Let a request pass if its key's limits allow it.

        Raises: RateLimited and its kinds, QuotaExhausted.
        """
        self._model = request.model.id
        self._estimate = request.prompt_tokens
        if self._key:
            try:
                needed = self._estimate + request.max_completion
                self._reservation = await self._meter.limiter.reserve(self._key, needed)
            except LimitReached as reached:
                self.allowance = reached.allowance
                raise _refusal(reached) from None
            if self._reservation:
                self.allowance = self._reservation.allowance
        self._sent = time.perf_counter()

    async def refuse(self, error: ApiError) -> None:
        """Account for a request that is not passed on; look up what its key may still do."""
        self._failure = error
        if self._key and not self.allowance:
            self.allowance = await self._meter.limiter.peek(self._key)
        await self._close("refused")

    async def run(self, engine: Engine, request: EngineRequest) -> AsyncGenerator[Event, None]:
        """Pass the events of an engine's reply on; the account is closed before the last one leaves."""
        outcome: Outcome = "cut"
        if not request.stream:
            self._open()
        try:
            async with engine.open(request) as events:
                async for event in events:
                    if isinstance(event, (Run, Chunks)):
                        self._count(event)
                        yield event
                        if not self._opening:
                            self._open()
                        continue
                    if isinstance(event, Reply):
                        self._first_byte_ms = self._elapsed_ms()
                    elif isinstance(event, End | Failure):
                        self._take(event.usage)
                        outcome = "ok" if isinstance(event, End) else self._failed(event.error, request)
                        await self._close(outcome)
                    yield event
        except Exception:
            outcome = "error"
            raise
        finally:
            await self._close(outcome)

    def _count(self, event: Run | Chunks) -> None:
        if self._first_byte_ms is None:
            self._first_byte_ms = self._elapsed_ms()
        self._tokens_seen += event.tokens
        if isinstance(event, Chunks):
            self._take(event.usage)

    def _take(self, usage: Any) -> None:
        """Take the engine's own count; what is not one is left out."""
        if not isinstance(usage, dict) or not _is_count(usage.get("prompt_tokens")):
            return
        completion = usage.get("completion_tokens")
        details = usage.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else None
        self._counted = (
            usage["prompt_tokens"],
            completion if _is_count(completion) else 0,
            cached if _is_count(cached) else 0,
        )

    def _failed(self, failure: ApiError, request: EngineRequest) -> Outcome:
        self._failure = failure
        if isinstance(failure, ModelWarming) and not request.stream:
            return "refused"
        return "timeout" if isinstance(failure, UpstreamTimeout | ModelWarming) else "error"

    def _open(self) -> None:
        """Begin to keep what is true if nothing more comes; after the first byte, which it would delay."""
        if self._key and self._meter.usage:
            self._opening = asyncio.create_task(self._meter.keep(self._record("cut", reserved=True)))

    async def _close(self, outcome: Outcome) -> None:
        """Settle, keep and report, once; it takes no longer than `CLOSE_S`, and raises nothing."""
        if self._meter.idle:
            return
        if not self._closing:
            self._closing = asyncio.create_task(self._finish(outcome))
        await asyncio.shield(self._closing)

    async def _finish(self, outcome: Outcome) -> None:
        if outcome == "cut" and self._remaining_ms and self._remaining_ms() < DEADLINE_MS:
            outcome = "timeout"
        record = self._record(outcome)
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._write(record)
        except TimeoutError:
            print(record.to_json(), flush=True)
        except Exception as error:  # noqa: BLE001 - an account must not cost the caller the reply
            log_unexpected(logger, error)
            print(record.to_json(), flush=True)
        if self._meter.metrics:
            engine_ms = (time.perf_counter() - self._sent) * 1000
            self._meter.metrics.write_request(record, engine_ms=engine_ms)

    async def _write(self, record: UsageRecord) -> None:
        if self._opening:
            await self._opening
        writes = []
        if self._reservation:
            tokens = record.prompt_tokens + record.completion_tokens
            writes.append(self._meter.limiter.settle(self._reservation, tokens))
        if self._key:
            writes.append(self._meter.keep(record))
        await asyncio.gather(*writes)

    def _record(self, outcome: Outcome, *, reserved: bool = False) -> UsageRecord:
        cached = 0
        if self._counted:
            prompt, completion, cached = self._counted
        elif outcome == "refused" or isinstance(self._failure, EngineUnreachable | ModelWarming):
            prompt, completion = 0, 0  # no engine has read it
        else:
            prompt, completion = self._estimate, self._tokens_seen
        if reserved and self._reservation:
            completion = self._reservation.tokens - prompt
        return UsageRecord(
            request_id=self._request_id,
            key_id=self._key.id if self._key else NONE,
            model=self._model,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cached_tokens=cached,
            duration_ms=round(self._elapsed_ms()),
            first_byte_ms=None if self._first_byte_ms is None else round(self._first_byte_ms),
            outcome=outcome,
            code=self._failure.code or self._failure.type if self._failure else None,
            started_at=round(self._started_at * 1000),
        )

    def _elapsed_ms(self) -> float:
        return (time.perf_counter() - self._began) * 1000


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and value >= 0


def _refusal(reached: LimitReached) -> ApiError:
    """Say which limit was reached, and when to come back."""
    allowance, wait_s = reached.allowance, reached.retry_after_s or 1.0
    if reached.kind == "budget":
        return QuotaExhausted("This API key has used up its budget. The operator of this API can raise it.")
    if reached.kind == "too_large":
        return RequestTooLarge(
            f"The request needs more tokens than this API key may use in a minute ({allowance.limit_tokens})."
            " Send less, or request fewer with `max_tokens`."
        )
    kind = RateLimited if reached.kind == "requests" else TokensLimited
    limit = allowance.limit_requests if reached.kind == "requests" else allowance.limit_tokens
    return kind(
        f"This API key's limit of {limit} {reached.kind} a minute is reached. Try again in {wait_s:.3g} s.",
        retry_after_s=wait_s,
    )
