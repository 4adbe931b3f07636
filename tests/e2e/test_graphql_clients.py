"""The GraphQL clients of `docs/clients.md`, as their users have them, against the service on this machine."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qsl, urlsplit
from uuid import uuid4

import httpx
import pytest

from infra.paths import ROOT
from tests.e2e.clients import document
from tests.e2e.clients.table import GRAPHQL_CLIENTS, Client
from tests.e2e.program import Outcome, run_program
from tests.local_service import LocalService

pytestmark = pytest.mark.slow

MISSING = "00000000-0000-4000-8000-000000000000"
# Their hashes are refused once; then they send queries.
PERSISTED = ("@apollo/client", "@urql/core")


@dataclass(frozen=True)
class Exchange:
    """A request of a client and its response."""

    method: str
    fields: dict[str, Any]
    status: int
    body: dict[str, Any]

    @property
    def is_hash(self) -> bool:
        return "query" not in self.fields and "persistedQuery" in self.fields.get("extensions", {})


@contextmanager
def recorded(upstream: str) -> Iterator[tuple[str, list[Exchange]]]:
    """Pass requests on to /graphql of the service, and yield the address of that and what was exchanged."""
    exchanges: list[Exchange] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            sent = self.rfile.read(int(self.headers.get("content-length", 0)))
            parameters = dict(parse_qsl(urlsplit(self.path).query))
            fields = json.loads(sent) if sent else {}
            fields |= {
                name: json.loads(text) if name in ("variables", "extensions") else text
                for name, text in parameters.items()
            }
            headers = {name: text for name, text in self.headers.items() if name.lower() != "host"}
            reply = httpx.request(
                self.command, f"{upstream}{self.path}", content=sent, headers=headers, trust_env=False
            )
            exchanges.append(Exchange(self.command, fields, reply.status_code, reply.json()))
            self.send_response(reply.status_code)
            self.send_header("content-type", reply.headers["content-type"])
            self.send_header("content-length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content)

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/graphql", exchanges
        finally:
            server.shutdown()


@pytest.fixture(scope="module", params=GRAPHQL_CLIENTS, ids=lambda client: client.name)
def client(request: pytest.FixtureRequest) -> Client:
    chosen: Client = request.param
    if not (ROOT / chosen.packages).exists():
        pytest.skip("not set up here: `make test-clients` does")
    return chosen


@dataclass(frozen=True)
class Seen:
    """What a client's user saw, and what the client sent."""

    titles: list[str]
    outcomes: dict[str, Outcome]
    exchanges: list[Exchange]


@pytest.fixture(scope="module")
def seen(client: Client, local: LocalService) -> Iterator[Seen]:
    """Create todos as the client does; then run the rest of its program, a process of its own each time."""
    mark = uuid4().hex
    titles = [f"{mark} {number}" for number in range(5)]
    with recorded(local.service.url) as (url, exchanges):
        first, *others = [{"function": "create", "arguments": [title]} for title in titles]
        created = run_program(client.command, job(url, first, *others), packages=client.packages)
        assert created.version == document.version(client)
        assert {place: outcome.get("returned") for place, outcome in created.by_place.items()} == dict(
            enumerate(titles)
        )
        exchanges.clear()
        names = [name for name in client.scenarios if name != "create"]
        cases = [{"function": name, "arguments": [MISSING if name == "failure" else mark]} for name in names]
        read = run_program(client.command, job(url, *cases), packages=client.packages)
    yield Seen(titles, {name: read.by_place[place] for place, name in enumerate(names)}, exchanges)
    with local.service.client() as cleaner:
        for todo in query(cleaner, f'{{ todos(filter: {{title: "{mark}"}}) {{ id }} }}')["todos"]:
            query(cleaner, f'mutation {{ deleteTodo(id: "{todo["id"]}") {{ id }} }}')


def job(url: str, *cases: dict[str, Any]) -> dict[str, Any]:
    return {"url": url, "key": "any", "cases": cases}


def query(client: httpx.Client, text: str) -> dict[str, Any]:
    data: dict[str, Any] = client.post("/graphql", json={"query": text}).json()["data"]
    return data


@pytest.mark.timeout(120)
def test_pages_follow_each_other_in_both_directions_without_duplicates(client: Client, seen: Seen) -> None:
    for name in client.scenarios:
        if name in ("forward", "backward", "hashed_get"):
            assert seen.outcomes[name] == {"returned": seen.titles}, name


def test_a_failure_is_raised_with_what_the_service_says(client: Client, seen: Seen) -> None:
    outcome = seen.outcomes["failure"]
    assert "There is no todo" in outcome.get("message", ""), outcome
    if "subscription" in client.scenarios:
        outcome = seen.outcomes["subscription"]
        assert re.search("subscription operation|no streams", outcome.get("message", "")), outcome


def test_after_a_hash_is_refused_the_query_is_sent(client: Client, seen: Seen) -> None:
    hashes = [each for each in seen.exchanges if each.is_hash]
    assert bool(hashes) == (client.package in PERSISTED)
    for each in hashes:
        assert each.body["errors"][0]["message"] == "PersistedQueryNotSupported"
    if "hashed_get" in client.scenarios:
        assert {each.method for each in hashes} == {"GET", "POST"}
    assert all(each.fields.get("query") for each in seen.exchanges if each not in hashes)
    assert all(each.status in (200, 400, 406) for each in seen.exchanges)
