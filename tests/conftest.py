"""The scripted engine, for every test that needs one; and a run that leaves no process."""

from collections.abc import Iterator

import pytest

from tests.engines.behaviours import Chat, Models
from tests.engines.scripted import ScriptedEngine, scripted_engine
from tests.leftovers import pytest_configure, pytest_sessionfinish

__all__ = ["pytest_configure", "pytest_sessionfinish"]


@pytest.fixture(scope="session")
def shared_engine() -> Iterator[ScriptedEngine]:
    with scripted_engine() as engine:
        yield engine


@pytest.fixture
def engine(shared_engine: ScriptedEngine) -> Iterator[ScriptedEngine]:
    """An engine that behaves well until a test sets another behaviour."""
    shared_engine.behaviour, shared_engine.models = Chat(), Models()
    shared_engine.received_requests.clear()
    yield shared_engine
    # Services that a module's fixture starts find out what it serves.
    shared_engine.behaviour, shared_engine.models = Chat(), Models()
