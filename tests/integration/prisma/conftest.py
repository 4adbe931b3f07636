"""One Postgres for all tests of the engines; each test module has a database or a schema of its own."""

import os
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto.server import ThreadedMotoServer

from infra.paths import ROOT
from tests.integration.prisma.bank import Bank, make_bank
from tests.integration.prisma.project import Project
from tests.postgres import Postgres, rds_secret, run_postgres


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with run_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def generated_bank(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Bank:
    return make_bank(postgres, tmp_path_factory.mktemp("bank"))


@pytest.fixture
def bank(generated_bank: Bank) -> Iterator[Bank]:
    """Empty tables, and at the end no connection that was left open."""
    generated_bank.sql('TRUNCATE "Account", "Entry"')
    yield generated_bank
    until_s = time.monotonic() + 2  # Postgres ends a connection a moment after its client has
    while generated_bank.connections and time.monotonic() < until_s:
        time.sleep(0.02)
    assert generated_bank.connections == 0


@pytest.fixture
def project(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a schema of one model, no migrations, and a database of its own that is empty."""
    return Project.make(tmp_path_factory.mktemp("project"), postgres.url(postgres.create_database()))


class Vault:
    """Secrets Manager, and what leads a function to it."""

    def __init__(self, endpoint: str) -> None:
        self.environment = {
            "NODE_PATH": str(ROOT / "node_modules"),
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": endpoint,
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }
        self._client = boto3.client(
            "secretsmanager",
            endpoint_url=endpoint,
            region_name="eu-central-1",
            aws_access_key_id="local",
            aws_secret_access_key="local",
        )

    def close(self) -> None:
        self._client.close()

    def keep(self, name: str, url: str, **changes: Any) -> dict[str, str]:
        """Keep an address as RDS does; return the variables that lead to it."""
        made = self._client.create_secret(Name=name, SecretString=rds_secret(url, **changes))
        return {**self.environment, "DATABASE_SECRET": made["ARN"]}

    def change(self, arn: str, text: str) -> None:
        """Replace a secret's text."""
        self._client.put_secret_value(SecretId=arn, SecretString=text)


@pytest.fixture(scope="module")
def vault() -> Iterator[Vault]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    vault = Vault(f"http://{host}:{port}")
    yield vault
    vault.close()
    server.stop()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"
