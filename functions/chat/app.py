"""The chat API as an ASGI application, and the one place that renders errors.

The routes make two apps. FastAPI also serves their documentation, but takes longer to import than all that
a completion needs. So a function serves a router of Starlette's (`ServedApp`), and makes the other on demand.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions.shared.keys import KeyRefused, Keyring, KeysUnavailable
from functions.shared.limit_headers import exposed_headers
from functions.shared.logs import log_unexpected
from functions.shared.version import VERSION

from .api import paths
from .api.pages import TITLE
from .api.routes import ROUTES
from .api.service import Books, Invocation, Service
from .engines.engine import Engine
from .errors import (
    NO_RETRY,
    ApiError,
    InvalidKey,
    InvalidRequest,
    MethodNotAllowed,
    ServerError,
    ServiceUnavailable,
    UnknownUrl,
)
from .json_text import dump
from .settings import Settings
from .usage import Meter

if TYPE_CHECKING:
    from fastapi import FastAPI

logger = logging.getLogger("chat")

_BUG = "Something went wrong here. Try again; if it persists, tell the operator."
_EXPOSED = ", ".join(
    (
        *("x-request-id", "x-model", "openai-processing-ms", "x-should-retry"),
        *exposed_headers("requests", "tokens"),
    )
).encode()


def create_app(
    settings: Settings,
    engine: Engine,
    keyring: Keyring | None = None,
    meter: Meter | None = None,
    books: Books | None = None,
) -> FastAPI:
    """Return the chat API, whole: it owns the engine and closes it when it shuts down.

    Without a keyring the settings' keys are accepted, without a meter nothing is counted, and without books
    no key can see what it has used.
    """
    return _with_docs(_service(settings, engine, keyring, meter, books))


def create_served_app(
    settings: Settings,
    engine: Engine,
    keyring: Keyring | None = None,
    meter: Meter | None = None,
    books: Books | None = None,
) -> ServedApp:
    """Return the same for a function: its replies are those of `create_app`, and it starts sooner."""
    return ServedApp(_service(settings, engine, keyring, meter, books))


class ServedApp:
    """A router with the API's routes; the first request of the documentation imports FastAPI, in a thread."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._router = Router(_routes(service), redirect_slashes=False, lifespan=_lifespan(service))
        self._posted = {
            each.path: partial(each.endpoint, service) for each in ROUTES if each.method == "POST"
        }
        self._api = Envelope(self._route)
        self._with_docs: FastAPI | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or the lifespan, in which the documentation has no part."""
        if scope["type"] == "http" and paths.is_of_docs(scope):
            if not self._with_docs:
                self._with_docs = await asyncio.to_thread(_with_docs, self._service)
            await self._with_docs(scope, receive, send)
        else:
            scope["app"] = self  # so the router raises its errors for `_render`
            await self._api(scope, receive, send)

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; all but what may be streamed is left to the router.

        Its calls would lie between each event of a stream and the socket.
        """
        path = scope.get("path", "").removeprefix(scope.get("root_path", ""))
        if scope.get("method") == "POST" and (endpoint := self._posted.get(path)):
            response = await endpoint(Request(scope, receive, send))
            await response(scope, receive, send)
        else:
            await self._router(scope, receive, send)


def _service(
    settings: Settings, engine: Engine, keyring: Keyring | None, meter: Meter | None, books: Books | None
) -> Service:
    return Service(
        settings=settings,
        engine=engine,
        keyring=keyring or Keyring.of(settings.keys),
        meter=meter or Meter(),
        books=books,
    )


def _routes(service: Service) -> list[Route]:
    return [Route(each.path, partial(each.endpoint, service), methods=[each.method]) for each in ROUTES]


def _lifespan(service: Service) -> Callable[[Any], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: Any) -> AsyncIterator[None]:
        yield
        await service.engine.aclose()

    return lifespan


def _with_docs(service: Service) -> FastAPI:
    from fastapi_offline import FastAPIOffline

    from .api.openapi import describe

    def openapi() -> dict[str, Any]:
        if not app.openapi_schema:
            info = {"title": app.title, "version": app.version, "description": app.description}
            requires_keys = service.keyring.requires_keys
            app.openapi_schema = describe(info, ROUTES, service.settings, requires_keys=requires_keys)
        return app.openapi_schema

    app: FastAPI = FastAPIOffline(
        redoc_url=None,
        title=TITLE,
        version=VERSION,
        description="OpenAI's API, answered by your own model. `model` may be `default`.",
        routes=_routes(service),
        redirect_slashes=False,
        lifespan=_lifespan(service),
        exception_handlers=dict.fromkeys((ApiError, KeyRefused, KeysUnavailable, HTTPException), _render),
        middleware=[Middleware(Envelope)],
        swagger_ui_parameters={"tryItOutEnabled": True, "defaultModelsExpandDepth": 0},
    )
    app.openapi = openapi  # type: ignore[method-assign]
    return app


class Envelope:
    """Give every reply its headers, and a caller of a crash an error instead of a traceback."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request; a failure after the start of its reply is left to the server."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        is_head = scope["method"] == "HEAD"
        state = scope.setdefault("state", {})  # the server's own scope has it too, for `failures.py`
        scope = paths.routed(scope)
        invocation = state["invocation"] = Invocation.begin(scope)
        started = False

        async def send_with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = dict(message["headers"])  # none is there twice
                headers[b"x-request-id"] = invocation.reply_id.encode()
                headers[b"openai-processing-ms"] = b"%d" % round((time.perf_counter() - began) * 1000)
                headers[b"access-control-expose-headers"] = _EXPOSED
                headers[b"x-content-type-options"] = b"nosniff"
                if headers.get(b"content-type") == b"application/json":
                    headers[b"cache-control"] = b"no-store"
                if invocation.account:
                    headers |= Headers(invocation.account.headers).raw
                message = {**message, "headers": list(headers.items())}
            elif is_head:
                message = {**message, "body": b""}
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            if started:
                raise
            response = await _render(Request(scope), error)
            await response(scope, receive, send_with_headers)
        finally:
            if invocation.account:
                await invocation.account.end()


async def _render(request: Request, error: Exception) -> Response:
    if isinstance(error, KeyRefused):
        return _response(InvalidKey(str(error)))
    if isinstance(error, KeysUnavailable):
        return _response(
            ServiceUnavailable(error.for_callers, retry_after_s=error.retry_after_s, code="keys_unavailable")
        )
    if isinstance(error, HTTPException):
        return _response(_of_routing(request, error))
    if isinstance(error, ApiError):
        return _response(error)
    log_unexpected(logger, error)
    return _response(ServerError(_BUG, headers=NO_RETRY))  # an engine may have run the request


def _of_routing(request: Request, error: HTTPException) -> ApiError:
    status = error.status_code
    url = f"({request.method[:20]} {request.url.path[:200]})"
    root = request.scope.get("root_path", "")
    path = request.url.path.removeprefix(root)
    if status == 404 or path == "/":
        meant = paths.advice(path, root)
        return UnknownUrl(f"Invalid URL {url}. {meant}")
    if status == 405:
        allowed = (error.headers or {}).get("Allow", "")
        if "GET" in allowed:
            allowed = "GET, HEAD"
        return MethodNotAllowed(f"Invalid method {url}. Expected {allowed}.", headers={"allow": allowed})
    return (
        ServerError("Something went wrong here.")
        if status >= 500
        else InvalidRequest(f"Invalid request {url}.")
    )


def _response(error: ApiError) -> Response:
    return Response(dump(error.body()), error.status, headers=error.headers, media_type="application/json")
