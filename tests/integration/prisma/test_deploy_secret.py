"""The migrating function with the secret of a database: fetched, verified, waited for.

Real: the AWS SDK, found as Lambda has it found, Prisma's command line, Postgres, certificates. Simulated:
Secrets Manager, by moto; the TLS is that of a proxy before Postgres.
"""

import asyncio
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.prisma.conftest import Vault
from tests.integration.prisma.project import LAYER, Project
from tests.integration.prisma.test_deploy import Deployment, start
from tests.integration.todos.proxies import Pause, paused
from tests.tls import Authority, TlsProxy, tls_proxy

pytestmark = [pytest.mark.slow, pytest.mark.anyio, pytest.mark.xdist_group("prisma")]

Deploy = Callable[..., Deployment]
INIT = "CREATE TABLE a (i int);"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.fixture
def proxy(project: Project, authority: Authority) -> Iterator[TlsProxy]:
    with tls_proxy(authority.server("localhost"), urlsplit(project.url).port or 0) as proxy:
        yield proxy


@pytest.fixture
def deploy(project: Project, tmp_path: Path) -> Deploy:
    """The function as deployed: its folder has no SDK, which the runtime has elsewhere, on NODE_PATH."""
    folder = tmp_path / "task"
    shutil.copytree(LAYER / "migrate", folder)
    (folder / "node_modules").symlink_to(LAYER / "node_modules")
    return partial(start, project, folder=folder)


def secret(vault: Vault, project: Project, proxy: TlsProxy) -> dict[str, str]:
    return vault.keep(project.folder.name, project.url, host="localhost", port=proxy.port)


def test_the_way_is_encrypted_and_verified(
    project: Project, vault: Vault, authority: Authority, proxy: TlsProxy, deploy: Deploy
) -> None:
    project.migration("1_init", INIT)
    leads = secret(vault, project, proxy)
    deployed = deploy(DATABASE_CA=str(authority.file), **leads).outcome()
    assert deployed == {"result": ["1_init"]}
    assert (proxy.accepted > 0, proxy.refused) == (True, 0)


def test_a_server_of_another_authority_is_refused(
    project: Project, vault: Vault, proxy: TlsProxy, tmp_path: Path, deploy: Deploy
) -> None:
    project.migration("1_init", INIT)
    other = Authority(tmp_path, "other")
    leads = secret(vault, project, proxy)
    failed = deploy(DATABASE_CA=str(other.file), **leads).outcome()
    assert failed["name"] == "MigrationFailed"
    assert failed["message"].startswith("P1011: Error opening a TLS connection: ")
    assert start(project).outcome() == {"result": ["1_init"]}, "expected that nothing had been applied"


def test_a_server_of_another_name_is_refused(
    project: Project, vault: Vault, authority: Authority, deploy: Deploy
) -> None:
    project.migration("1_init", INIT)
    with tls_proxy(authority.server("db.example"), urlsplit(project.url).port or 0) as proxy:
        leads = secret(vault, project, proxy)
        failed = deploy(DATABASE_CA=str(authority.file), **leads).outcome()
    assert failed["message"].startswith("P1011: ")


def test_a_server_without_tls_is_refused(project: Project, vault: Vault, deploy: Deploy) -> None:
    project.migration("1_init", INIT)
    failed = deploy(**vault.keep(project.folder.name, project.url)).outcome()
    assert failed["message"].startswith("P1011: ")


def test_a_secret_that_is_not_there(vault: Vault, deploy: Deploy) -> None:
    arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:none"
    failed = deploy(DATABASE_SECRET=arn, **vault.environment).outcome()
    assert failed["message"].startswith(
        "Expected to fetch the secret of the database, but got ResourceNotFoundException: "
    )


@pytest.mark.parametrize(
    "pause", ["refuses", *(pytest.param(each, marks=pytest.mark.nightly) for each in ("holds", "drops"))]
)
async def test_a_database_that_resumes_is_waited_for(project: Project, pause: Pause) -> None:
    project.migration("1_init", INIT)
    began = time.monotonic()
    async with paused(project.url, pause, 2.5) as (_, url):
        deployed = await asyncio.to_thread(start(project, url).outcome)
    assert deployed == {"result": ["1_init"]}
    assert time.monotonic() - began > 2.5
