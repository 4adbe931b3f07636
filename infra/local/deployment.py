"""What is deployed on this machine: which functions, with which settings, behind which paths."""

import json
from collections.abc import Mapping
from dataclasses import replace

from infra.local.lambda_service.function import LambdaFunction
from infra.local.services.models import (
    EMBEDDING_KEY_VARIABLE,
    FALLBACK_KEY_VARIABLE,
    KEY_VARIABLE,
    Models,
)
from infra.local.settings import CONCURRENCY, Settings
from infra.paths import ROOT

_PAGES = ROOT / ".local"


def chat_function(settings: Settings, models: Models) -> LambdaFunction:
    """Return the chat function, with these models."""
    added = {
        "media_hosts": settings.media_hosts,
        "extra_fields": settings.extra_fields,
        "prices": settings.prices,
    }
    table = {
        name: {**entry, **{member: value for member, value in added.items() if value}}
        for name, entry in models.items()
    }
    limits = {"MAX_BODY_BYTES": settings.max_body_bytes, "MAX_EVENT_BYTES": settings.max_event_bytes}
    environment = {
        "MODELS": json.dumps(table),
        "METRICS": "local",
        "CHAT_PAGE": str(_PAGES / "chat-page"),
        **{variable: str(limit) for variable, limit in limits.items() if limit},
    }
    keys = {
        KEY_VARIABLE: settings.backend_key,
        FALLBACK_KEY_VARIABLE: settings.fallback_key,
        EMBEDDING_KEY_VARIABLE: settings.embedding_key,
    }
    environment |= {variable: key for variable, key in keys.items() if key}
    environment |= settings.engine_variables
    if not (settings.backend or settings.models):
        environment["MAX_N"] = "4"
    return LambdaFunction(
        name="chat",
        handler="functions/chat/handler.handler",
        environment=environment,
        timeout_s=settings.timeout_s,
        concurrency=settings.chat_concurrency,
        per_environment=settings.per_environment,
    )


def todos_function(settings: Settings, database_url: str) -> LambdaFunction:
    """Return the todo function, with this database."""
    return LambdaFunction(
        name="todos",
        handler="functions/todos/handler.handler",
        environment={
            "DATABASE_URL": database_url,
            "GRAPHIQL": str(_PAGES / "graphiql"),
        },
        timeout_s=30,
        concurrency=settings.concurrency or CONCURRENCY,
    )


def routes(
    settings: Settings, models: Models, database_url: str, keys: Mapping[str, str] | None = None
) -> list[tuple[str, LambdaFunction]]:
    """Return (path prefix, function) for everything that is deployed; the first that matches wins.

    Shape:  without a database no todo function. `keys` are the variables with which functions reach the
            keys; without them no function requires one.
    """
    todos = [("/graphql", todos_function(settings, database_url))] if database_url else []
    deployed = [*todos, ("/", chat_function(settings, models))]
    shared = {**(keys or {}), **({"CORS_ORIGINS": settings.cors_origins} if settings.cors_origins else {})}
    return [
        (prefix, replace(function, environment={**function.environment, **shared}))
        for prefix, function in deployed
    ]
