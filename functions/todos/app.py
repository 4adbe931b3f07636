"""The todo API as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from functions.shared.keys import Keyring, authorization_in
from functions.shared.limit_headers import exposed_headers
from functions.shared.limits import Ledger

from . import graphql_http
from .admission import Admission, Caller
from .errors import ApiError
from .execution import Executor
from .graphiql import GraphiQL
from .resolvers import create_schema
from .settings import Settings
from .todos import Store, Todos

# What a web page of another origin may read of a reply, beside its content.
EXPOSED = exposed_headers("requests")


class ManagedStore(Store, Protocol):
    """A store that is opened and closed with the application."""

    async def open(self) -> None: ...

    async def aclose(self) -> None: ...


def create_app(
    settings: Settings, store: ManagedStore, keyring: Keyring | None = None, ledger: Ledger | None = None
) -> Starlette:
    """Return the todo API: it owns the store and closes it when it shuts down.

    Without a keyring, the settings' keys are accepted; without a ledger, no requests are counted.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await store.open()
        yield
        await store.aclose()

    graphiql = GraphiQL(settings.graphiql) if settings.graphiql else None
    keyring = keyring or Keyring.of(settings.keys)
    routes = [Route("/graphql", _Endpoint(settings, store, Admission(keyring, ledger), graphiql))]
    if graphiql:

        async def asset(request: Request) -> Response:
            found = graphiql.file(request.path_params["name"])
            return found or PlainTextResponse("There is no such file.", 404)

        routes.append(Route("/graphql/assets/{name}", asset))
    return Starlette(routes=routes, lifespan=lifespan)


class _Endpoint:
    """`/graphql`: GraphQL for clients, GraphiQL for browsers."""

    def __init__(
        self, settings: Settings, store: Store, admission: Admission, graphiql: GraphiQL | None
    ) -> None:
        self._store, self._admission = store, admission
        self._max_body_bytes = settings.limits.max_body_bytes
        self._page = graphiql.page if graphiql else None
        self._executor = Executor(create_schema(), settings.limits, introspection=settings.introspection)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if self._page and graphql_http.wants_page(request):
            response = self._page()
        else:
            response = await self._respond(request)
        await response(scope, receive, send)

    async def _respond(self, request: Request) -> Response:
        media_type, caller = graphql_http.JSON, Caller()
        try:
            media_type = graphql_http.media_type_for(request.headers.get("accept", ""))
            caller = await self._admission.admit(authorization_in(request.headers))
            parsed = await graphql_http.read_request(request, self._max_body_bytes)
            outcome = await self._executor.execute(parsed, Todos(self._store, caller.owner))
        except ApiError as error:
            headers = {**caller.headers, **error.headers}
            return graphql_http.response_of(graphql_http.outcome_of(error), media_type, headers)
        return graphql_http.response_of(outcome, media_type, caller.headers)
