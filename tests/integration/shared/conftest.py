"""DynamoDB, as moto has it: in process, and as a server."""

import json
import os
import socket
import socketserver
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from moto import mock_aws

from functions.keys.store import KeyTable
from functions.shared.aws import Aws
from functions.shared.boto import Boto
from functions.shared.items import SCHEMA
from functions.shared.role import Role
from functions.shared.signed import Signed
from infra.local.settings import REGION
from tests.aws import boto_of, dummy_credentials
from tests.moto_reads import read_moto_fast

ROOT = Path(__file__).resolve().parents[3]
NAME = "keys"
AWS = dummy_credentials(REGION)
Server = TypeVar("Server", bound=socketserver.BaseServer)


@pytest.fixture(autouse=True)
def aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in AWS.items():
        monkeypatch.setenv(name, value)


@contextmanager
def serving(server: Server) -> Iterator[Server]:
    """Serve in a thread for as long as the context lasts."""
    with server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def signed_aws() -> Aws:
    """Return AWS as functions call it."""
    return Aws(Signed(os.environ, Role(os.environ)))


@pytest.fixture(params=[lambda: Aws(Boto()), signed_aws], ids=["boto3", "signed"])
def any_aws(request: pytest.FixtureRequest) -> Iterator[Aws]:
    """AWS as commands and as functions call it: what holds of one, holds of the other."""
    aws: Aws = request.param()
    yield aws
    aws.drain()


@pytest.fixture
def moto(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    read_moto_fast(monkeypatch)
    with mock_aws():
        yield


@pytest.fixture
def table(moto: None) -> KeyTable:  # noqa: ARG001
    table = KeyTable(NAME)
    boto_of(table).create_table(TableName=NAME, **SCHEMA)
    return table


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The address of moto's server, which answers one request at a time as `make run` has it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        descriptor, port = listener.fileno(), listener.getsockname()[1]
        schema = json.dumps({"TableName": NAME, **SCHEMA})
        command = [sys.executable, "-m", "infra.local.services.dynamodb_server", str(descriptor), schema]
        child = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **AWS},
            pass_fds=[descriptor],
            stdout=subprocess.PIPE,
            text=True,
        )
    assert child.stdout
    try:
        assert child.stdout.readline() == "ready\n"
        yield f"http://127.0.0.1:{port}"
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
