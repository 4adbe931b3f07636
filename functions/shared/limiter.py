"""A ledger that may be out of reach: then known keys go on without limits."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from .keys import Key, KeysUnavailable
from .limits import Allowance, Ledger, Reservation

logger = logging.getLogger("limits")

# How long a ledger that did not answer is left alone.
LEDGER_PAUSE_S = 10.0


class Limiter:
    """Asks a ledger what a key may do, where there is one, it answers, and the key has limits."""

    def __init__(self, ledger: Ledger | None, now: Callable[[], float] = time.time) -> None:
        self._ledger, self._now = ledger, now
        self._paused_until = 0.0

    async def reserve(self, key: Key, tokens: int) -> Reservation | None:
        """Reserve tokens and one request; None where nothing is counted.

        Raises: LimitReached.
        """
        ledger = self._asked_for(key)
        try:
            return await ledger.reserve(key, tokens, self._now()) if ledger else None
        except KeysUnavailable:
            self._pause()
            return None

    async def peek(self, key: Key) -> Allowance | None:
        """Return what a key may still do; None where that is not known."""
        ledger = self._asked_for(key)
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

    def _asked_for(self, key: Key) -> Ledger | None:
        return self._ledger if key.limited and self._now() >= self._paused_until else None

    def _pause(self) -> None:
        logger.error("limits cannot be asked for: known keys go on without them for %d s", LEDGER_PAUSE_S)
        self._paused_until = self._now() + LEDGER_PAUSE_S
