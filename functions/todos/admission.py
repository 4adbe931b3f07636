"""Who may ask, how often, and whose todos they are."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from functions.shared.keys import Key, KeyRefused, Keyring, KeysUnavailable
from functions.shared.limit_headers import limit_headers
from functions.shared.limits import Ledger, LimitReached, Reservation

from .errors import KeysOutOfReach, RateLimited, Unauthenticated

logger = logging.getLogger("todos")

# How long a ledger that did not answer is left alone: meanwhile known keys go on without limits.
LEDGER_PAUSE_S = 10.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `owner`: whose todos they are; empty where no key is asked for. `headers`: what is left."""

    owner: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Admission:
    """Lets in the holders of keys; each request counts one, whatever it asks for."""

    def __init__(
        self, keyring: Keyring, ledger: Ledger | None, *, now: Callable[[], float] = time.time
    ) -> None:
        self._keyring, self._ledger, self._now = keyring, ledger, now
        self._paused_until = 0.0

    async def admit(self, authorization: str | None) -> Caller:
        """Let a request in.

        Raises: Unauthenticated, RateLimited, KeysOutOfReach.
        """
        try:
            key = await self._keyring.authenticate(authorization)
        except KeyRefused as refused:
            raise Unauthenticated(str(refused)) from None
        except KeysUnavailable:
            raise KeysOutOfReach from None
        if key is None:
            return Caller()
        try:
            reservation = await self._count(key)
        except LimitReached as reached:
            raise _refusal(reached) from None
        return Caller(key.id, limit_headers(reservation.allowance) if reservation else {})

    async def _count(self, key: Key) -> Reservation | None:
        """Count one request, if requests of this key are counted and the ledger can be asked."""
        now = self._now()
        if not self._ledger or key.requests_per_minute is None or now < self._paused_until:
            return None
        # Tokens are those of engines.
        requests_alone = replace(key, tokens_per_minute=None, budget_tokens=None)
        try:
            return await self._ledger.reserve(requests_alone, 0, now)
        except KeysUnavailable:
            logger.error("limits cannot be asked for: known keys go on without them for %d s", LEDGER_PAUSE_S)
            self._paused_until = now + LEDGER_PAUSE_S
            return None


def _refusal(reached: LimitReached) -> RateLimited:
    allowance = reached.allowance
    return RateLimited(
        f"This API key's limit of {allowance.limit_requests} requests a minute is reached. "
        f"Try again in {allowance.resets_in_s:.3g} s.",
        retry_after_s=allowance.resets_in_s,
        headers=limit_headers(allowance),
    )
