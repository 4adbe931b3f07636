"""The least of its kind: Starlette and Mangum on the streaming layer, with httpx imported."""

from __future__ import annotations

from typing import Any

import httpx  # noqa: F401 - imported for its cost alone
from mangum import Mangum
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


async def hello(_: Request) -> JSONResponse:
    """Say hello."""
    return JSONResponse({"hello": "world"})


handler: Any = Mangum(Starlette(routes=[Route("/", hello)]))
