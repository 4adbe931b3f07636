"""The one flow of every endpoint that an engine answers: HTTP in, an engine's events, HTTP out.

    authenticate → read and check the body → find the model → prepare the engine's request → admit it
    → the engine's events, counted → the endpoint's own shape

What differs is an `Endpoint`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from dataclasses import field, replace
from typing import Any, Generic, Protocol, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from functions.chat.engines.engine import EngineRequest, Failure, Reply
from functions.chat.errors import ApiError, InvalidRequest
from functions.chat.json_text import dump
from functions.chat.models import Model
from functions.chat.settings import Settings
from functions.chat.streams.response import EventStreamResponse, Writer
from functions.shared.frozen import Frozen
from functions.shared.keys import Key

from . import body
from .models import check_allowed, check_serves, fallbacks_of, find_model
from .service import Invocation, Service


class Checked(Protocol):
    """A checked request, as far as all endpoints know it."""

    @property
    def model(self) -> str: ...


Request_ = TypeVar("Request_", bound=Checked)


class Endpoint(Frozen, Generic[Request_], kw_only=True):
    """What is an endpoint's own.

    Shape:  `serves`: what a model must serve (`settings.SERVES`). `check` turns a parsed body into a request,
            `prepare` that into the request to the engine of one model. `writer` makes the writer of the reply
            to it. `names`: what callers of this endpoint call the parameters of a chat completion.
    """

    serves: str
    check: Callable[[dict[str, Any]], Request_]
    prepare: Callable[[dict[str, Any], Request_, Model, Settings, str], Awaitable[EngineRequest]]
    writer: Callable[[Request_, Model, Invocation], Writer]
    names: Mapping[str, str] = field(default_factory=dict)


async def answer(service: Service, request: Request, endpoint: Endpoint[Request_]) -> Response:
    """Answer one request.

    Raises: ApiError, before the reply has begun; later failures end the reply.
    """
    key = await service.authenticate(request)
    invocation = Invocation.of(request)
    account = service.meter.account(key, invocation.reply_id, invocation.remaining_ms)
    invocation.account = account
    try:
        parsed = await body.read_json(request, service.settings.max_body_bytes)
        checked = endpoint.check(parsed)
        try:
            call = await _prepare(endpoint, parsed, checked, service.settings, request, key)
            await account.admit(call)
        except ApiError as error:  # `check` knows the names of its endpoint
            error.rename(endpoint.names)
            raise
    except ApiError as error:
        await account.refuse(error)
        raise
    finally:
        body.forget()

    def writer() -> Writer:
        assert account.answering, "expected an engine to have accepted the request"
        invocation.writer = endpoint.writer(checked, account.answering, invocation)
        return invocation.writer

    events = account.run(service.engine, call)
    if call.stream:
        return await EventStreamResponse.open(events, service.settings.keep_alive_s, writer)
    async with aclosing(events):
        async for event in events:
            if isinstance(event, Failure):
                raise event.error
            if isinstance(event, Reply):
                reply = event.value
    await asyncio.sleep(0)  # a large one was read in this turn, and is written in the next
    return Response(dump(writer().whole(reply)), media_type="application/json")


async def _prepare(
    endpoint: Endpoint[Request_],
    parsed: dict[str, Any],
    checked: Request_,
    settings: Settings,
    request: Request,
    key: Key | None,
) -> EngineRequest:
    """Return the request to the model's engine, with those to its fallbacks that can answer it."""
    invocation, wish = Invocation.of(request), ",".join(request.headers.getlist("x-fallback"))
    if wish.lower() not in ("", "none"):
        raise InvalidRequest(
            "Expected the header 'x-fallback' to be 'none', which refuses that another model answers, but got"
            " something else. Leave it out where another may."
        )
    model = find_model(checked.model, settings, key, endpoint.serves)
    check_allowed(model, settings, key)
    check_serves(model, endpoint.serves, settings, key)
    calls = [await endpoint.prepare(parsed, checked, model, settings, invocation.request_id)]
    others = [] if wish else fallbacks_of(model, endpoint.serves, settings, key)
    for other in others:
        with suppress(ApiError):
            again = endpoint.check(parsed)  # a request is fitted to its model in place
            calls.append(await endpoint.prepare(parsed, again, other, settings, invocation.request_id))
    if invocation.trace or endpoint.names:
        calls = [replace(call, headers=invocation.trace, names=endpoint.names) for call in calls]
    first, *rest = calls
    return replace(first, fallbacks=tuple(rest)) if rest else first
