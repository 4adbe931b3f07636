"""The functions under test: one ASGI app that does what its path says, and a few plain handlers."""

import asyncio
import json
import logging
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lambda_stream import Failure, StreamingHandler, trace_id

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]

SSE = [(b"content-type", b"text/event-stream; charset=utf-8")]
TEXT = [(b"content-type", b"text/plain")]


@dataclass
class Exchange:
    """One request and the way back."""

    scope: Any
    receive: Receive
    send: Send

    async def start(self, headers: list[tuple[bytes, bytes]] = TEXT, status: int = 200) -> None:
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def body(self, data: Any = b"", more: bool = False) -> None:
        await self.send({"type": "http.response.body", "body": data, "more_body": more})


Behaviour = Callable[[Exchange], Awaitable[Any]]
BEHAVIOURS: dict[str, Behaviour] = {}


def behaviour(function: Behaviour) -> Behaviour:
    """Serve a path named like the function."""
    BEHAVIOURS["/" + function.__name__.replace("_", "-")] = function
    return function


def note(text: str) -> None:
    """Write down what happened, and when on the clock that all processes share."""
    with Path(os.environ["NOTES"]).open("a") as notes:
        notes.write(f"{time.monotonic()} {text}\n")


@behaviour
async def hello(http: Exchange) -> None:
    await http.start()
    await http.body(b"hello", more=True)
    await http.body(b" world")


@behaviour
async def paced(http: Exchange) -> None:
    await http.start(SSE)
    for number in range(3):
        await asyncio.sleep(0.15)
        await http.body(b"data: %d\n\n" % number, more=True)
    await http.body()


@behaviour
async def numbered(http: Exchange) -> None:
    request_id = http.scope["aws.context"].aws_request_id
    await http.start()
    for turn in range(20):
        await http.body(b"%d of %s, " % (turn, request_id.encode()), more=True)
        await asyncio.sleep(0.02)
    await http.body(b"query " + http.scope["query_string"])


@behaviour
async def logs(http: Exchange) -> None:
    """Log in the app's task, in another and in a thread, each with what the request's own query says."""
    name = http.scope["query_string"].decode()

    async def beside() -> None:
        await asyncio.sleep(0.01)
        logging.warning("task %s", name)

    await http.start()
    for _ in range(5):
        logging.warning("app %s", name)
        await asyncio.gather(beside(), asyncio.to_thread(logging.warning, "thread %s", name))
    await http.body(f"{trace_id()} {os.environ.get('_X_AMZN_TRACE_ID')}".encode())


@behaviour
async def exits(_http: Exchange) -> None:
    raise SystemExit(3)


@behaviour
async def exits_in_a_task(http: Exchange) -> None:
    async def leave() -> None:
        raise SystemExit(3)

    task = asyncio.create_task(leave())
    await asyncio.wait({task})
    await hello(http)


@behaviour
async def echo(http: Exchange) -> None:
    request = await http.receive()
    await http.start([(b"content-type", b"application/octet-stream")])
    await http.body(request["body"])


@behaviour
async def state(http: Exchange) -> None:
    context = http.scope["aws.context"]
    lines = [
        str(http.scope["state"]["started"]),
        str(id(asyncio.get_running_loop())),
        os.environ.get("_X_AMZN_TRACE_ID", "none"),
        context.aws_request_id,
        str(context.get_remaining_time_in_millis() > 0),
        http.scope["asgi"]["spec_version"],
        str(len(asyncio.all_tasks())),
        str([name for name, _ in http.scope["headers"] if name == b"accept-encoding"]),
    ]
    await http.start()
    await http.body("\n".join(lines).encode())


@behaviour
async def raise_before(_http: Exchange) -> None:
    raise KeyError("a secret of the caller")


@behaviour
async def raise_after(http: Exchange) -> None:
    await http.start()
    await http.body(b"half", more=True)
    raise KeyError("a secret of the caller")


@behaviour
async def raise_after_event(http: Exchange) -> None:
    await http.start(SSE)
    await http.body(b"data: 1\n\n", more=True)
    raise KeyError("a secret of the caller")


@behaviour
async def raise_within_event(http: Exchange) -> None:
    await http.start(SSE)
    await http.body(b"data: 1", more=True)
    raise KeyError("a secret of the caller")


@behaviour
async def raise_when_complete(http: Exchange) -> None:
    await hello(http)
    raise KeyError("a secret of the caller")


@behaviour
async def never_starts(_http: Exchange) -> None:
    pass


@behaviour
async def never_finishes(http: Exchange) -> None:
    await http.start()
    await http.body(b"half", more=True)


@behaviour
async def returns_a_value(http: Exchange) -> str:
    await hello(http)
    return "a value"


@behaviour
async def starts_twice(http: Exchange) -> None:
    await http.start()
    await http.start()


@behaviour
async def body_first(http: Exchange) -> None:
    await http.body(b"too early")


@behaviour
async def wrong_type(http: Exchange) -> None:
    await http.send({"type": "websocket.accept"})


@behaviour
async def text_body(http: Exchange) -> None:
    await http.start()
    await http.body("text, not bytes")


@behaviour
async def sends_after_end(http: Exchange) -> None:
    await hello(http)
    await http.body(b"more")


@behaviour
async def silent(_http: Exchange) -> None:
    try:
        await asyncio.sleep(60)
    finally:
        note("stopped")


@behaviour
async def stalls_after_event(http: Exchange) -> None:
    await http.start(SSE)
    await http.body(b"data: 1\n\n", more=True)
    await silent(http)


@behaviour
async def stalls_after_text(http: Exchange) -> None:
    await http.start()
    await http.body(b"half", more=True)
    await silent(http)


@behaviour
async def stubborn(_http: Exchange) -> None:
    until = time.monotonic() + 2
    while time.monotonic() < until:
        try:
            await asyncio.sleep(2)
        except asyncio.CancelledError:
            note("ignored")


@behaviour
async def listens(http: Exchange) -> None:
    await http.receive()
    await http.start(SSE)
    await http.body(b"data: 1\n\n", more=True)
    assert (await http.receive())["type"] == "http.disconnect"
    assert (await http.receive())["type"] == "http.disconnect"
    note("disconnected")
    try:
        await http.body(b"data: 2\n\n", more=True)
    except OSError:
        note("oserror")


@behaviour
async def empty(http: Exchange) -> None:
    await http.start()
    await http.body()


@behaviour
async def no_content(http: Exchange) -> None:
    await http.start([], 204)
    await http.body(b"not allowed")


@behaviour
async def not_modified(http: Exchange) -> None:
    await http.start([(b"etag", b'"1"')], 304)
    await http.body()


@behaviour
async def redirect(http: Exchange) -> None:
    await http.start([(b"Location", b"/hello"), (b"content-length", b"0")], 307)
    await http.body()


@behaviour
async def buffers(http: Exchange) -> None:
    reused = bytearray(b"one")
    await http.start()
    await http.body(reused, more=True)
    reused[:] = b"xxx"
    await http.body(b"", more=True)
    await http.body(memoryview(b"a two")[2:], more=True)
    await http.body(bytearray(), more=True)
    await http.body(b"three")


@behaviour
async def headers(http: Exchange) -> None:
    several = [
        (b"X-Name", b"caf\xe9"),
        (b"vary", b"origin"),
        (b"Vary", b"accept"),
        (b"set-cookie", b"a=1; Path=/"),
        (b"Set-Cookie", b"b=2"),
        (b"Content-Length", b"2"),
        (b"connection", b"keep-alive"),
        (b"transfer-encoding", b"chunked"),
        (b"content-encoding", b"identity"),
    ]
    await http.start(several)
    await http.body(b"ok")


@behaviour
async def large_prelude(http: Exchange) -> None:
    await http.start([(b"x-large", b"x" * 17_000)])
    await http.body(b"ok")


@behaviour
async def encoded(http: Exchange) -> None:
    await http.start([(b"content-encoding", b"gzip")])
    await http.body(b"\x1f\x8b")


@behaviour
async def flood(http: Exchange) -> None:
    block = b"x" * int(http.scope["query_string"])
    await http.start()
    for _ in range(200_000_000 // len(block)):
        await http.body(block, more=True)
    await http.body()


@behaviour
async def large(http: Exchange) -> None:
    await http.start()
    await http.body(b"x" * int(http.scope["query_string"]))


async def app(scope: Any, receive: Receive, send: Send) -> Any:
    if scope["type"] == "lifespan":
        return await lifespan(scope, receive, send)
    return await BEHAVIOURS[scope["path"]](Exchange(scope, receive, send))


async def lifespan(scope: Any, receive: Receive, send: Send) -> None:
    await receive()
    scope["state"]["started"] = time.monotonic()
    note("startup")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    note("shutdown")
    await send({"type": "lifespan.shutdown.complete"})


async def broken_lifespan_app(_scope: Any, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database"})


async def no_lifespan_app(scope: Any, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http"
    await hello(Exchange(scope, receive, send))


def starlette_app() -> Any:
    from starlette.applications import Starlette
    from starlette.responses import StreamingResponse
    from starlette.routing import Route

    async def events() -> AsyncIterator[bytes]:
        try:
            for number in range(100):
                yield b"data: %d\n\n" % number
                await asyncio.sleep(0.05)
        finally:
            note("engine closed")

    async def endpoint(_request: object) -> StreamingResponse:
        return StreamingResponse(events(), media_type="text/event-stream")

    return Starlette(routes=[Route("/events", endpoint)])


def ending(failure: Failure) -> bytes:
    """End a body with what the hook sees."""
    assert failure.scope is not None
    seen = [failure.kind, failure.scope["path"], failure.content_type, failure.last.decode()]
    return json.dumps(seen).encode()


def broken(failure: Failure) -> bytes:
    raise KeyError(failure.kind)


handler = StreamingHandler(app)
hooked = StreamingHandler(
    app,
    on_failure=ending,
    error_body=lambda failure: json.dumps({"failed": failure.kind}).encode(),
    error_headers={"x-failed": "yes"},
)
broken_hook = StreamingHandler(app, on_failure=broken, error_body=broken)
rest_only = StreamingHandler(app, streams=["APIGateway"])
broken_lifespan = StreamingHandler(broken_lifespan_app)
no_lifespan = StreamingHandler(no_lifespan_app)
required_lifespan = StreamingHandler(no_lifespan_app, lifespan="on")


def decorated(event: Any, context: Any) -> Any:
    """Stand before an app, as Powertools' decorators do."""
    note(f"called {context.aws_request_id}")
    return handler(event, context)


def blocking(event: Any, context: Any) -> Any:
    """Hold a thread for as long as the event says."""
    began = time.monotonic()
    time.sleep(event["sleep"])
    print(f"slept {context.aws_request_id}")
    logging.warning("slept %s", context.aws_request_id)
    current = threading.current_thread()
    asyncio.get_event_loop().run_until_complete(asyncio.sleep(0))
    return {"thread": current.name, "began": began, "ended": time.monotonic(), "trace": trace_id()}


async def asynchronous(event: Any, context: Any) -> Any:
    try:
        await asyncio.sleep(event["sleep"])
    except asyncio.CancelledError:
        note(f"cancelled {context.aws_request_id}")
        raise
    if "raise" in event:
        raise ValueError(event["raise"])
    return {"request": context.aws_request_id, "thread": threading.current_thread().name}


def plain(event: Any, context: Any) -> Any:
    match event:
        case {"raise": text}:
            raise ValueError(text)
        case {"unencodable": _}:
            return object()
        case {"stop": _}:
            raise StopIteration("nothing is left")
        case {"cancel": _}:
            raise asyncio.CancelledError
        case {"loop": _}:
            return asyncio.run(asyncio.sleep(0, "own loop"))
    return {"event": event, "request": context.aws_request_id, "name": context.function_name}
