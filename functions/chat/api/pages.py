"""`GET /health`. `/docs` and `/openapi.json` come with the app."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from .service import Service


async def health(_: Service, __: Request) -> Response:
    """Report that the function runs; no engine is called."""
    return JSONResponse({"status": "ok"})
