"""One function for each framework, imported when its handler is named; all have the same routes.

`/hello` returns text, `/stream` three events 0.1 s apart (where the framework can), `/echo` the JSON that it
is sent, `/fails` raises.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from lambda_stream import StreamingHandler

PAUSE_S = 0.1
TEXT, EVENTS = "text/plain", "text/event-stream"


async def events() -> AsyncIterator[bytes]:
    for number in range(3):
        yield b"data: %d\n\n" % number
        await asyncio.sleep(PAUSE_S)


def blocking_events() -> Iterator[bytes]:
    for number in range(3):
        yield b"data: %d\n\n" % number
        time.sleep(PAUSE_S)


def starlette() -> Any:
    from starlette.applications import Starlette
    from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
    from starlette.routing import Route

    async def hello(_: Any) -> Any:
        return PlainTextResponse("hello")

    async def stream(_: Any) -> Any:
        return StreamingResponse(events(), media_type=EVENTS)

    async def echo(request: Any) -> Any:
        return JSONResponse(await request.json())

    async def fails(_: Any) -> Any:
        raise ValueError

    return Starlette(
        routes=[
            Route("/hello", hello),
            Route("/stream", stream),
            Route("/echo", echo, methods=["POST"]),
            Route("/fails", fails),
        ]
    )


def fastapi() -> Any:
    from fastapi import Body, FastAPI
    from fastapi.responses import PlainTextResponse, StreamingResponse

    app = FastAPI()

    @app.get("/hello")
    def hello() -> Any:
        return PlainTextResponse("hello")

    @app.get("/stream")
    def stream() -> Any:
        return StreamingResponse(blocking_events(), media_type=EVENTS)

    @app.post("/echo")
    def echo(body: Any = Body()) -> Any:  # noqa: B008 - how FastAPI is used
        return body

    @app.get("/fails")
    def fails() -> Any:
        raise ValueError

    return app


def sse_starlette() -> Any:
    from sse_starlette.sse import EventSourceResponse
    from starlette.routing import Route

    async def numbers() -> AsyncIterator[dict[str, str]]:
        async for event in events():
            yield {"data": event.decode().removeprefix("data: ").strip()}

    async def stream(_: Any) -> Any:
        return EventSourceResponse(numbers(), sep="\n")

    app = starlette()
    app.router.routes.insert(0, Route("/stream", stream))
    return app


def litestar() -> Any:
    from litestar import Litestar, MediaType, get, post
    from litestar.response import Stream

    @get("/hello", media_type=MediaType.TEXT)
    async def hello() -> str:
        return "hello"

    @get("/stream")
    async def stream() -> Stream:
        return Stream(events(), media_type=EVENTS)

    @post("/echo", status_code=200)
    async def echo(data: dict[str, Any]) -> dict[str, Any]:
        return data

    @get("/fails")
    async def fails() -> None:
        raise ValueError

    return Litestar([hello, stream, echo, fails])


def quart() -> Any:
    from quart import Quart, Response, request

    app = Quart("app")

    @app.get("/hello")
    async def hello() -> Any:
        return Response("hello", content_type=TEXT)

    @app.get("/stream")
    async def stream() -> Any:
        return Response(events(), content_type=EVENTS)

    @app.post("/echo")
    async def echo() -> Any:
        return await request.get_json()

    @app.get("/fails")
    async def fails() -> Any:
        raise ValueError

    return app


def sanic() -> Any:
    from sanic import Sanic, response

    app = Sanic("app", configure_logging=False)

    @app.get("/hello")
    async def hello(_: Any) -> Any:
        return response.text("hello")

    @app.get("/stream")
    async def stream(request: Any) -> Any:
        sending = await request.respond(content_type=EVENTS)
        async for event in events():
            await sending.send(event)

    @app.post("/echo")
    async def echo(request: Any) -> Any:
        return response.json(request.json)

    @app.get("/fails")
    async def fails(_: Any) -> Any:
        raise ValueError

    return app


def blacksheep() -> Any:
    from blacksheep import Application, Response, StreamedContent, text
    from blacksheep.server.responses import json as json_response

    app = Application()

    async def hello() -> Any:
        return text("hello")

    async def stream() -> Any:
        return Response(200, content=StreamedContent(EVENTS.encode(), events))

    async def echo(request: Any) -> Any:
        return json_response(await request.json())

    async def fails() -> Any:
        raise ValueError

    app.router.add_get("/hello", hello)
    app.router.add_get("/stream", stream)
    app.router.add_post("/echo", echo)
    app.router.add_get("/fails", fails)
    return app


def django() -> Any:
    from django.conf import settings
    from django.core.asgi import get_asgi_application
    from django.http import HttpResponse, JsonResponse, StreamingHttpResponse
    from django.urls import path
    from django.views.decorators.csrf import csrf_exempt

    async def hello(_: Any) -> Any:
        return HttpResponse("hello", content_type=TEXT)

    async def stream(_: Any) -> Any:
        return StreamingHttpResponse(events(), content_type=EVENTS)

    async def echo(request: Any) -> Any:
        return JsonResponse(json.loads(request.body))

    async def fails(_: Any) -> Any:
        raise ValueError

    views = {"hello": hello, "stream": stream, "echo": csrf_exempt(echo), "fails": fails}
    urls = type("urls", (), {"urlpatterns": [path(name, view) for name, view in views.items()]})
    settings.configure(ROOT_URLCONF=urls, ALLOWED_HOSTS=["*"], SECRET_KEY="not a secret")
    return get_asgi_application()


def _flask() -> Any:
    from flask import Flask, Response, request

    app = Flask("app")

    @app.get("/hello")
    def hello() -> Any:
        return Response("hello", content_type=TEXT)

    @app.get("/stream")
    def stream() -> Any:
        return Response(blocking_events(), content_type=EVENTS)

    @app.post("/echo")
    def echo() -> Any:
        return request.get_json()

    @app.get("/fails")
    def fails() -> Any:
        raise ValueError

    return app


def flask_a2wsgi() -> Any:
    from a2wsgi import WSGIMiddleware

    return WSGIMiddleware(_flask())


def flask_asgiref() -> Any:
    from asgiref.wsgi import WsgiToAsgi

    return WsgiToAsgi(_flask())


def opentelemetry() -> Any:
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    return OpenTelemetryMiddleware(starlette())


def structlog() -> Any:
    import logging.config

    import structlog as library

    library.configure(logger_factory=library.stdlib.LoggerFactory())
    logging.config.dictConfig({"version": 1})
    return starlette()


def uvloop() -> Any:
    import uvloop as library
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    library.install()

    async def loop(_: Any) -> Any:
        return PlainTextResponse(type(asyncio.get_running_loop()).__module__)

    app = starlette()
    app.router.routes.append(Route("/loop", loop))
    return app


def mcp() -> Any:
    from mcp.server.mcpserver import MCPServer
    from mcp.server.transport_security import TransportSecuritySettings

    security = TransportSecuritySettings(allowed_hosts=["abc123.lambda-url.eu-central-1.on.aws"])
    server = MCPServer("server")

    @server.tool()
    async def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    return server.streamable_http_app(stateless_http=True, transport_security=security)


def xray() -> Any:
    from aws_xray_sdk.core import xray_recorder
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def trace(_: Any) -> Any:
        return PlainTextResponse(str(xray_recorder.current_segment().trace_id))

    app = starlette()
    app.router.routes.append(Route("/trace", trace))
    return app


def powertools(stream: StreamingHandler) -> Callable[[Any, Any], Any]:
    """Decorate a handler as Powertools' documentation does."""
    from aws_lambda_powertools import Logger, Metrics

    logger, metrics = Logger(service="service"), Metrics(namespace="namespace", service="service")

    @logger.inject_lambda_context(log_event=False)
    @metrics.log_metrics(capture_cold_start_metric=True)
    def handler(event: Any, context: Any) -> Any:
        logger.info("decorated")
        return stream(event, context)

    return handler


def __getattr__(name: str) -> Any:
    """Make the handler of a framework: `<its function>_handler`."""
    framework, _, suffix = name.rpartition("_")
    if suffix != "handler":
        raise AttributeError(name)
    if framework == "powertools":
        return powertools(StreamingHandler(starlette()))
    return StreamingHandler(globals()[framework]())
