"""The todo API as an ASGI application."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Protocol

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from functions.shared.keys import KeyRefused, Keyring

from . import graphql_http
from .errors import ApiError, Unauthenticated
from .execution import Executor
from .graphiql import GraphiQL
from .resolvers import create_schema
from .settings import Settings
from .todos import Store, Todos


class ManagedStore(Store, Protocol):
    """A store that is opened and closed with the application."""

    async def open(self) -> None: ...

    async def aclose(self) -> None: ...


def create_app(settings: Settings, store: ManagedStore) -> Starlette:
    """Return the todo API: it owns the store and closes it when it shuts down."""

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await store.open()
        yield
        await store.aclose()

    graphiql = GraphiQL(settings.graphiql) if settings.graphiql else None
    routes = [Route("/graphql", _Endpoint(settings, Todos(store), graphiql))]
    if graphiql:
        routes.append(Route("/graphql/assets/{name}", _assets(graphiql)))
    return Starlette(routes=routes, lifespan=lifespan)


class _Endpoint:
    """`/graphql`: GraphQL for clients, GraphiQL for browsers."""

    def __init__(self, settings: Settings, todos: Todos, graphiql: GraphiQL | None) -> None:
        self._keyring = Keyring(settings.keys)
        self._max_body_bytes = settings.limits.max_body_bytes
        self._page = graphiql.page if graphiql else None
        self._executor = Executor(
            create_schema(), todos, settings.limits, introspection=settings.introspection
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        if self._page and graphql_http.wants_page(request):
            response = self._page()
        else:
            response = await self._answer(request)
        await response(scope, receive, send)

    async def _answer(self, request: Request) -> Response:
        media_type = graphql_http.JSON
        try:
            media_type = graphql_http.media_type_for(request.headers.get("accept", ""))
            self._check_key(request)
            asked = await graphql_http.read_request(request, self._max_body_bytes)
            outcome = await self._executor.execute(asked)
        except ApiError as error:
            return graphql_http.response_of(graphql_http.outcome_of(error), media_type, error.headers)
        return graphql_http.response_of(outcome, media_type)

    def _check_key(self, request: Request) -> None:
        try:
            self._keyring.models_for(request.headers.get("authorization"))
        except KeyRefused as refused:
            raise Unauthenticated(str(refused)) from None


def _assets(graphiql: GraphiQL) -> Callable[[Request], Awaitable[Response]]:
    async def asset(request: Request) -> Response:
        found = graphiql.file(request.path_params["name"])
        return found or PlainTextResponse("There is no such file.", 404)

    return asset
