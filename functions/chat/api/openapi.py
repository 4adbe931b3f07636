"""The document behind `/docs` and `/openapi.json`, made of the routes and of the rules of their requests.

Source: OpenAPI 3.1.1, read 2026-11-26.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from functions.chat.api.chat_schema import CHAT_COMPLETION_REQUEST
from functions.chat.api.checks import Object
from functions.chat.api.completion_schema import COMPLETION_REQUEST
from functions.chat.api.embedding_schema import EMBEDDING_REQUEST
from functions.chat.api.json_schema import REF, add_object
from functions.chat.api.key import DAYS, MOST_DAYS
from functions.chat.api.reply_schema import SCHEMAS, STREAMS
from functions.chat.api.response_schema import DESCRIBED_REQUEST
from functions.chat.api.routes import Route
from functions.chat.models import Model
from functions.chat.settings import Settings

_STREAMS = " Swagger UI shows a stream when it has ended; {} shows it as it arrives."
# The rules of requests, by the path that takes them.
REQUESTS = {
    "/v1/chat/completions": CHAT_COMPLETION_REQUEST,
    "/v1/responses": DESCRIBED_REQUEST,
    "/v1/completions": COMPLETION_REQUEST,
    "/v1/embeddings": EMBEDDING_REQUEST,
}
_MODEL = {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}, "example": "default"}
_DAYS = {
    "name": "days",
    "in": "query",
    "description": "How many days, today's included.",
    "schema": {"type": "integer", "minimum": 1, "maximum": MOST_DAYS, "default": DAYS},
}
# What a path takes beside a body.
_PARAMETERS = {"/v1/models/{model:path}": [_MODEL], "/v1/key/usage": [_DAYS]}


def describe(
    info: Mapping[str, str], routes: Iterable[Route], settings: Settings, *, requires_keys: bool
) -> dict[str, Any]:
    """Return the OpenAPI document.

    Shape:  `info` is its title, version and description. Routes that have no reply to describe, no model that
            serves them, or no keys to be about, are left out. A request has OpenAI's fields, and those of its
            models' engines.
    """
    schemas: dict[str, Any] = dict(SCHEMAS)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        serving = [model for model in settings.listed.values() if route.serves in model.serves]
        if not route.reply or (route.serves and not serving) or (route.of_keys and not requires_keys):
            continue
        operation = _operation(route)
        if rules := REQUESTS.get(route.path):
            name = "default" if settings.default_model in serving else serving[0].id
            schema = _body(rules, route.serves, serving, schemas)
            content = {"schema": schema, "example": {"model": name, **route.example}}
            operation["requestBody"] = {"required": True, "content": {"application/json": content}}
        if requires_keys and not route.needs_key:
            operation["security"] = []
        path = route.path.replace(":path}", "}")
        paths.setdefault(path, {})[route.method.lower()] = operation
    components = {"schemas": schemas}
    live = "the [page at /](./)" if settings.page else "`curl -N`"
    info = {**info, "description": info["description"] + _STREAMS.format(live)}
    document: dict[str, Any] = {"openapi": "3.1.0", "info": info, "paths": paths, "components": components}
    if requires_keys:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"key": []}]
    return document


def _body(rules: Object, serves: str, serving: list[Model], schemas: dict[str, Any]) -> dict[str, Any]:
    """Add the schema of a request, with the fields that only engines know; return its reference."""
    reference = add_object(rules, schemas)
    described = schemas[rules.name]
    described["additionalProperties"] = False
    for model in serving:
        kinds = {
            "chat": model.kind.own,
            "completions": model.kind.text_fields,
            "embeddings": frozenset[str](),
        }
        for name in sorted(kinds[serves] | model.extra_fields):
            only = {"description": "Only for models whose engine reads it."}
            described["properties"].setdefault(name, only)
    return reference


def _operation(route: Route) -> dict[str, Any]:
    reply: dict[str, Any] = {"application/json": {"schema": {"$ref": REF + route.reply}}}
    if route.reply in STREAMS:
        reply["text/event-stream"] = {"example": STREAMS[route.reply]}
    error = {"application/json": {"schema": {"$ref": REF + "Error"}}}
    return {
        "tags": ["Chat"],
        "summary": route.summary,
        "description": route.endpoint.__doc__ or "",
        "operationId": route.endpoint.__name__,
        "parameters": _PARAMETERS.get(route.path, []),
        "responses": {
            "200": {"description": "The answer.", "content": reply},
            "4XX": {"description": "The request cannot be answered as it is.", "content": error},
            "5XX": {"description": "The engine or this API failed.", "content": error},
        },
    }
