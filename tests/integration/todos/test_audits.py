"""All audits of GraphQL over HTTP that the npm package `graphql-http` has."""

import pytest

from functions.todos.app import create_app
from functions.todos.settings import Settings
from tests.integration.chat.service import served
from tests.integration.todos.audits import AUDITS, Audit, run_audits
from tests.unit.todos.stores import FakeStore

# It runs an npm package.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("graphql-audits")]


@pytest.fixture(scope="module")
def audits() -> dict[str, Audit]:
    app = create_app(Settings(database_url="postgresql://nowhere"), FakeStore())
    with served(app) as url:
        return run_audits(f"{url}/graphql")


def test_there_are_61(audits: dict[str, Audit]) -> None:
    assert audits.keys() == set(AUDITS)
    assert len(audits) == 61


@pytest.mark.parametrize("audit", AUDITS)
def test_an_audit_is_passed(audits: dict[str, Audit], audit: str) -> None:
    assert (audits[audit].status, audits[audit].reason) == ("ok", None), audits[audit].name
