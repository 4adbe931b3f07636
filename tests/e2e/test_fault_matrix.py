"""A sample of the fault matrix: `make faults` runs and prints all of it, and so does the nightly workflow.

HTTP alone, the strictest client, gets every fault; clients with a reader of their own, some of each kind.
"""

from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest

from tests.e2e.faults.matrix import CLIENTS, Client, Results, running
from tests.engines.faults.table import FAULTS, KINDS

pytestmark = pytest.mark.slow
SAMPLE = tuple(name for faults in KINDS.values() for name in list(faults)[::12])
SAMPLED = ("openai-3", "responses-http")
BY_NAME = {client.name: client for client in CLIENTS}
TESTED = {BY_NAME["http"]: tuple(FAULTS), **{BY_NAME[name]: SAMPLE for name in SAMPLED}}


@pytest.fixture(scope="module")
def results(_here: None) -> Iterator[Mapping[Client, "Future[Results]"]]:
    with running(TESTED) as results:
        yield results


@pytest.mark.timeout(240)
@pytest.mark.parametrize("client", TESTED, ids=lambda client: client.name)
def test_a_client_gets_a_good_reply_whole_and_a_broken_one_as_an_error(
    results: Mapping[Client, "Future[Results]"], client: Client
) -> None:
    wrong = results[client].result().wrong
    assert not {f"{case.fault}, {case.mode}": text for case, text in wrong.items() if text}
