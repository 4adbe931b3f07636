"""GraphiQL at /graphql, used in a headless Chromium.

`PICTURE=docs/graphiql.png make test-all ARGS=tests/e2e/test_graphiql.py` takes the picture in docs again.
"""

import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.scenarios import seen_in_browser
from tests.local_service import Service

pytestmark = pytest.mark.slow
Report = dict[str, Any]
EXAMPLE = ["query {", "  todos {", "    id", "    title", "    completed", "    createdAt", "  }", "}"]
DELETE = "mutation ($id: ID!) { deleteTodo(id: $id) { title } }"


@pytest.fixture(scope="module")
def report(service: Service) -> Iterator[Report]:
    """The browser's report: the page, its requests and its errors."""
    picture = os.environ.get("PICTURE")
    title = "Test Todo" if picture else f"Test Todo {uuid.uuid4()}"
    url = f"{service.url}/graphql"
    report: Report = seen_in_browser("graphiql", url, service.key, title, *filter(None, [picture]))
    yield {**report, "sent_title": title}
    with service.client() as client:
        variables = {"id": report["created"]["data"]["createTodo"]["id"]}
        reply = client.post("/graphql", json={"query": DELETE, "variables": variables})
    assert reply.json() == {"data": {"deleteTodo": {"title": title}}}


def test_the_page_has_the_documents_query_which_works(report: Report) -> None:
    assert report["title"] == "Todo API"
    assert report["query"] == EXAMPLE
    assert list(report["listed_before"]) == ["data"]


def test_a_mutation_creates_a_todo_that_the_list_then_shows(report: Report) -> None:
    created = report["created"]["data"]["createTodo"]
    assert created["title"] == report["sent_title"]
    first = report["listed_after"]["data"]["todos"][0]
    assert (first["id"], first["title"]) == (created["id"], created["title"])


def test_the_documentation_is_the_schemas(report: Report) -> None:
    assert "createTodo(title: String!): Todo!" in report["documentation"]
    assert "1 to 200 characters after trimming" in report["documentation"]


def test_the_browser_connects_to_this_service_only(report: Report, service: Service) -> None:
    addresses = [address for _, address in report["requests"]]
    assert all(address.startswith(f"{service.url}/graphql") for address in addresses), addresses
    assert addresses.count(f"{service.url}/graphql") == 5, (
        "expected the page, its schema, and three operations"
    )


def test_the_browser_reports_no_errors(report: Report) -> None:
    assert report["violations"] == []
    assert [line for line in report["console"] if line.startswith(("error", "uncaught"))] == []
