"""`python -m infra.local`: the whole service on this machine, until Ctrl-C."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import replace
from typing import Any

from infra.local.console import Console
from infra.local.deployment import routes
from infra.local.errors import CannotStart
from infra.local.lambda_service.callers import Callers
from infra.local.lambda_service.failures import FunctionFailed, InitFailed
from infra.local.lambda_service.sandbox_pool import SandboxPool
from infra.local.lambda_service.service import run_lambda_service
from infra.local.loopback import bind
from infra.local.processes import Guardian
from infra.local.services.database import TodoDatabase
from infra.local.services.engine import EmbeddedEngine
from infra.local.services.keys import Keys
from infra.local.services.models import (
    FALLBACK_KEY_VARIABLE,
    KEY_VARIABLE,
    Models,
    Unreachable,
    backend_models,
    embedded_models,
    embedding_models,
    with_fallbacks,
)
from infra.local.settings import LOCAL, Settings
from infra.local.welcome import welcome


def main() -> int:
    """Run until stopped; return the exit status."""
    console = Console()
    try:
        settings = Settings.from_environment(os.environ)
        with bind(settings.port) as listener:
            settings, models = _fetch_models(settings, console)
            asyncio.run(
                _until_stopped(lambda guardian: _serve(settings, models, listener, console, guardian))
            )
    except CannotStart as error:
        console.warn(str(error))
        return 1
    except KeyboardInterrupt:
        pass
    return 0


def _fetch_models(settings: Settings, console: Console) -> tuple[Settings, list[Models]]:
    """Return the models of the backend, and of the fallback if there is one; none of the embedded engine.

    Where the backend cannot be reached, the fallback takes its place.
    """
    if settings.models:
        return settings, [dict(settings.models)]
    try:
        models = [
            backend_models(settings.backend, settings.backend_key, serves=settings.serves)
            if settings.backend
            else {}
        ]
    except Unreachable as error:
        if not settings.fallback:
            raise
        console.warn(f"{error} The fallback answers alone, until the next start.")
        backend = "" if settings.fallback == LOCAL else settings.fallback
        alone = replace(
            settings, backend=backend, backend_key=settings.fallback_key, fallback="", fallback_key=""
        )
        return _fetch_models(alone, console)
    if settings.fallback == LOCAL:
        models.append({})
    elif settings.fallback:
        models.append(backend_models(settings.fallback, settings.fallback_key, FALLBACK_KEY_VARIABLE))
    return settings, models


def _with_engines(
    settings: Settings, tables: list[Models], guardian: Guardian, console: Console
) -> tuple[Settings, Models, dict[str, EmbeddedEngine]]:
    """Return the settings with the keys of the engines that run here, all models, and these engines.

    The embedded engine's model takes the place of the empty table.
    """
    engines = {}
    if not all(tables):
        engine = engines["engine"] = EmbeddedEngine(guardian, console)
        variable = FALLBACK_KEY_VARIABLE if settings.backend else KEY_VARIABLE
        settings = (
            replace(settings, fallback_key=engine.key)
            if settings.backend
            else replace(settings, backend_key=engine.key)
        )
        embedded = embedded_models(engine.base_url, variable, embeds=not settings.embedding_model)
        tables = [table or embedded for table in tables]
    models = with_fallbacks(*tables)
    if settings.embedding_model:
        engine = engines["embeddings"] = EmbeddedEngine.of_embeddings(
            guardian, console, settings.embedding_model
        )
        settings = replace(settings, embedding_key=engine.key)
        models |= embedding_models(engine.model, engine.base_url)
    return settings, models, engines


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
    settings: Settings,
    tables: list[Models],
    listener: socket.socket,
    console: Console,
    guardian: Guardian,
) -> None:
    settings, models, engines = _with_engines(settings, tables, guardian, console)
    database = TodoDatabase.open(settings, guardian, console)
    keys = Keys(settings, guardian, console) if settings.auth else None
    key_variables = keys.environment if keys else None
    waiting_for = {"functions"}
    try:
        async with run_lambda_service(
            routes(settings, models, database.url if database else "", key_variables),
            guardian=guardian,
            console=console,
            listener=listener,
            callers=Callers(settings.hosts, [*filter(None, settings.cors_origins.split(","))]),
            waiting_for=waiting_for,
        ) as service:
            functions = {function.name: function for function in service.functions}
            parts = {
                "functions": _prepare(functions.pop("chat"), console),
                **{name: engine.start() for name, engine in engines.items()},
                **({"database": database.prepare()} if database else {}),
                **({"keys": keys.prepare()} if keys else {}),
            }
            waiting_for.update(parts)
            await _together(*(_until_ready(name, part, waiting_for) for name, part in parts.items()))
            address = engines["engine"].base_url if "engine" in engines else ""
            key = keys.key if keys else ""
            names = [name for name, entry in models.items() if entry.get("listed", True)]
            console.print(
                welcome(settings, service.port, names, address, str(database or ""), key, key_variables)
            )
            # The other functions start once they delay nothing.
            await _together(
                *(_prepare(function, console) for function in functions.values()),
                *(part.keep_running() for part in (*engines.values(), database) if part),
                *([keys.watch()] if keys else []),
            )
            await asyncio.get_running_loop().create_future()
    finally:
        await asyncio.gather(*(part.stop() for part in (*engines.values(), database, keys) if part))


async def _together(*parts: Coroutine[Any, Any, None]) -> None:
    """Wait for all; where one fails, cancel the others and wait for them before raising its error."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            if not task.cancelling():  # a second cancellation would interrupt its clean-up
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until_ready(name: str, part: Coroutine[Any, Any, None], waiting_for: set[str]) -> None:
    await part
    waiting_for.discard(name)


async def _prepare(function: SandboxPool, console: Console) -> None:
    try:
        await function.prepare()
    except FunctionFailed as failure:
        if isinstance(failure, InitFailed) and failure.error_type == "SettingsError":
            raise CannotStart(failure.message) from failure
        console.warn(
            f"The {function.name} function does not start ({failure}); it is tried again at every request."
        )


if __name__ == "__main__":
    sys.exit(main())
