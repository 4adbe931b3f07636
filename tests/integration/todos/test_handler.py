"""The function as Lambda imports it: its address out of Secrets Manager, its way to Postgres verified.

Real: the handler, boto3, Prisma's client, Postgres. Simulated: Secrets Manager, by moto; the TLS is
that of a proxy before Postgres.
"""

import importlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.integration.todos.conftest import Database, expect_no_connections
from tests.tls import Authority, tls_proxy

pytestmark = pytest.mark.xdist_group("todos-database")

MODULE = "functions.todos.handler"
EVENT = json.loads((Path(__file__).parents[2] / "events/rest_api_v1.json").read_text())
PAGE = "http://localhost:3000"
CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "local",
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
}


@pytest.fixture
def secrets_manager(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the Secrets Manager of this process."""
    for variable in [*os.environ]:
        if variable.startswith("AWS_"):
            monkeypatch.delenv(variable)
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, text in (CREDENTIALS | {"AWS_ENDPOINT_URL_SECRETS_MANAGER": f"http://{host}:{port}"}).items():
        monkeypatch.setenv(name, text)
    yield f"http://{host}:{port}"
    server.stop()


def keep(secret: dict[str, Any]) -> str:
    client = boto3.client("secretsmanager")
    try:
        return str(client.create_secret(Name=f"todos-{uuid4().hex}", SecretString=json.dumps(secret))["ARN"])
    finally:
        client.close()


@pytest.fixture
def handler(
    empty: Database,
    secrets_manager: str,  # noqa: ARG001
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Any]:
    authority = Authority(tmp_path, "ours")
    parts = urlsplit(empty.url)
    with tls_proxy(authority.server("localhost"), parts.port or 0) as proxy:
        secret = {"username": parts.username, "password": parts.password, "dbname": parts.path[1:]}
        monkeypatch.setenv("DATABASE_SECRET", keep({**secret, "host": "localhost", "port": proxy.port}))
        monkeypatch.setenv("DATABASE_CA", str(authority.file))
        monkeypatch.setenv("CORS_ORIGINS", PAGE)
        monkeypatch.delitem(sys.modules, MODULE, raising=False)
        module = importlib.import_module(MODULE)
        yield module.handler
        loop = module.handler._loop
        module.handler.close()
        if loop:
            loop.close()
        module.aws.drain()
        assert (proxy.accepted > 0, proxy.refused) == (True, 0)
    expect_no_connections(empty)


def execute(handler: Any, query: str) -> Any:
    """Call the handler as awslambdaric does."""
    headers = {**EVENT["headers"], "Origin": PAGE}
    event = {
        **EVENT,
        "resource": "/graphql",
        "path": "/graphql",
        "pathParameters": None,
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
        "queryStringParameters": None,
        "multiValueQueryStringParameters": None,
        "requestContext": {**EVENT["requestContext"], "path": "/prod/graphql"},
        "body": json.dumps({"query": query}),
    }
    reply = handler(event, SimpleNamespace(aws_request_id="1"))
    assert (reply["statusCode"], reply["headers"]["access-control-allow-origin"]) == (200, PAGE)
    return json.loads(reply["body"])


def test_a_todo_is_kept_at_the_address_that_the_secret_holds(handler: Any, empty: Database) -> None:
    made = execute(handler, 'mutation { createTodo(title: "tea") { title } }')
    assert made == {"data": {"createTodo": {"title": "tea"}}}
    assert execute(handler, "{ todos { title } }") == {"data": {"todos": [{"title": "tea"}]}}
    assert empty.titles() == ["tea"]
