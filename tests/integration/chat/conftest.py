"""The chat API in front of a scripted engine, in one process."""

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import configuration

from functions.chat.app import create_served_app
from functions.chat.engines import http
from functions.chat.engines.http import HttpEngine
from tests.engines.scripted import ScriptedEngine
from tests.integration.chat.service import connected, served, settings_for

configuration.set_hypothesis_home_dir(Path(__file__).parents[3] / ".local" / "hypothesis")

Connect = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the pauses between attempts."""
    monkeypatch.setattr(http, "BACKOFF_S", (0.01, 0.02))


@pytest.fixture
def connect(engine: ScriptedEngine) -> Connect:
    """Return a function that makes a client of the API, in process, from variables of the function."""
    return partial(connected, engine.base_url)


@pytest.fixture
def serve(engine: ScriptedEngine) -> Iterator[Callable[..., str]]:
    """Return a function that starts a real server from variables of the function and returns its address."""
    with ExitStack() as servers:

        def start(**variables: Any) -> str:
            settings = settings_for(engine.base_url, **variables)
            return servers.enter_context(served(create_served_app(settings, HttpEngine(settings))))

        yield start
