"""Limits by a ledger. While it cannot be reached, known keys are accepted, up to what can never fit.

Those of them that are closed in an outage (`Key.on_outage`) are not.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from .clock import Clock
from .keys import Key, KeyClosed, KeysRefused, KeysUnavailable, KeyThrottled
from .limits import (
    Allowance,
    Ledger,
    LimitReached,
    Reservation,
    Running,
    counts_at,
    never_fits,
    refusal,
)
from .usage import UsageRecord

logger = logging.getLogger("limits")

# How long a ledger that cannot be reached is not called for a key.
LEDGER_PAUSE_S = 10.0
_MOST_PAUSES = 1000


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

    async def reserve(self, key: Key, request: Running | None = None) -> Reservation | None:
        """Count one request, and reserve what it may use; None where nothing is counted.

        Raises: LimitReached; KeyClosed, KeysRefused.
        """
        closed = key.on_outage == "closed"
        if not self.ledger or not (request or key.limited or closed):
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
        if closed:
            raise KeyClosed(retry_after_s=self._paused[key.id] - self._clock.elapsed_s())
        if kind := never_fits(key, request, now):
            raise refusal(kind, key, counts_at(now, None), request, now)
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
        if not running and self._is_paused(record.key_id):
            raise KeysUnavailable
        try:
            await self.ledger.settle(record, running)
        except (KeyThrottled, KeysRefused):
            raise
        except KeysUnavailable:
            self._pause(record.key_id)
            raise

    def _is_paused(self, key_id: str) -> bool:
        return self._clock.elapsed_s() < self._paused.get(key_id, 0.0)

    def _pause(self, key_id: str) -> None:
        logger.error("limits are unreachable: %s is not counted for %d s", key_id, LEDGER_PAUSE_S)
        if len(self._paused) >= _MOST_PAUSES:
            self._paused.clear()
        self._paused[key_id] = self._clock.elapsed_s() + LEDGER_PAUSE_S
