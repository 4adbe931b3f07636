"""The todo API through the front door: the document's GraphQL, as clients send it."""

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.function import ROOT
from tests.e2e.clients import finish, start
from tests.local_service import Service

DOCUMENT = {name: (ROOT / "examples" / f"{name}.graphql").read_text() for name in ("todos", "create_todo")}
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


@pytest.fixture
def client(service: Service) -> Iterator[httpx.Client]:
    with service.client() as client:
        yield client


def ask(client: httpx.Client, query: str, **variables: object) -> dict[str, Any]:
    """Ask, expect no errors, and return the data."""
    reply = client.post("/graphql", json={"query": query, "variables": variables})
    body: dict[str, Any] = reply.json()
    assert (reply.status_code, list(body)) == (200, ["data"]), body
    data: dict[str, Any] = body["data"]
    return data


def code(client: httpx.Client, query: str, **variables: object) -> str:
    """Ask, expect one error, and return its code."""
    (error,) = client.post("/graphql", json={"query": query, "variables": variables}).json()["errors"]
    assert error["message"]
    text: str = error["extensions"]["code"]
    return text


def test_the_documents_mutation_and_query_work(client: httpx.Client) -> None:
    created = ask(client, DOCUMENT["create_todo"])["createTodo"]
    assert (created["title"], created["completed"]) == ("Test Todo", False)
    assert str(uuid.UUID(created["id"])) == created["id"]
    assert INSTANT.fullmatch(created["createdAt"])
    assert abs(datetime.now(UTC) - datetime.fromisoformat(created["createdAt"])) < timedelta(minutes=5)
    todos = ask(client, DOCUMENT["todos"])["todos"]
    assert todos[0] == created, "expected the newest first"


def test_a_todo_is_changed_completed_and_deleted(client: httpx.Client) -> None:
    title = f"buy milk {uuid.uuid4()}"
    todo_id = ask(client, "mutation ($t: String!) { createTodo(title: $t) { id } }", t=title)["createTodo"][
        "id"
    ]
    one = "query ($id: ID!) { todo(id: $id) { id title completed } }"
    assert ask(client, one, id=todo_id)["todo"] == {"id": todo_id, "title": title, "completed": False}
    update = 'mutation ($id: ID!) { updateTodo(id: $id, title: "  buy bread ") { title completed } }'
    assert ask(client, update, id=todo_id)["updateTodo"] == {"title": "buy bread", "completed": False}
    complete = "mutation ($id: ID!) { completeTodo(id: $id) { completed } }"
    for _ in range(2):
        assert ask(client, complete, id=todo_id)["completeTodo"] == {"completed": True}
    delete = "mutation ($id: ID!) { deleteTodo(id: $id) { title } }"
    assert ask(client, delete, id=todo_id)["deleteTodo"] == {"title": "buy bread"}
    for query in (one, update, complete, delete):
        assert code(client, query, id=todo_id) == "NOT_FOUND"


def test_pages_follow_each_other(client: httpx.Client) -> None:
    mark = uuid.uuid4().hex
    create = "mutation ($t: String!) { createTodo(title: $t) { id } }"
    titles = [f"{mark} {number}" for number in range(5)]
    for title in titles:
        ask(client, create, t=title)
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
        page = ask(client, query, mark=mark.upper(), after=after)["todosConnection"]
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
def test_a_wrong_input_is_told(query: str, expected: str, client: httpx.Client) -> None:
    assert code(client, query) == expected


def test_clients_that_know_the_protocol_get_its_statuses(client: httpx.Client) -> None:
    accept = {"accept": "application/graphql-response+json"}
    reply = client.get("/graphql", params={"query": "{ __typename }"}, headers=accept)
    assert (reply.status_code, reply.json()) == (200, {"data": {"__typename": "Query"}})
    assert reply.headers["content-type"] == "application/graphql-response+json; charset=utf-8"
    assert client.post("/graphql", json={"query": "{"}, headers=accept).status_code == 400
    reply = client.get("/graphql", params={"query": DOCUMENT["create_todo"]}, headers=accept)
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")
    assert client.post("/graphql", content=b"{ todos }", headers=accept).status_code == 415


def test_the_examples_run(service: Service, clone_folder: Path) -> None:
    for name in ("todos.graphql", "create_todo.graphql"):
        (clone_folder / name).write_text((ROOT / "examples" / name).read_text())
    (listed,) = finish([start("todos.py", clone_folder, service)])
    new_id, *lines = listed.splitlines()
    assert str(uuid.UUID(new_id)) == new_id
    assert re.fullmatch(INSTANT.pattern + r" \[ \] Test Todo", lines[0])
    (paged,) = finish([start("todos.mjs", clone_folder, service)])
    assert re.match(INSTANT.pattern + " Test Todo\n", paged)
