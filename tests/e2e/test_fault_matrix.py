"""Every fault of an engine, seen by every client: `make faults` prints the same as a matrix."""

from collections.abc import Iterator

import pytest

from tests.e2e.faults.matrix import CLIENTS, Client, Matrix, matrix
from tests.engines.faults.errors import REPORTS
from tests.engines.faults.table import FAULTS

pytestmark = pytest.mark.slow
# Of the errors that engines report, one engine's are enough where no wording is at stake.
SOME = [name for name in FAULTS if name not in REPORTS or name.startswith("vllm")]
ALL_FAULTS = ("http", "openai-3")


@pytest.fixture(scope="module")
def here(_here: None) -> Iterator[Matrix]:
    with matrix() as here:
        yield here


@pytest.mark.timeout(240)
@pytest.mark.parametrize("client", CLIENTS, ids=lambda client: client.name)
def test_a_client_gets_a_good_reply_whole_and_a_broken_one_as_an_error(here: Matrix, client: Client) -> None:
    results = here.run(client, list(FAULTS) if client.name in ALL_FAULTS else SOME)
    assert not {f"{case.fault}, {case.mode}": text for case, text in results.wrong.items() if text}
