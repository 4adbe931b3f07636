"""From settings to a handler that can be called; what goes wrong on the way is reported to Lambda."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ._handler import StreamingHandler
from ._importer import Handler, import_handler
from ._logger import logger
from ._loop import InvocationLoop
from ._report import describe
from ._runtime_api import RuntimeApi


def load(name: str) -> Handler:
    """Import the function's handler.

    Raises: Fault, or what the function's own code raises.
    """
    # Next to nothing that an import makes is ever garbage. Collecting it again and again takes a tenth of a
    # cold start; freezing it spares every later collection.
    gc.disable()
    try:
        return import_handler(name)
    finally:
        gc.enable()
        gc.freeze()


def event_loop_of_app(loop: asyncio.AbstractEventLoop, policy: object) -> asyncio.AbstractEventLoop:
    """Return the event loop that the app has chosen at its import, as `uvloop.install` does.

    Shape: `loop` and `policy` are what was set before the import; without a choice it stays at that loop.
    """
    if asyncio.get_event_loop_policy() is not policy:
        chosen = asyncio.new_event_loop()
    else:
        try:
            chosen = asyncio.get_event_loop()
        except RuntimeError:  # the app has unset it, as `asyncio.run` does
            chosen = loop
    if chosen is not loop:
        loop.close()
    asyncio.set_event_loop(chosen)
    return chosen


def start(
    handler: Handler, invocations: InvocationLoop, api: RuntimeApi, loop: asyncio.AbstractEventLoop
) -> None:
    """Start the apps behind a handler."""
    with fatal(loop, api, "/init/error", exit_code=1):
        _adopt(handler, invocations, loop)


def start_from_snapshot(
    handler: Handler, invocations: InvocationLoop, api: RuntimeApi, loop: asyncio.AbstractEventLoop
) -> None:
    """Run the hooks around SnapStart's snapshot; the process goes on in another environment after it.

    The apps start after the restore: what they open at their start must not be in a snapshot.
    Source: AWS Lambda, "SnapStart runtime hooks"; awslambdaric 4.2.2, `on_init_complete`; read 2026-11-22.
    """
    from ._snapstart import run_after_restore, run_before_snapshot

    with fatal(loop, api, "/init/error", exit_code=64, error_type="Runtime.BeforeSnapshotError"):
        run_before_snapshot()
        loop.run_until_complete(api.restored())
    with fatal(loop, api, "/restore/error", exit_code=65, error_type="Runtime.AfterRestoreError"):
        run_after_restore()
        _adopt(handler, invocations, loop)


def _adopt(handler: Handler, invocations: InvocationLoop, loop: asyncio.AbstractEventLoop) -> None:
    """Start the handler's app, or, for a decorated function, those of the handlers that it names.

    Others start at their first request.
    """
    while not isinstance(handler, StreamingHandler) and hasattr(handler, "__wrapped__"):
        handler = handler.__wrapped__
    code = getattr(handler, "__code__", None)
    names = getattr(handler, "__globals__", {})
    cells = getattr(handler, "__closure__", None) or ()
    named = [names.get(name) for name in code.co_names] if code else []
    for each in (handler, *named, *(cell.cell_contents for cell in cells)):
        if isinstance(each, StreamingHandler):
            loop.run_until_complete(invocations.adopt(each))


@contextmanager
def fatal(
    loop: asyncio.AbstractEventLoop,
    api: RuntimeApi,
    path: str,
    *,
    exit_code: int,
    error_type: str | None = None,
) -> Iterator[None]:
    """Report whatever is raised within to Lambda, then end the process."""
    try:
        yield
    except BaseException as error:  # noqa: BLE001 - whatever the function's own code raises
        kind, report = describe(error)
        logger.error("%s", report.decode())
        loop.run_until_complete(api.post_error(path, error_type or kind, report))
        sys.exit(exit_code)
