"""Call an endpoint of the app, with an engine that sends given bytes."""

from __future__ import annotations

import json
from typing import Any

import httpx

from functions.chat.app import create_served_app
from functions.chat.engines.engine import joined
from functions.chat.models import Model
from tests.engines import schema
from tests.unit.chat.fakes import FakeEngine, settings


async def post(
    path: str, body: Any, *models: Model, engine: FakeEngine, key: str = "", **changes: Any
) -> httpx.Response:
    """Return the reply to a request."""
    app = create_served_app(settings(*models, **changes), engine)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://chat") as client:
        headers = {"content-type": "application/json", "x-api-key": key}
        return await client.post(path, content=json.dumps(body), headers=headers)


def sent(engine: FakeEngine) -> dict[str, Any]:
    """Return the body of the one request that the engine got."""
    (request,) = engine.requests
    body: dict[str, Any] = json.loads(joined(request.body))
    return body


def error_of(reply: httpx.Response) -> tuple[int, str | None, str | None, str]:
    """Return the status, code, param and message of an error."""
    error = schema.validate_error(reply.json())
    return reply.status_code, error["code"], error["param"], error["message"]
