"""What the endpoints work with: one service for the app, one invocation for each request."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Scope

from functions.chat.engines.context_lengths import ContextLengths
from functions.chat.engines.engine import Engine
from functions.chat.settings import Settings
from functions.chat.streams.response import Writer
from functions.chat.usage import Account, Meter
from functions.shared.frozen import Frozen
from functions.shared.keys import Key, Keyring, authorization_in
from functions.shared.limits import Allowance
from functions.shared.usage import UsageSum

_CALLERS_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
# Compiled by the first request that needs them.
_TRACE_PARENT = "(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
_TRACE_MEMBER = (
    r"[a-z0-9][a-z0-9_*/@-]{0,255}=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)


class Books(Protocol):
    """What is known of what a key has used. Each method raises KeysUnavailable and its kinds."""

    async def peek(self, key: Key, now: float) -> Allowance:
        """Return what a key may still do, and use nothing of it."""

    def sums(
        self, key_id: str, since_ms: int, until_ms: int, *, books: int
    ) -> list[tuple[str, str, UsageSum]]:
        """Return the day, the model and the sum of what a key used, of whole days of UTC. It blocks.

        Shape:  `books`: those of the key.
        """


class Service(Frozen, kw_only=True):
    """The parts that all endpoints share.

    Shape:  `books`: None where nothing is kept of what keys have used.
    """

    settings: Settings
    engine: Engine
    keyring: Keyring
    meter: Meter
    books: Books | None = None

    @cached_property
    def context_lengths(self) -> ContextLengths:
        """How long the contexts of the engines' models are."""
        return ContextLengths(self.engine)

    async def authenticate(self, request: Request) -> Key | None:
        """Return the key that a request bears; None where no key is needed.

        Raises: KeyRefused, KeysUnavailable.
        """
        return await self.keyring.authenticate(authorization_in(request.headers))


@dataclass(slots=True, kw_only=True)
class Invocation:
    """All that belongs to one request.

    Shape:  `request_id` is the caller's, where it sent one; `reply_id` ours. `account` once the key is known.
            `writer` once the request is admitted. `trace`: the headers of the caller's trace, for the engine.
    Units:  `remaining_ms` returns ms until the deadline; None outside Lambda.
    """

    request_id: str
    reply_id: str
    remaining_ms: Callable[[], int] | None
    trace: Mapping[str, str] = field(default_factory=dict)
    account: Account | None = None
    writer: Writer | None = None

    @classmethod
    def begin(cls, scope: Scope) -> Invocation:
        """Return the invocation of a request that has just come."""
        number = os.urandom(16).hex()
        headers = Headers(scope=scope)
        requested = headers.get("x-request-id", "")
        return cls(
            request_id=requested if _CALLERS_ID.fullmatch(requested) else number,
            reply_id=f"req_{number}",
            remaining_ms=getattr(scope.get("aws.context"), "get_remaining_time_in_millis", None),
            trace=trace_in(headers),
        )

    @classmethod
    def of(cls, request: Request) -> Invocation:
        """Return the invocation that a request came with."""
        invocation: Invocation = request.state.invocation
        return invocation


def trace_in(headers: Headers) -> dict[str, str]:
    """Return the `traceparent` and `tracestate` of a request, as far as they are valid.

    Source: W3C Trace Context, 2021-11-23, 3.2 and 3.3, read 2026-11-26.
    """
    parents = headers.getlist("traceparent")
    if len(parents) != 1 or not re.fullmatch(_TRACE_PARENT, parents[0]):
        return {}
    state = ",".join(headers.getlist("tracestate"))[:513]
    members = [member.strip(" \t") for member in state.split(",")]
    valid = len(state) <= 512 and all(re.fullmatch(_TRACE_MEMBER, member) for member in members if member)
    return {"traceparent": parents[0], **({"tracestate": state} if state and valid else {})}
