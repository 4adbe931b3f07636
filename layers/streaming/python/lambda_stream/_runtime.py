"""The composition root: environment → log → handler → loop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import MutableMapping

from ._log import configure, redirect_output
from ._loop import InvocationLoop
from ._requests import gateways
from ._runtime_api import RuntimeApi
from ._settings import Settings
from ._startup import event_loop_of_app, fatal, load, start, start_from_snapshot

SHUTDOWN_S = 0.4
"""Lambda kills what has not ended 500 ms after SIGTERM."""


def main(environ: MutableMapping[str, str], arguments: list[str]) -> None:
    """Run the function that the environment names until Lambda ends it."""
    settings = Settings.from_environ(environ, arguments)
    environ.pop("_LAMBDA_TELEMETRY_LOG_FD", None)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    if settings.log_socket:
        redirect_output(settings.log_socket)
    log = configure(settings.log_json, settings.log_level, None if settings.log_socket else settings.log_fd)
    api = RuntimeApi(settings.api_address, settings.stall_s)
    loop, policy = asyncio.new_event_loop(), asyncio.get_event_loop_policy()
    asyncio.set_event_loop(loop)
    with fatal(loop, api, "/init/error", exit_code=1):
        streams = None if settings.streams is None else gateways(settings.streams)
        concurrency = settings.concurrency
        handler = load(settings.handler)
    loop = event_loop_of_app(loop, policy)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        invocations = InvocationLoop(runner.get_loop(), api, settings.function, log, streams)
        if concurrency:
            from ._concurrent import ConcurrentLoop

            apis = [api, *(RuntimeApi(settings.api_address, settings.stall_s) for _ in range(1, concurrency))]
            invocations = ConcurrentLoop(runner.get_loop(), apis, settings.function, log, streams)
        (start_from_snapshot if settings.snap_start else start)(handler, invocations, api, loop)
        invocations.run(handler)
        api.close()
        # Whatever hangs from here on, the process ends in time.
        signal.signal(signal.SIGALRM, lambda *_: os._exit(0))
        signal.setitimer(signal.ITIMER_REAL, SHUTDOWN_S)
        invocations.close()
