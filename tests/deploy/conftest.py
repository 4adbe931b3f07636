"""One account for all, with a Postgres beside it; stages are deployed into it one after the other."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from infra.bundling.interpreter import find_python
from infra.emulator.bundled_function import available_version
from infra.local.loopback import HOST
from infra.local.services.postgres_cluster import DATABASE, USER, clean_environment, program
from tests.deploy.account import Account, free_port, local_account
from tests.deploy.tls import NAME, make_certificates, tls_before
from tests.deploy.toolkit import Toolkit, bootstrap
from tests.postgres import Postgres, run_postgres


@pytest.fixture(scope="session")
def engine_port() -> int:
    """Where the functions look for the engine, whether there is one or not."""
    return free_port()


@pytest.fixture(scope="session")
def bedrock_port() -> int:
    """Where the functions look for Amazon Bedrock, whether it is there or not."""
    return free_port()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """A server without the database that clusters are to have: deploying one makes it."""
    with run_postgres(tmp_path_factory.mktemp("postgres")) as postgres:
        postgres.run_sql(f"DROP DATABASE {DATABASE}", "postgres")
        yield postgres


@pytest.fixture(scope="session")
def account(
    tmp_path_factory: pytest.TempPathFactory, postgres: Postgres, engine_port: int, bedrock_port: int
) -> Iterator[Account]:
    """An account that is bootstrapped: the first thing that a user does."""
    folder = tmp_path_factory.mktemp("account")
    authority, certificate = make_certificates(folder)
    variables = {
        # Only Amazon can sign for its own authority.
        "variables": {"DATABASE_CA": str(authority)},
        "engine": f"http://{HOST}:{engine_port}/v1",
        "bedrock": f"http://{HOST}:{bedrock_port}/openai/v1",
        "python": _python(),
    }
    with (
        tls_before(postgres.port, certificate) as port,
        local_account(folder, postgres=_server(postgres, port), variables=variables) as account,
    ):
        bootstrap(account)
        yield account


def _python() -> str:
    """Return the program of the Python for which the bundles are built; a name on PATH may be a script."""
    command = (find_python(available_version()), "-I", "-S", "-c", "import sys; print(sys.executable)")
    return os.path.realpath(
        subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    )


def _server(postgres: Postgres, port: int) -> dict[str, object]:
    """Return what ministack needs in order to make clusters in a Postgres."""
    psql = [program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-h", HOST, "-p", postgres.port, "-U", USER]
    environment = clean_environment() | {"PGPASSWORD": urlsplit(postgres.url()).password or ""}
    return {
        "psql": [*map(str, psql), "-d", "postgres"],
        "environment": environment,
        "host": NAME,
        "port": port,
    }


@pytest.fixture(scope="session")
def assemblies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of what the stages are deployed from."""
    return tmp_path_factory.mktemp("assemblies")


@pytest.fixture(scope="session")
def serverless_toolkit(account: Account, assemblies: Path) -> Toolkit:
    return Toolkit(account, assemblies, "serverless")


@pytest.fixture(scope="session")
def dev_toolkit(account: Account, assemblies: Path) -> Toolkit:
    return Toolkit(account, assemblies, "dev")


@pytest.fixture(scope="session")
def prod_toolkit(account: Account, assemblies: Path) -> Toolkit:
    return Toolkit(account, assemblies, "prod")
