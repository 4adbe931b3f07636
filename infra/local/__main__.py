"""`python -m infra.local`: the whole service on this machine, until Ctrl-C."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable

from infra.local.console import Console
from infra.local.deployment import routes
from infra.local.door import Door, open_door
from infra.local.engine import Engine
from infra.local.errors import CannotStart, FunctionFailed
from infra.local.http_server import bind
from infra.local.models import Models, backend_models, embedded_models
from infra.local.processes import Guardian
from infra.local.settings import Settings

_WELCOME = """\
The chat API answers on http://localhost:{port}

  docs      http://localhost:{port}/docs
  model     {models}
  engine    {engine}
  function  functions/chat, run as Lambda runs it: one process per request at a time, at most {concurrency}

Try it:

  curl -N http://localhost:{port}/v1/chat/completions -H 'Content-Type: application/json' \\
    -d '{{"model": "default", "stream": true, "messages": [{{"role": "user", "content": "Tell me a joke"}}]}}'

Ctrl-C stops everything.
"""
_SHOWN_MODELS = 5


def main() -> int:
    """Run until stopped; return the exit status."""
    console = Console()
    try:
        settings = Settings.from_environment(os.environ)
        with bind(settings.port) as listener:
            models = backend_models(settings.backend, settings.backend_key) if settings.backend else None
            asyncio.run(
                _until_stopped(lambda guardian: _serve(settings, models, listener, console, guardian))
            )
    except CannotStart as error:
        console.warn(str(error))
        return 1
    except KeyboardInterrupt:
        pass
    return 0


async def _until_stopped(serve: Callable[[Guardian], Awaitable[None]]) -> None:
    """Serve until Ctrl-C or SIGTERM, or until it fails."""
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    with Guardian() as guardian:
        serving = asyncio.ensure_future(serve(guardian))
        stopping = asyncio.create_task(stopped.wait())
        await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in (serving, stopping):
            task.cancel()
        await asyncio.wait({serving, stopping})
    if not serving.cancelled():
        serving.result()


async def _serve(
    settings: Settings, models: Models | None, listener: socket.socket, console: Console, guardian: Guardian
) -> None:
    engine = None if models else Engine(guardian, console)
    models = models or embedded_models(engine.base_url if engine else "")
    try:
        async with open_door(
            routes(settings, models), guardian=guardian, console=console, listener=listener
        ) as door:
            await asyncio.gather(_prepare(door, console), engine.start() if engine else asyncio.sleep(0))
            console.say(_welcome(settings, models, door, engine))
            if engine:
                await engine.keep_running()
            await asyncio.get_running_loop().create_future()
    finally:
        if engine:
            await engine.stop()


async def _prepare(door: Door, console: Console) -> None:
    try:
        await door.prepare()
    except FunctionFailed as failure:
        console.warn(f"The chat function does not start ({failure}); it is tried again at every request.")


def _welcome(settings: Settings, models: Models, door: Door, engine: Engine | None) -> str:
    names = list(models)
    more = f" and {len(names) - _SHOWN_MODELS} more" if len(names) > _SHOWN_MODELS else ""
    return _WELCOME.format(
        port=door.port,
        models=f'{", ".join(names[:_SHOWN_MODELS])}{more} ("default" is {names[0]})',
        engine=f"llama.cpp on {engine.base_url}" if engine else settings.backend,
        concurrency=settings.concurrency,
    )


if __name__ == "__main__":
    sys.exit(main())
