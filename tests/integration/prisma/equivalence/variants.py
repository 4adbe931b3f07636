"""Other ways to the same answers: plans with the values of one call in them, and synchronous clients."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from prisma_in_process import requests
from prisma_in_process.cache import Found, Plans
from prisma_in_process.models import Call


class LiteralPlans(Plans):
    """Plans of whole requests: no value is a parameter, no plan serves another call."""

    def find(self, _: Call) -> Found | None:
        return None

    def _make(self, call: Call) -> Found:
        request = requests.request(call, None)
        return self._keep(request, json.dumps(self._compile(request)))


def make_literal(client: Any) -> None:
    """Let a connected client's engine use such plans."""
    client._engine.plans.__class__ = LiteralPlans


class Awaited:
    """A synchronous client, or a transaction of one, behind the interface of an asynchronous one."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if name in ("tx", "batch_"):
            return lambda **named: Entered(found(**named), calls=name == "tx")
        if not callable(found):
            return Awaited(found)

        async def call(*given: Any, **named: Any) -> Any:
            return found(*given, **named)

        return call


@dataclass(frozen=True)
class Entered:
    """A synchronous context manager behind the interface of an asynchronous one."""

    inner: Any
    calls: bool  # what it yields is to be awaited

    async def __aenter__(self) -> Any:
        entered = self.inner.__enter__()
        return Awaited(entered) if self.calls else entered

    async def __aexit__(self, *given: Any) -> Any:
        return self.inner.__exit__(*given)
