"""The composition root: environment → log → handler → loop."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import MutableMapping

from mangum.exceptions import LifespanFailure

from ._handler import StreamingHandler
from ._importer import Handler
from ._log import configure
from ._loop import InvocationLoop
from ._runtime_api import RuntimeApi
from ._settings import Settings
from ._startup import start

SHUTDOWN_S = 0.4
"""Lambda kills what has not ended 500 ms after SIGTERM."""

logger = logging.getLogger("lambda_stream")


def main(environ: MutableMapping[str, str], arguments: list[str]) -> None:
    """Run the function that the environment names until Lambda ends it."""
    settings = Settings.from_environ(environ, arguments)
    environ.pop("_LAMBDA_TELEMETRY_LOG_FD", None)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    log = configure(settings.log_json, settings.log_level, settings.log_fd)
    with asyncio.Runner() as runner:
        loop, api = runner.get_loop(), RuntimeApi(settings.api_address)
        handler = start(loop, api, settings)
        InvocationLoop(loop, api, handler, settings.function, log).run()
        api.close()
        _shut_down(handler)


def _shut_down(handler: Handler) -> None:
    """Shut the app's lifespan down; whatever hangs from here on, the process ends in time."""
    signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
    signal.setitimer(signal.ITIMER_REAL, SHUTDOWN_S)
    if isinstance(handler, StreamingHandler):
        try:
            handler.close()
        except LifespanFailure:
            logger.exception("the application failed to shut down")
