"""From settings to a handler that can be called; what goes wrong on the way is told to Lambda."""

from __future__ import annotations

import asyncio
import gc
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from ._errors import Fault
from ._handler import StreamingHandler, front_doors
from ._importer import Handler, import_handler
from ._report import describe
from ._runtime_api import RuntimeApi
from ._settings import Settings

logger = logging.getLogger("lambda_stream")


def start(loop: asyncio.AbstractEventLoop, api: RuntimeApi, settings: Settings) -> Handler:
    """Import the handler, let SnapStart take its snapshot, and start the app's lifespan.

    The lifespan starts after the restore: what an app opens at its start must not be in a snapshot.
    """
    report = _Report(loop, api)
    with report.fatal("/init/error", exit_code=1):
        handler = _load(settings)
    if settings.snap_start:
        _take_snapshot(loop, api, handler, report)
    else:
        with report.fatal("/init/error", exit_code=1):
            _start_app(handler, loop)
    return handler


def _load(settings: Settings) -> Handler:
    """Return the handler, set to stream what the environment says."""
    if settings.max_concurrency is not None:
        raise Fault(
            "Runtime.ConfigInvalid",
            f"expected one request at a time but got AWS_LAMBDA_MAX_CONCURRENCY={settings.max_concurrency}: "
            "use the stock runtime on managed instances",
        )
    with _uncollected():
        handler = import_handler(settings.handler)
    if settings.streams is not None and isinstance(handler, StreamingHandler):
        handler.streams = front_doors(settings.streams)
    return handler


@contextmanager
def _uncollected() -> Iterator[None]:
    """Import without garbage collection: next to nothing that an import makes is ever garbage.

    Collecting it again and again takes a tenth of a cold start; freezing it spares every later collection.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()


def _take_snapshot(
    loop: asyncio.AbstractEventLoop, api: RuntimeApi, handler: Handler, report: _Report
) -> None:
    """Run the hooks around the snapshot; the process goes on in another environment after it.

    Source: AWS Lambda, "SnapStart runtime hooks"; awslambdaric 4.2.2, `on_init_complete`; read 2026-11-22.
    """
    from ._snapstart import run_after_restore, run_before_snapshot

    with report.fatal("/init/error", exit_code=64, error_type="Runtime.BeforeSnapshotError"):
        run_before_snapshot()
        loop.run_until_complete(api.restored())
    with report.fatal("/restore/error", exit_code=65, error_type="Runtime.AfterRestoreError"):
        run_after_restore()
        _start_app(handler, loop)


def _start_app(handler: Handler, loop: asyncio.AbstractEventLoop) -> None:
    if isinstance(handler, StreamingHandler):
        handler.start(loop)


class _Report:
    """Tells Lambda what kept the function from starting."""

    def __init__(self, loop: asyncio.AbstractEventLoop, api: RuntimeApi) -> None:
        self._loop = loop
        self._api = api

    @contextmanager
    def fatal(self, path: str, exit_code: int, error_type: str | None = None) -> Iterator[None]:
        """Post whatever is raised within, then end the process."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever the function's own code raises
            kind, report = describe(error)
            logger.error("%s", report.decode())
            self._loop.run_until_complete(self._api.post_error(path, error_type or kind, report))
            sys.exit(exit_code)
