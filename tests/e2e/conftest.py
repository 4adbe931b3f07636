"""Real HTTP against the whole service: on this machine, or with `--base-url` at a deployed stage.

A test that takes `service` runs in both places. One that takes `local` or `scripted` looks
at processes, consoles or a scripted engine of this machine, and is skipped for a deployed stage.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engines.behaviours import Chat
from tests.engines.scripted import ScriptedEngine, scripted_engine
from tests.local_service import LocalService, Service, run_local

# The engine behind the scripted service: what `test_sdks.py` has each model do.
MODELS = ("scripted", "tools", "limited", "retried", "broken", "busy", "error-event", "cut", "endless")


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the groups, also where this file is named first
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests to one worker: one real engine at a time is what two cores carry."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("e2e"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--base-url", help="test a deployed stage, its key in E2E_API_KEY")


@pytest.fixture(autouse=True)
def _one_worker(request: pytest.FixtureRequest) -> None:
    """Hold pytest-xdist to the group: with a pytest that it does not know it forgets it without a word."""
    if hasattr(request.config, "workerinput"):
        assert request.node.nodeid.endswith("@e2e")


@pytest.fixture(scope="session")
def base_url(pytestconfig: pytest.Config) -> str:
    return str(pytestconfig.getoption("--base-url", None) or "").rstrip("/").removesuffix("/v1")


@pytest.fixture(scope="session")
def _here(base_url: str) -> None:
    if base_url:
        pytest.skip("looks at this machine, not at a deployed stage")


@pytest.fixture(scope="session")
def local(_here: None) -> Iterator[LocalService]:
    """The service on this machine, with its own llama.cpp."""
    with run_local() as local:
        yield local


@pytest.fixture(scope="session")
def service(base_url: str, request: pytest.FixtureRequest) -> Service:
    """The service with a real model, wherever it is."""
    if base_url:
        return Service(base_url, os.environ.get("E2E_API_KEY", Service.key))
    local: LocalService = request.getfixturevalue("local")
    return local.service


@dataclass(frozen=True)
class Scripted:
    """The service on this machine with a scripted engine behind it."""

    engine: ScriptedEngine
    local: LocalService

    @property
    def service(self) -> Service:
        return self.local.service


@pytest.fixture(scope="session")
def scripted_session(_here: None) -> Iterator[Scripted]:
    with (
        scripted_engine(models=MODELS) as engine,
        run_local(BACKEND=engine.base_url) as local,
    ):
        yield Scripted(engine, local)


@pytest.fixture
def scripted(scripted_session: Scripted) -> Scripted:
    """The scripted service, whose engine behaves well until a test changes that."""
    scripted_session.engine.behaviour = Chat()
    scripted_session.engine.received_requests.clear()
    return scripted_session
