"""The bundles for this machine's processor, built once, and where they run."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from functions.shared.items import SCHEMA
from infra.emulator.bundled_function import BundledFunction, available_version
from infra.paths import ROOT
from tests.aws import dummy_credentials
from tests.integration.bundles.deployed import Deployed, deploy
from tests.postgres import Postgres, run_postgres

REGION = "eu-central-1"
TABLE = "keys"
DUMMY_CREDENTIALS = dummy_credentials(REGION)


def golden(name: str) -> Any:
    """Return one of the golden events."""
    return json.loads((ROOT / f"tests/events/{name}.json").read_text())


def _deployed(name: str, folder: Path) -> Deployed:
    if sys.platform != "linux":
        pytest.skip("what is bundled runs on Lambda's system alone")
    return deploy(BundledFunction.build(name, version=available_version()), folder)


@pytest.fixture(scope="session")
def chat(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return _deployed("chat", tmp_path_factory.mktemp("chat"))


@pytest.fixture(scope="session")
def todos(tmp_path_factory: pytest.TempPathFactory) -> Deployed:
    return _deployed("todos", tmp_path_factory.mktemp("todos"))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with run_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """Moto's server with a table for keys: the variables that lead to it."""
    for name in [*os.environ]:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        variables = DUMMY_CREDENTIALS | {
            "AWS_ENDPOINT_URL": "http://{}:{}".format(*server.get_host_and_port())
        }
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        client = boto3.client("dynamodb")
        client.create_table(TableName=TABLE, **SCHEMA)
        yield variables | {"KEYS_TABLE": TABLE}
        client.delete_table(TableName=TABLE)
    finally:
        server.stop()


@pytest.fixture
def key(aws: dict[str, str]) -> str:
    """A new key's text."""
    command = (sys.executable, "-m", "functions.keys", "create", "--name", "tester", "--json")
    done = subprocess.run(command, cwd=ROOT, env=os.environ | aws, capture_output=True, text=True, check=True)
    text: str = json.loads(done.stdout)["key"]
    return text
