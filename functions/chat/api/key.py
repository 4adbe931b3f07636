"""`GET /v1/key` and `GET /v1/key/usage`: what the key that is sent may do, what is left, what it has used.

Both only read: nothing counts towards the key's limits. What is the operator's, as a key's note and tags, is
not shown.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from functions.chat.errors import InvalidRequest, NotConfigured, ServiceUnavailable
from functions.shared.keys import Key, KeysUnavailable
from functions.shared.limit_headers import limit_headers
from functions.shared.limits import Allowance
from functions.shared.usage import NONE, UsageSum

from .body import shown
from .models import usable
from .service import Service

MOST_DAYS = 366
DAYS = 30
_DAY_MS = 86_400_000


async def retrieve_key(service: Service, request: Request) -> Response:
    """Return what a key may do, and what is left of its limits."""
    key = await _key_of(service, request)
    left = Allowance()
    if service.books and key.limited:
        with _readable("What is left of this key's limits"):
            left = await service.books.peek(key, service.meter.now())
    free = None if left.limit_concurrent is None else max(left.limit_concurrent - left.running, 0)
    described = {
        "object": "key",
        "id": key.id,
        "name": key.name,
        "models": [model.id for model in usable(service.settings, key)],
        "created_at": key.created_at or None,
        "expires_at": key.expires_at,
        "replaced_at": key.replaced_at,
        "limits": {
            "requests_per_minute": _limit(
                left.limit_requests,
                left.remaining_requests,
                resets_in_s=round(left.requests_reset_in_s, 3),
            ),
            "tokens_per_minute": _limit(
                left.limit_tokens, left.remaining_tokens, resets_in_s=round(left.tokens_reset_in_s, 3)
            ),
            "concurrent_requests": _limit(left.limit_concurrent, free),
            "budget": _limit(
                left.limit_budget,
                left.remaining_budget,
                period=key.budget_period,
                timezone=key.budget_timezone if key.budget_period else None,
                resets_at=left.budget_resets_at,
            ),
        },
    }
    return JSONResponse(described, headers=limit_headers(left))


async def list_key_usage(service: Service, request: Request) -> Response:
    """Return what a key has used, by day of UTC and model."""
    key, books = await _key_of(service, request), service.books
    sent = request.query_params.getlist("days") or [str(DAYS)]
    if len(sent) > 1 or not re.fullmatch("[1-9][0-9]{0,2}", sent[0]) or int(sent[0]) > MOST_DAYS:
        raise InvalidRequest(
            f"Invalid 'days': expected one whole number from 1 to {MOST_DAYS}, "
            f"but got {' and '.join(map(shown, sent[:2]))} instead.",
            param="days",
            code="invalid_value",
        )
    if not books:
        raise NotConfigured("This API keeps no record of what its keys use.")
    until = datetime.fromtimestamp(service.meter.now(), UTC).date()
    since = until - timedelta(days=int(sent[0]) - 1)
    created = datetime.fromtimestamp(key.created_at, UTC).date()  # each day is a read, so none before it
    since_ms, until_ms = _begin_ms(max(since, min(created, until))), _begin_ms(until)
    with _readable("What this key has used"):
        sums = await asyncio.to_thread(books.sums, key.id, since_ms, until_ms, books=key.books)
    total, data = UsageSum(), []
    for day, model, used in sums:
        total.add(used)
        one = {"object": "key.usage", "date": day, "model": None if model == NONE else model}
        data.append({**one, **used.amounts()})
    span = {"since": since.isoformat(), "until": until.isoformat()}
    return JSONResponse({"object": "list", "data": data, **span, "total": total.amounts()})


async def _key_of(service: Service, request: Request) -> Key:
    key = await service.authenticate(request)
    if not key:
        raise NotConfigured("This API requires no key, so there is none to describe, and nothing is limited.")
    return key


@contextmanager
def _readable(what: str) -> Iterator[None]:
    """Read something of the table.

    Raises: ServiceUnavailable where that cannot be done.
    """
    try:
        yield
    except KeysUnavailable:
        text = f"{what} cannot be read right now. Try again in a moment."
        raise ServiceUnavailable(text, code="keys_unavailable") from None


def _begin_ms(day: date) -> int:
    return (day - date(1970, 1, 1)).days * _DAY_MS


def _limit(limit: int | None, remaining: int | None, **more: Any) -> dict[str, Any] | None:
    if limit is None or remaining is None:
        return None
    return {"limit": limit, "used": limit - remaining, "remaining": remaining, **more}
