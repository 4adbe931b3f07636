"""Every reply of /graphql is GraphQL over HTTP, to any request, and never an internal error."""

from collections.abc import Iterator

import httpx
import pytest
from hypothesis import given

from functions.todos.app import create_app
from functions.todos.settings import Settings
from tests.integration.chat.service import served
from tests.integration.todos.fuzzing import FIELDS, bodies, bounded, check, documents, headers, urls
from tests.unit.todos.stores import FakeStore, todo

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("graphql-fuzz")]


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    store = FakeStore(todo(number, f"Todo {number}") for number in range(30))
    app = create_app(Settings(database_url="postgresql://nowhere"), store)
    with (
        served(app) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=20) as client,
    ):
        yield client


def test_every_field_is_requested() -> None:
    assert {"Query.todos", "Query.todosConnection", "Mutation.createTodo"} < set(FIELDS)
    assert len(FIELDS) == 7


@pytest.mark.parametrize("field", FIELDS)
def test_a_valid_document_with_any_arguments(client: httpx.Client, field: str) -> None:
    codes: set[str] = set()

    @bounded(40)
    @given(query=documents(field))
    def send(query: str) -> None:
        body = check(client.post("/graphql", json={"query": query}))
        codes.update(error["extensions"]["code"] for error in body.get("errors", ()))

    send()
    assert codes <= {"BAD_USER_INPUT", "NOT_FOUND", "GRAPHQL_VALIDATION_FAILED"}


@bounded(250)
@given(body=bodies(), sent=headers())
def test_any_body(client: httpx.Client, body: bytes, sent: dict[str, str]) -> None:
    check(client.post("/graphql", content=body, headers=sent))


@bounded(120)
@given(parameters=urls())
def test_any_url(client: httpx.Client, parameters: dict[str, str]) -> None:
    check(client.get("/graphql", params=parameters))
