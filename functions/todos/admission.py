"""Authentication and request limits: who may send requests, how many, and whose todos they reach."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from functions.shared.keys import KeyRefused, Keyring, KeysUnavailable
from functions.shared.limit_headers import limit_headers
from functions.shared.limiter import Limiter
from functions.shared.limits import BUSY_S, Ledger, LimitReached
from functions.shared.refusals import Need, text_of

from .errors import RateLimited, ServiceUnavailable, Unauthenticated


@dataclass(frozen=True, slots=True)
class Caller:
    """The sender of a request.

    Shape:  `owner`: the id of the key, which owns todos; empty where no key is needed. `headers`: the key's
            limits and what remains of them.
    """

    owner: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Admission:
    """Accepts requests with a valid key; each counts as one, whatever its operation."""

    def __init__(
        self, keyring: Keyring, ledger: Ledger | None, *, now: Callable[[], float] = time.time
    ) -> None:
        self._keyring, self._limiter = keyring, Limiter(ledger, now)

    async def admit(self, authorization: str | None) -> Caller:
        """Return the caller of a request that is accepted.

        Raises: Unauthenticated, RateLimited, ServiceUnavailable.
        """
        try:
            key = await self._keyring.authenticate(authorization)
        except KeyRefused as refused:
            raise Unauthenticated(str(refused)) from None
        except KeysUnavailable as unavailable:
            raise ServiceUnavailable(
                unavailable.for_callers, retry_after_s=unavailable.retry_after_s
            ) from None
        if key is None:
            return Caller()
        try:
            # Tokens are those of engines: todos count requests alone.
            requests_only = replace(key, tokens_per_minute=None, budget_tokens=None, concurrent=None)
            reservation = await self._limiter.reserve(requests_only)
        except LimitReached as reached:
            raise RateLimited(
                text_of(reached, key, Need()),
                retry_after_s=reached.retry_after_s or BUSY_S,
                headers=limit_headers(reached.allowance),
            ) from None
        except KeysUnavailable as unavailable:
            raise ServiceUnavailable(
                unavailable.for_callers, retry_after_s=unavailable.retry_after_s
            ) from None
        return Caller(key.id, limit_headers(reservation.allowance) if reservation else {})
