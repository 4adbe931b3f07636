"""Who may ask how much, and what each request has used.

    admit    the key's limits are reserved before the engine is asked: the prompt's estimate, the whole
             completion that is allowed
    close    before the last event leaves: the reservation is settled, the usage kept, metrics written

A request that is cut off without a close (its environment was killed) counts as what it reserved: its record
is opened once the first byte has left, and the close replaces it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable
from typing import Self

from functions.chat.streams.sse import DONE
from functions.shared.keys import Key, KeysUnavailable
from functions.shared.limiter import Limiter
from functions.shared.limits import Allowance, Ledger, LimitReached, Reservation
from functions.shared.logs import log_unexpected
from functions.shared.metrics import Metrics
from functions.shared.usage import NONE, Outcome, UsageRecord, UsageStore

from .completions import Call
from .errors import (
    ApiError,
    EngineAsleep,
    ModelWarming,
    QuotaExhausted,
    RateLimited,
    RequestTooLarge,
    TokensLimited,
    UpstreamTimeout,
)
from .tally import Tally

logger = logging.getLogger("chat.metering")

BYTES_PER_TOKEN = 4
# What a caller's last event may wait for, and what the deadline leaves.
CLOSE_S = 1.5
# With less time than this left, the deadline has cut the request, not its caller.
DEADLINE_MS = 2500


class Meter:
    """Admits requests and accounts for them. Each part may be missing: then it is not done."""

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
    """One request's account."""

    def __init__(
        self, meter: Meter, key: Key | None, request_id: str, remaining_ms: Callable[[], int] | None
    ) -> None:
        self.tally = Tally()
        self.allowance: Allowance | None = None
        self._meter, self._key, self._request_id, self._remaining_ms = meter, key, request_id, remaining_ms
        self._model = NONE
        self._estimate = 0
        self._reservation: Reservation | None = None
        self._opening: asyncio.Task[None] | None = None
        self._closed = False
        self._started_at = meter.now()
        self._began = time.perf_counter()
        self._asked = self._began
        self._first_byte_ms: float | None = None

    async def admit(self, call: Call) -> None:
        """Let a call pass if its key's limits allow it.

        Raises: RateLimited and its kinds, QuotaExhausted.
        """
        self._model = call.model.id
        self._estimate = len(call.body) // BYTES_PER_TOKEN + 1
        if self._key:
            try:
                needed = self._estimate + call.max_completion
                self._reservation = await self._meter.limiter.reserve(self._key, needed)
            except LimitReached as reached:
                self.allowance = reached.allowance
                raise _refusal(reached) from None
            if self._reservation:
                self.allowance = self._reservation.allowance
        self._asked = time.perf_counter()

    def _open(self) -> None:
        """Begin to keep what is true if nothing more comes; after the first byte, which it would delay."""
        if self._key and self._meter.usage and not self._opening:
            self._opening = asyncio.create_task(self._meter.keep(self._record("cut", reserved=True)))

    async def refused(self) -> None:
        """Account for a request that is not passed on; find out what its key may still do."""
        if self._key and not self.allowance:
            self.allowance = await self._meter.limiter.peek(self._key)
        await self.close("refused")

    async def close(self, outcome: Outcome) -> None:
        """Settle, keep and tell, once; it takes no longer than `CLOSE_S`, and raises nothing."""
        if self._closed or self._meter.idle:
            return
        self._closed = True
        if outcome == "cut" and self._remaining_ms and self._remaining_ms() < DEADLINE_MS:
            outcome = "timeout"
        record = self._record(outcome)
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._write(record)
        except TimeoutError:
            print(record.to_json(), flush=True)
        except Exception as error:  # noqa: BLE001 - an account must not cost the caller the answer
            log_unexpected(logger, error)
            print(record.to_json(), flush=True)
        if self._meter.metrics:
            self._meter.metrics.write_request(record, engine_ms=(time.perf_counter() - self._asked) * 1000)

    async def _write(self, record: UsageRecord) -> None:
        if self._opening:
            await self._opening
        settling = []
        if self._reservation:
            tokens = record.prompt_tokens + record.completion_tokens
            settling.append(self._meter.limiter.settle(self._reservation, tokens))
        if self._key:
            settling.append(self._meter.keep(record))
        await asyncio.gather(*settling)

    def _record(self, outcome: Outcome, *, reserved: bool = False) -> UsageRecord:
        tally = self.tally
        unasked = outcome == "refused" or isinstance(tally.failure, EngineAsleep | ModelWarming)
        prompt, completion = tally.prompt_tokens, tally.completion_tokens
        if not tally.counted:
            prompt, completion = (0, 0) if unasked else (self._estimate, tally.events)
        if reserved and self._reservation:
            completion = self._reservation.tokens - prompt
        return UsageRecord(
            request_id=self._request_id,
            key_id=self._key.id if self._key else NONE,
            model=self._model,
            prompt_tokens=prompt,
            completion_tokens=completion,
            cached_tokens=tally.cached_tokens,
            duration_ms=round((time.perf_counter() - self._began) * 1000),
            first_byte_ms=None if self._first_byte_ms is None else round(self._first_byte_ms),
            outcome=outcome,
            started_at=round(self._started_at * 1000),
        )

    # one request at work

    def stream(self, events: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        """Pass a completion's runs on, and close the account before the last event leaves."""
        return events if self._meter.idle else self._accounted(events)

    async def _accounted(self, events: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
        outcome: Outcome = "cut"
        try:
            async for run in events:
                self._count(run)
                if not run.endswith(DONE):
                    yield run
                    if run:
                        self._open()
                    continue
                outcome = _outcome(self.tally.failure)
                if rest := run.removesuffix(DONE):
                    yield rest
                await self.close(outcome)
                yield DONE
        except ApiError as failure:
            outcome = _outcome(failure)
            raise
        finally:
            await events.aclose()
            await self.close(outcome)

    async def __aenter__(self) -> Self:
        self._open()
        return self

    async def __aexit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Account for a completion that was asked for whole."""
        if error is None:
            self._first_byte_ms = (time.perf_counter() - self._began) * 1000
            await self.close("ok")
        elif isinstance(error, ApiError):
            self.tally.failure = error
            await self.close("refused" if isinstance(error, ModelWarming) else _outcome(error))
        else:
            await self.close("error" if isinstance(error, Exception) else "cut")

    def _count(self, run: bytes) -> None:
        if run and self._first_byte_ms is None:
            self._first_byte_ms = (time.perf_counter() - self._began) * 1000
        self.tally.events += run.count(b'"delta":{"')


def _outcome(failure: BaseException | None) -> Outcome:
    if failure is None:
        return "ok"
    return "timeout" if isinstance(failure, UpstreamTimeout | ModelWarming) else "error"


def _refusal(reached: LimitReached) -> ApiError:
    """Say which limit was reached, and when to come back."""
    allowance, wait_s = reached.allowance, reached.retry_after_s or 1.0
    if reached.kind == "budget":
        return QuotaExhausted("This API key has used up its budget. Ask the operator of this API for more.")
    if reached.kind == "too_large":
        return RequestTooLarge(
            f"The request needs more tokens than this API key may use in a minute ({allowance.limit_tokens})."
            " Send less, or ask for fewer with `max_tokens`."
        )
    kind = RateLimited if reached.kind == "requests" else TokensLimited
    limit = allowance.limit_requests if reached.kind == "requests" else allowance.limit_tokens
    return kind(
        f"This API key's limit of {limit} {reached.kind} a minute is reached. Try again in {wait_s:.3g} s.",
        retry_after_s=wait_s,
    )
