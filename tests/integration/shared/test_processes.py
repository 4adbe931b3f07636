"""Many environments at once, each a process, against moto's server."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from functions.shared.key_text import digest
from functions.shared.keys import Key
from functions.shared.table import Table
from tests.integration.shared.conftest import NAME, ROOT

NOW = 1_795_572_000
PROCESSES = 4
EACH = 50
LIMIT = 60


Child = subprocess.Popen[str]


@pytest.fixture
def children(server: str) -> Iterator[list[Child]]:
    command = [sys.executable, "-m", "tests.integration.shared.reserver", server, str(LIMIT), str(EACH)]
    with ExitStack() as stack:
        started = []
        for _ in range(PROCESSES):
            child = stack.enter_context(
                Child(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            )
            stack.callback(child.kill)
            started.append(child)
        for child in started:
            assert line_of(child) == "ready\n"
        yield started


def line_of(child: Child) -> str:
    assert child.stdout
    return child.stdout.readline()


@pytest.mark.slow
def test_of_200_requests_at_once_exactly_60_are_accepted(children: list[Child]) -> None:
    """In the second round the stored window has to turn, with all of them about it."""
    for now in (NOW, NOW + 60):
        for child in children:
            assert child.stdin
            child.stdin.write(f"{now}\n")
            child.stdin.flush()
        ends: Counter[str] = Counter()
        for child in children:
            for end in line_of(child).split():
                name, _, many = end.partition("=")
                ends[name] += int(many)
        assert ends == {"through": LIMIT, "requests": PROCESSES * EACH - LIMIT}


def test_the_server_keeps_keys_as_dynamodb_does(server: str) -> None:
    table = Table(NAME, endpoint_url=server)
    key = Key(id="key_server", digest=digest("server"), name="server", created_at=1)
    table.add(key)
    assert table.find(key.id) == key
    rotated = table.rotate(key.id, digest("rotated"), "sk-…abcd")
    assert rotated
    assert table.all_keys() == [rotated]
