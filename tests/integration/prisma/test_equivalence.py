"""The engine in process answers as the engine under Node.js did, beside which it was recorded."""

import re
from collections.abc import Iterator

import pytest

from tests.integration.prisma.equivalence import recording
from tests.integration.prisma.equivalence.clients import Kit
from tests.integration.prisma.equivalence.replay import Replay
from tests.postgres import Postgres

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("prisma")]


@pytest.fixture(scope="module")
def replay(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replay]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("clients")
        patch.syspath_prepend(folder)
        yield Replay(postgres, Kit(folder))


# The other sessions reach no branch that these do not: `make check-prisma` replays them.
_REPLAYED = {
    "relations": r"by hand: .*",
    "tenants": r"tenants 1",
    "scalars": r"scalar: (DateTime|Json)",
}


@pytest.mark.parametrize("name", _REPLAYED)
def test_recorded_answers(replay: Replay, name: str) -> None:
    found: list[str] = []
    for head, entries in recording.read():
        if head["schema"] == name and re.fullmatch(_REPLAYED[name], head["session"]):
            found += replay.session(head, entries)
    assert not found, "\n".join(found)
