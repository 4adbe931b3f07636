"""Functions as the field reports them: decorated, switched, with loggers and event loops of their own."""

import asyncio
import functools
import logging
import logging.config
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from lambda_stream import StreamingHandler

from tests.integration.streaming.apps import BEHAVIOURS, Exchange, app, behaviour, note

SECRET = "a secret of the caller"


@behaviour
async def header_line_break(http: Exchange) -> None:
    await http.start([(b"x-a", b"1\r\nset-cookie: evil=1")])
    await http.body(b"never")


@behaviour
async def header_name_with_space(http: Exchange) -> None:
    await http.start([(b"x a", b"1")])
    await http.body(b"never")


@behaviour
async def cookie_line_break(http: Exchange) -> None:
    await http.start([(b"set-cookie", b"a=1\nb")])
    await http.body(b"never")


@behaviour
async def informational(http: Exchange) -> None:
    await http.start([], 103)
    await http.body(b"never")


@behaviour
async def unicode_header(http: Exchange) -> None:
    await http.start([(b"x-a", "grün ✓".encode()), (b"x-b", b"caf\xe9"), (b"set-cookie", "a=ü".encode())])
    await http.body(b"kept")


@behaviour
async def exits(_http: Exchange) -> None:
    sys.exit(3)


@behaviour
async def interrupts(_http: Exchange) -> None:
    raise KeyboardInterrupt


@behaviour
async def exits_in_a_task(http: Exchange) -> None:
    async def leave() -> None:
        sys.exit(3)

    task = asyncio.ensure_future(leave())
    await asyncio.wait([task])
    await http.start()
    await http.body(b"still here")


@behaviour
async def exits_in_a_group(_http: Exchange) -> None:
    async def leave() -> None:
        sys.exit(3)

    async with asyncio.TaskGroup() as group:
        group.create_task(leave())


@behaviour
async def raise_value_error(_http: Exchange) -> None:
    try:
        raise KeyError("cause")
    except KeyError as error:
        raise ValueError(SECRET) from error


@behaviour
async def logs(http: Exchange) -> None:
    def log(text: str) -> None:
        logging.getLogger("app").warning(text)

    log("from the app")
    await asyncio.to_thread(log, "from a worker thread")
    bare = threading.Thread(target=log, args=("from a bare thread",))
    bare.start()
    bare.join()
    await http.start()
    await http.body()


def decorated(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """Do what Powertools' decorators do: call the handler, look at its result, return it."""

    @functools.wraps(function)
    def wrapper(event: Any, context: Any) -> Any:
        note(f"before {context.aws_request_id}")
        result = function(event, context)
        note(f"after {result.get('statusCode')}")
        return result

    return wrapper


stream = StreamingHandler(app)


@decorated
def handler(event: Any, context: Any) -> Any:
    return stream(event, context)


def hidden(event: Any, context: Any) -> Any:
    """Call a handler that the runtime cannot see before its first request."""
    return globals()["lazily"](event, context)


lazily = StreamingHandler(app)


class Noted(StreamingHandler):
    """Decorated by inheritance."""

    def __call__(self, event: Any, context: Any) -> Any:
        return decorated(super().__call__)(event, context)


noted = Noted(app)


def threaded(event: Any, context: Any) -> Any:
    """Call a handler in a thread, as decorators do that limit its time."""
    with ThreadPoolExecutor(1) as threads:
        return threads.submit(stream, event, context).result()


@decorated
def raises_afterwards(event: Any, context: Any) -> Any:
    stream(event, context)
    raise ValueError("too late")


def calls_twice(event: Any, context: Any) -> Any:
    stream(event, context)
    return stream(event, context)


def on_event(event: Any, context: Any) -> Any:
    if "raise" in event:
        raise ValueError("of another event")
    return {"event": event, "request": context.aws_request_id}


async def on_event_later(event: Any, context: Any) -> Any:
    await asyncio.sleep(0)
    return on_event(event, context)


with_events = StreamingHandler(app, on_event=on_event)
with_async_events = StreamingHandler(app, on_event=on_event_later)
with_tracebacks = StreamingHandler(app, tracebacks=True)
without_prefix = StreamingHandler(app, root_path=False)


async def lifespan_raises(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "lifespan":
        await receive()
        raise ValueError("no database")
    await BEHAVIOURS["/hello"](Exchange(scope, receive, send))


async def lifespan_unknown(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "http":
        raise ValueError(f"expected http but got {scope['type']}")
    await BEHAVIOURS["/hello"](Exchange(scope, receive, send))


async def lifespan_returns(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] == "http":
        await BEHAVIOURS["/hello"](Exchange(scope, receive, send))


async def lifespan_exits(_scope: Any, receive: Any, _send: Any) -> None:
    await receive()
    sys.exit("no database")


raises_in_lifespan = StreamingHandler(lifespan_raises)
knows_no_lifespan = StreamingHandler(lifespan_unknown)
returns_from_lifespan = StreamingHandler(lifespan_returns)
exits_in_lifespan = StreamingHandler(lifespan_exits)
plain_handler_streams = stream


def exiting(_event: Any, _context: Any) -> Any:
    sys.exit(3)


match os.environ.get("AT_IMPORT"):
    case "dictConfig":
        logging.config.dictConfig(
            {
                "version": 1,
                "handlers": {"null": {"class": "logging.NullHandler"}},
                "root": {"handlers": ["null"]},
            }
        )
    case "disable":
        logging.disable(logging.CRITICAL)
    case "no handlers":
        logging.getLogger().handlers.clear()
        logging.getLogger("lambda_stream").disabled = True
    case "own loop":
        asyncio.set_event_loop(asyncio.SelectorEventLoop())
        note(str(id(asyncio.get_event_loop())))
    case "policy":

        class Policy(asyncio.DefaultEventLoopPolicy):
            def new_event_loop(self) -> asyncio.AbstractEventLoop:
                note("a loop of the policy")
                return super().new_event_loop()

        asyncio.set_event_loop_policy(Policy())
    case "run":
        asyncio.run(asyncio.sleep(0))
    case "exit":
        sys.exit("no configuration")
