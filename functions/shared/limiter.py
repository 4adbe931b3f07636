"""Limits by a ledger; while it is unavailable, known keys are accepted without limits."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from .keys import Key, KeysUnavailable
from .limits import Allowance, Ledger, Reservation

logger = logging.getLogger("limits")

# How long a ledger that failed is not called.
LEDGER_PAUSE_S = 10.0


class Limiter:
    """Counts the requests of keys with limits, where there is a ledger and it is available."""

    def __init__(self, ledger: Ledger | None, now: Callable[[], float] = time.time) -> None:
        self._ledger, self._now = ledger, now
        self._paused_until = 0.0

    async def reserve(self, key: Key, tokens: int) -> Reservation | None:
        """Count one request and reserve its tokens; None where nothing is counted.

        Raises: LimitReached.
        """
        ledger = self._ledger_for(key)
        try:
            return await ledger.reserve(key, tokens, self._now()) if ledger else None
        except KeysUnavailable:
            self._pause()
            return None

    async def peek(self, key: Key) -> Allowance | None:
        """Return what a key may still do; None where that is not known."""
        ledger = self._ledger_for(key)
        try:
            return await ledger.peek(key, self._now()) if ledger else None
        except KeysUnavailable:
            self._pause()
            return None

    async def settle(self, reservation: Reservation, tokens: int) -> None:
        """Correct a reservation; one that cannot be corrected stays as it is."""
        try:
            if self._ledger:
                await self._ledger.settle(reservation, tokens)
        except KeysUnavailable:
            self._pause()

    def _ledger_for(self, key: Key) -> Ledger | None:
        return self._ledger if key.limited and self._now() >= self._paused_until else None

    def _pause(self) -> None:
        logger.error("limits are unavailable: known keys are accepted without them for %d s", LEDGER_PAUSE_S)
        self._paused_until = self._now() + LEDGER_PAUSE_S
