"""The todo API through the gateway: the example GraphQL, as clients send it."""

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from infra.paths import ROOT
from tests.e2e.examples import finish, start
from tests.local_service import Service

DOCUMENT = {name: (ROOT / "examples" / f"{name}.graphql").read_text() for name in ("todos", "create_todo")}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


class Todos:
    """A client over HTTP, which remembers the todos that it created."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client
        self.created: set[str] = set()

    def __call__(self, query: str, **variables: object) -> dict[str, Any]:
        """Send an operation, expect no errors, and return the data."""
        reply = self.client.post("/graphql", json={"query": query, "variables": variables})
        body: dict[str, Any] = reply.json()
        assert (reply.status_code, list(body)) == (200, ["data"]), body
        data: dict[str, Any] = body["data"]
        return data

    def code(self, query: str, **variables: object) -> str:
        """Send an operation, expect one error, and return its code."""
        reply = self.client.post("/graphql", json={"query": query, "variables": variables})
        (error,) = reply.json()["errors"]
        assert error["message"]
        text: str = error["extensions"]["code"]
        return text

    def create(self, title: str) -> str:
        """Create a todo and return its id."""
        created = self("mutation ($t: String!) { createTodo(title: $t) { id } }", t=title)["createTodo"]
        self.created.add(created["id"])
        return str(created["id"])

    def clear(self) -> None:
        """Delete what was created."""
        for todo_id in self.created:
            self("mutation ($id: ID!) { deleteTodo(id: $id) { id } }", id=todo_id)


@pytest.fixture
def api(service: Service) -> Iterator[Todos]:
    with service.client() as client:
        client_of_todos = Todos(client)
        yield client_of_todos
        client_of_todos.clear()


def test_the_documents_mutation_and_query_work(api: Todos) -> None:
    created = api(DOCUMENT["create_todo"])["createTodo"]
    api.created.add(created["id"])
    assert (created["title"], created["completed"]) == ("Test Todo", False)
    assert str(uuid.UUID(created["id"])) == created["id"]
    assert INSTANT.fullmatch(created["createdAt"])
    assert abs(datetime.now(UTC) - datetime.fromisoformat(created["createdAt"])) < timedelta(minutes=5)
    todos = api(DOCUMENT["todos"])["todos"]
    assert todos[0] == created, "expected the newest first"


def test_a_todo_is_changed_completed_and_deleted(api: Todos) -> None:
    title = f"buy milk {uuid.uuid4()}"
    todo_id = api("mutation ($t: String!) { createTodo(title: $t) { id } }", t=title)["createTodo"]["id"]
    one = "query ($id: ID!) { todo(id: $id) { id title completed } }"
    assert api(one, id=todo_id)["todo"] == {"id": todo_id, "title": title, "completed": False}
    update = 'mutation ($id: ID!) { updateTodo(id: $id, title: "  buy bread ") { title completed } }'
    assert api(update, id=todo_id)["updateTodo"] == {"title": "buy bread", "completed": False}
    complete = "mutation ($id: ID!) { completeTodo(id: $id) { completed } }"
    for _ in range(2):
        assert api(complete, id=todo_id)["completeTodo"] == {"completed": True}
    delete = "mutation ($id: ID!) { deleteTodo(id: $id) { title } }"
    assert api(delete, id=todo_id)["deleteTodo"] == {"title": "buy bread"}
    api.created.clear()
    for query in (one, update, complete, delete):
        assert api.code(query, id=todo_id) == "NOT_FOUND"


def test_pages_follow_each_other(api: Todos) -> None:
    mark = uuid.uuid4().hex
    titles = [f"{mark} {number}" for number in range(5)]
    for title in titles:
        api.create(title)
    query = """query ($mark: String, $after: String) {
      todosConnection(
        filter: {title: $mark}, orderBy: {field: TITLE, direction: ASC}, first: 2, after: $after
      ) {
        totalCount edges { node { title } } pageInfo { hasNextPage endCursor }
      }
    }"""
    seen: list[str] = []
    after = None
    for page_size, more in ((2, True), (2, True), (1, False)):
        page = api(query, mark=mark.upper(), after=after)["todosConnection"]
        assert page["totalCount"] == 5
        assert (len(page["edges"]), page["pageInfo"]["hasNextPage"]) == (page_size, more)
        seen += [edge["node"]["title"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
    assert seen == titles


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ('mutation { createTodo(title: "  ") { id } }', "BAD_USER_INPUT"),
        ('mutation { createTodo(title: "a\\u0007b") { id } }', "BAD_USER_INPUT"),
        ("{ todos(first: 101) { id } }", "BAD_USER_INPUT"),
        ('{ todo(id: "1") { id } }', "BAD_USER_INPUT"),
        ("{ todos { owner } }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ todos { id }", "GRAPHQL_PARSE_FAILED"),
    ],
)
def test_a_wrong_input_is_reported(query: str, expected: str, api: Todos) -> None:
    assert api.code(query) == expected


def test_clients_that_know_the_protocol_get_its_statuses(api: Todos) -> None:
    accept = {"accept": "application/graphql-response+json"}
    reply = api.client.get("/graphql", params={"query": "{ __typename }"}, headers=accept)
    assert (reply.status_code, reply.json()) == (200, {"data": {"__typename": "Query"}})
    assert reply.headers["content-type"] == "application/graphql-response+json; charset=utf-8"
    assert api.client.post("/graphql", json={"query": "{"}, headers=accept).status_code == 400
    reply = api.client.get("/graphql", params={"query": DOCUMENT["create_todo"]}, headers=accept)
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert api.client.post("/graphql", content=b"{ todos }", headers=accept).status_code == 415


def test_the_examples_run(api: Todos, service: Service) -> None:
    (listed,) = finish([start("todos.py", service)])
    new_id, *lines = listed.splitlines()
    api.created.add(new_id)
    assert str(uuid.UUID(new_id)) == new_id
    assert re.fullmatch(INSTANT.pattern + r" \[ \] Test Todo", lines[0])
    (paged,) = finish([start("todos.mjs", service)])
    assert re.match(INSTANT.pattern + " Test Todo\n", paged)
