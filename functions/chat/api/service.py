"""What the endpoints work with: one service for the app, one invocation for each request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from functions.chat.engines.engine import Engine
from functions.chat.errors import ApiError
from functions.chat.settings import Settings
from functions.chat.usage import Account, Meter
from functions.shared.keys import Key, Keyring, authorization_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """The parts that all endpoints share.

    Shape:  `render_end` gives the last bytes of a stream that fails.
    """

    settings: Settings
    engine: Engine
    keyring: Keyring
    meter: Meter
    render_end: Callable[[ApiError], bytes]

    async def authenticate(self, request: Request) -> Key | None:
        """Return the key that a request bears; None where no key is needed.

        Raises: KeyRefused, KeysUnavailable.
        """
        return await self.keyring.authenticate(authorization_in(request.headers))


@dataclass(slots=True, kw_only=True)
class Invocation:
    """All that belongs to one request.

    Shape:  `request_id` is the caller's, where it sent one; `reply_id` ours. `account` once the key is known.
    Units:  `remaining_ms` returns ms until the deadline; None outside Lambda.
    """

    request_id: str
    reply_id: str
    remaining_ms: Callable[[], int] | None
    account: Account | None = None

    @classmethod
    def of(cls, request: Request) -> Invocation:
        """Return the invocation that a request came with."""
        invocation: Invocation = request.state.invocation
        return invocation
