from pathlib import Path

import pytest
from hypothesis import configuration

configuration.set_hypothesis_home_dir(Path(__file__).parents[3] / ".local" / "hypothesis")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
