"""Who may ask, how often, and whose todos they are."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from functions.shared.keys import Key, KeyRefused, Keyring, KeysUnavailable
from functions.shared.limit_headers import limit_headers
from functions.shared.limiter import Limiter
from functions.shared.limits import Ledger, LimitReached, Reservation

from .errors import RateLimited, ServiceUnavailable, Unauthenticated


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
        self._keyring, self._limiter = keyring, Limiter(ledger, now)

    async def admit(self, authorization: str | None) -> Caller:
        """Let a request in.

        Raises: Unauthenticated, RateLimited, ServiceUnavailable.
        """
        try:
            key = await self._keyring.authenticate(authorization)
        except KeyRefused as refused:
            raise Unauthenticated(str(refused)) from None
        except KeysUnavailable as unavailable:
            raise ServiceUnavailable(unavailable.for_callers) from None
        if key is None:
            return Caller()
        try:
            reservation = await self._count(key)
        except LimitReached as reached:
            raise _refusal(reached) from None
        return Caller(key.id, limit_headers(reservation.allowance) if reservation else {})

    async def _count(self, key: Key) -> Reservation | None:
        """Count one request, if requests of this key are counted. Tokens are those of engines."""
        return await self._limiter.reserve(replace(key, tokens_per_minute=None, budget_tokens=None), 0)


def _refusal(reached: LimitReached) -> RateLimited:
    allowance = reached.allowance
    return RateLimited(
        f"This API key's limit of {allowance.limit_requests} requests a minute is reached. "
        f"Try again in {allowance.resets_in_s:.3g} s.",
        retry_after_s=allowance.resets_in_s,
        headers=limit_headers(allowance),
    )
