"""The scripted engine, for every test that needs one; a run that leaves no process; what coverage counts."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engines.behaviours import Chat, Models
from tests.engines.scripted import ScriptedEngine, scripted_engine
from tests.leftovers import pytest_configure, pytest_sessionfinish

__all__ = ["pytest_configure", "pytest_sessionfinish"]

# Counting lines doubles the time of a test. What a test reaches, it mostly reaches by its first rows.
_COUNTED_ROWS = 5
_OF_THE_TREE = Path(__file__).parent / "unit"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out of coverage a test's later rows, what Hypothesis makes up, and what only reads the tree."""
    rows: Counter[tuple[Path, str]] = Counter()
    for item in items:
        test = (item.path, item.nodeid.partition("[")[0])
        rows[test] += 1
        is_made_up = getattr(getattr(item, "obj", None), "is_hypothesis_test", False)
        if is_made_up or rows[test] > _COUNTED_ROWS or item.path.parent == _OF_THE_TREE:
            item.add_marker(pytest.mark.no_cover)


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
