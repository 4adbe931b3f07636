"""`GET /`, `GET /usage` and their files, `GET /health`. `/docs` and `/openapi.json` are FastAPI's."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from functions.shared.accept import prefers_html
from functions.shared.version import VERSION

from .service import Service

TITLE = "Chatbot API"


async def index(service: Service, request: Request) -> Response:
    """Return the chat page to a browser, and to a program what is served here."""
    page = service.settings.page
    if page and prefers_html(request.headers.get("accept", "")):
        from .browser_pages import pages_in  # only a browser needs them

        return pages_in(page).document("chat", request)
    root = str(request.base_url).rstrip("/")
    routes = [each for each in request.scope["router"].routes if each.path.startswith("/v1")]
    return JSONResponse(
        {
            "name": TITLE,
            "version": VERSION,
            "base_url": f"{root}/v1",
            "endpoints": [
                f"{method} {each.path_format}" for each in routes for method in each.methods - {"HEAD"}
            ],
            "models": f"{root}/v1/models",
            "docs": f"{root}/docs",
            "openapi": f"{root}/openapi.json",
            **({"chat": f"{root}/", "usage": f"{root}/usage"} if page else {}),
        },
        headers={"vary": "accept"},
    )


async def usage_page(service: Service, request: Request) -> Response:
    """Return the page on which a caller sees what a key has used."""
    if not service.settings.page:
        raise HTTPException(404)
    from .browser_pages import pages_in

    return pages_in(service.settings.page).document("usage", request)


async def page_file(service: Service, request: Request) -> Response:
    """Return a file that a page loads."""
    if not service.settings.page:
        return PlainTextResponse("There is no such file.", 404)
    from .browser_pages import pages_in

    return pages_in(service.settings.page).file(request)


async def health(_: Service, __: Request) -> Response:
    """Report that the function runs; no engine is called."""
    return JSONResponse({"status": "ok"})
