"""Limits by a ledger. While it cannot be reached, known keys are accepted, up to what can never fit.

Those of them that are closed in an outage (`Key.on_outage`) are not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from .budgets import period_of
from .clock import Clock
from .keys import Key, KeyClosed, KeysRefused, KeysUnavailable, KeyThrottled
from .limits import (
    Allowance,
    Ledger,
    LimitReached,
    Reservation,
    Running,
    counts_at,
    died,
    never_fits,
    refusal,
)
from .usage import UsageRecord

logger = logging.getLogger("limits")

# How long a ledger that cannot be reached is not called for a key.
LEDGER_PAUSE_S = 10.0
# How often a key without limits is marked as used.
MARK_S = 600.0
_MOST_KEPT = 1000
_MOST_LOST = 50
_LOST_CODE = "keys_unavailable"

Value = TypeVar("Value")


class Limiter:
    """Counts the requests of keys, where there is a ledger and it can be reached."""

    def __init__(
        self,
        ledger: Ledger | None,
        now: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.ledger, self._now, self._clock = ledger, now, Clock(now, steady)
        self._paused: dict[str, float] = {}
        self._marked: dict[str, float] = {}
        self._unreserved: dict[str, str] = {}
        self._lost: dict[str, list[UsageRecord]] = {}

    async def reserve(self, key: Key, request: Running | None = None) -> Reservation | None:
        """Count one request, and reserve what it may use; None where nothing is counted.

        Raises: LimitReached; KeyClosed, KeysRefused.
        """
        closed = key.on_outage == "closed"
        if not self.ledger:
            return None
        if not (request or key.limited or closed):
            await self._mark_used(key.id)
            return None
        now = self._now()
        try:
            if not self._is_paused(key.id):
                return await self.ledger.reserve(key, request, now)
        except KeyThrottled:
            raise LimitReached("throttled", Allowance()) from None
        except KeysRefused:
            raise
        except KeysUnavailable:
            self._pause(key.id)
            if closed and request:
                self._keep_lost(key.id, request)
        self._let_through(key, request, now)
        return None

    async def peek(self, key: Key) -> Allowance | None:
        """Return what a key may still do; None where that is not known."""
        if not self.ledger or not key.limited or self._is_paused(key.id):
            return None
        try:
            return await self.ledger.peek(key, self._now())
        except (KeyThrottled, KeysRefused):
            return None
        except KeysUnavailable:
            self._pause(key.id)
            return None

    async def settle(self, record: UsageRecord, running: Running | None) -> None:
        """Keep a request's record, and count what was used.

        Raises: KeysUnavailable: the record is not kept.
        """
        if not self.ledger:
            return
        period = self._unreserved.pop(record.request_id, "")
        if not running and self._is_paused(record.key_id):
            raise KeysUnavailable
        try:
            await self.ledger.settle(record, running, period)
        except (KeyThrottled, KeysRefused):
            raise
        except KeysUnavailable:
            self._pause(record.key_id)
            raise
        if lost := self._lost.get(record.key_id):
            one = lost.pop()
            try:
                await self.ledger.settle(one)
            except KeysUnavailable:
                lost.append(one)

    def _let_through(self, key: Key, request: Running | None, now: float) -> None:
        """Let a request through that cannot be counted, unless its key is closed, or it can never fit."""
        if key.on_outage == "closed":
            raise KeyClosed(retry_after_s=self._paused[key.id] - self._clock.elapsed_s())
        if kind := never_fits(key, request, now):
            raise refusal(kind, key, counts_at(now, None), request, now)
        if request and key.budget_period:
            _keep(self._unreserved, request.request_id, period_of(key, now))

    async def _mark_used(self, key_id: str) -> None:
        """Mark a key as used that is not counted, now and then: nothing depends on it."""
        assert self.ledger
        now = self._clock.elapsed_s()
        if now >= self._marked.get(key_id, now) and not self._is_paused(key_id):
            _keep(self._marked, key_id, now + MARK_S)
            with suppress(KeysUnavailable):
                await self.ledger.touch(key_id, self._now())

    def _keep_lost(self, key_id: str, request: Running) -> None:
        """Keep the record of a request that is refused, though it may have been reserved.

        With it, what was reserved is released: with a later request of the key, or by `replay`.
        """
        record = replace(
            died(key_id, request), prompt_tokens=0, completion_tokens=0, outcome="error", code=_LOST_CODE
        )
        print(record.to_json(), flush=True)
        _keep(self._lost, key_id, [*self._lost.get(key_id, []), record][-_MOST_LOST:])

    def _is_paused(self, key_id: str) -> bool:
        return self._clock.elapsed_s() < self._paused.get(key_id, 0.0)

    def _pause(self, key_id: str) -> None:
        logger.error("limits are unreachable: %s is not counted for %d s", key_id, LEDGER_PAUSE_S)
        _keep(self._paused, key_id, self._clock.elapsed_s() + LEDGER_PAUSE_S)


def _keep(values: dict[str, Value], name: str, value: Value) -> None:
    """Keep a value; if there are too many, forget the others."""
    if len(values) >= _MOST_KEPT:
        values.clear()
    values[name] = value
