"""Starts the API in front of an engine."""

import json
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx
import uvicorn
from starlette.types import ASGIApp

from functions.chat.app import create_served_app
from functions.chat.engines.http import HttpEngine
from functions.chat.settings import Settings

MODEL = "smollm2-135m-instruct"
URL = "/v1/chat/completions"
USER = {"role": "user", "content": "What is the capital of France?"}


def settings_for(base_url: str, **variables: Any) -> Settings:
    """Return settings as the environment would give them."""
    models = {MODEL: {"base_url": base_url}, "other": {"base_url": base_url, "served_name": MODEL}}
    return Settings.from_environment({"MODELS": json.dumps(models), **variables})


@asynccontextmanager
async def connected(base_url: str, **variables: Any) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the API, in process: replies come whole, the app's own exceptions are raised."""
    settings = settings_for(base_url, **variables)
    engine = HttpEngine(settings)
    async with client_of(create_served_app(settings, engine)) as client:
        yield client
    await engine.aclose()


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    """Return a client of an app, in process."""
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chat", timeout=20)


@contextmanager
def served(app: ASGIApp) -> Iterator[str]:
    """Run a real server in a thread; yield its address."""
    config = uvicorn.Config(app, port=0, log_config=None, ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, name="chat-server", daemon=True)
    thread.start()
    try:
        yield _address(server, thread)
    finally:
        server.should_exit = True
        thread.join(5)


def _address(server: uvicorn.Server, thread: threading.Thread) -> str:
    until = time.monotonic() + 5
    while not server.started:
        assert thread.is_alive(), "expected the server to start, but it ended"
        assert time.monotonic() < until, "expected the server to start within 5 s"
        time.sleep(0.005)
    return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"


def body(**fields: Any) -> dict[str, Any]:
    """Return a request's body."""
    return {"model": MODEL, "messages": [USER], **fields}
