"""Every fault of an engine, seen by every client: `make faults` prints the same as a matrix."""

from collections.abc import Iterator

import pytest

from tests.e2e.faults.matrix import CLIENTS, Client, Matrix, matrix

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def here(_here: None) -> Iterator[Matrix]:
    with matrix() as here:
        yield here


@pytest.mark.timeout(240)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_client_gets_a_good_reply_whole_and_a_broken_one_as_an_error(here: Matrix, client: Client) -> None:
    wrong = {f"{case.fault}, {case.mode}": text for case, text in here.run(client).wrong.items() if text}
    assert not wrong
