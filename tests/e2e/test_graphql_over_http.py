"""GraphQL over HTTP through the gateway, on a real Postgres: the audits, and generated requests."""

from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given

from tests.integration.todos.audits import AUDITS, run_audits
from tests.integration.todos.fuzzing import FIELDS, bodies, bounded, check, documents, headers
from tests.local_service import LocalService

DELETE = "mutation ($id: ID!) { deleteTodo(id: $id) { id } }"


@pytest.fixture(scope="module")
def client(local: LocalService) -> Iterator[httpx.Client]:
    """A client; what is created in its time is deleted in the end."""
    with local.service.client() as client:
        known = newest(client)
        yield client
        for todo_id in newest(client) - known:
            variables = {"id": todo_id}
            client.post("/graphql", json={"query": DELETE, "variables": variables}).raise_for_status()


def newest(client: httpx.Client) -> set[str]:
    """Return the ids of the newest todos; more than these 100 are not created here."""
    todos = client.post("/graphql", json={"query": "{ todos(first: 100) { id } }"}).json()["data"]["todos"]
    return {todo["id"] for todo in todos}


@pytest.mark.slow
def test_all_audits_are_passed(local: LocalService) -> None:
    audits = run_audits(f"{local.service.url}/graphql")
    assert audits.keys() == set(AUDITS)
    assert {name: audit for name, audit in audits.items() if audit.status != "ok"} == {}


@pytest.mark.parametrize("field", FIELDS)
def test_a_valid_document_with_any_arguments(client: httpx.Client, field: str) -> None:
    @bounded(15)
    @given(query=documents(field))
    def send(query: str) -> None:
        check(client.post("/graphql", json={"query": query}))

    send()


@bounded(40)
@given(body=bodies(), sent=headers())
def test_any_body(client: httpx.Client, body: bytes, sent: dict[str, str]) -> None:
    check(client.post("/graphql", content=body, headers=sent))
