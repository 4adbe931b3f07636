"""Every fault of an engine, seen by every client: `make faults` prints the same as a matrix."""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest

from tests.e2e.faults.matrix import CLIENTS, Client, Results, running
from tests.engines.faults.table import FAULTS

pytestmark = pytest.mark.slow
# HTTP alone is the strictest of those at `/v1/responses`; `make faults` runs all.
TESTED = [each for each in CLIENTS if each.name == "responses-http" or "responses" not in each.name]


@pytest.fixture(scope="module")
def results(_here: None) -> Iterator[Mapping[Client, "Future[Results]"]]:
    with running(TESTED, tuple(FAULTS)) as results:
        yield results


@pytest.mark.timeout(240)
@pytest.mark.parametrize("client", TESTED, ids=lambda client: client.name)
def test_a_client_gets_a_good_reply_whole_and_a_broken_one_as_an_error(
    results: Mapping[Client, "Future[Results]"], client: Client
) -> None:
    wrong = results[client].result().wrong
    assert not {f"{case.fault}, {case.mode}": text for case, text in wrong.items() if text}
