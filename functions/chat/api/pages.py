"""`GET /`, the files of its page, `GET /health`. `/docs` and `/openapi.json` come with the app."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from functions.shared.accept import prefers_html
from functions.shared.version import VERSION

from .service import Service


async def index(service: Service, request: Request) -> Response:
    """Return the chat page to a browser, and to a program what is served here."""
    page = service.settings.page
    if page and prefers_html(request.headers.get("accept", "")):
        from .chat_page import page_in  # only a browser needs it

        return page_in(page).document(request)
    root = str(request.base_url).rstrip("/")
    routes = [each for each in request.app.routes if isinstance(each, Route) and each.path.startswith("/v1")]
    return JSONResponse(
        {
            "name": request.app.title,
            "version": VERSION,
            "base_url": f"{root}/v1",
            "endpoints": [f"{method} {each.path_format}" for each in routes for method in each.methods or ()],
            "models": f"{root}/v1/models",
            "docs": f"{root}/docs",
            "openapi": f"{root}/openapi.json",
            **({"chat": f"{root}/"} if page else {}),
        },
        headers={"vary": "accept"},
    )


async def page_file(service: Service, request: Request) -> Response:
    """Return a file that the chat page loads."""
    if not service.settings.page:
        return PlainTextResponse("There is no such file.", 404)
    from .chat_page import page_in

    return page_in(service.settings.page).file(request)


async def health(_: Service, __: Request) -> Response:
    """Report that the function runs; no engine is called."""
    return JSONResponse({"status": "ok"})
