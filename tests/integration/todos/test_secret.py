"""The address in a secret: rotated, unavailable, and a connection that is encrypted and verified.

Real: Postgres and its passwords, Prisma's client, TLS and its certificates. Simulated: Secrets Manager; the
TLS is that of a proxy before Postgres.
"""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from functions.shared.secrets import SecretsUnavailable
from functions.todos.address import GivenAddress, SecretAddress, url_of
from functions.todos.errors import DatabaseUnavailable
from functions.todos.todos import Filter
from tests.integration.todos.conftest import Database, expect_no_connections, opened
from tests.postgres import rds_secret
from tests.tls import Authority, TlsProxy, tls_proxy
from tests.unit.todos.stores import NO_OWNER, todo

pytestmark = [pytest.mark.anyio, pytest.mark.xdist_group("todos-faults")]

LIMIT_S = 2.0
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:todos"
ROLE = "rotated"
OLD, NEW = "old/p@ss:w?rd#%", "new p&ss=w+rd"
EVERY = Filter()


class FakeSecrets:
    """A secret with what RDS keeps in one; without an address it is unavailable. `fetched` counts."""

    def __init__(self, url: str, password: str) -> None:
        self.url, self.password = url, password
        self.fetched = 0
        self._known: str | None = None

    async def value(self, arn: str) -> str:
        assert arn == ARN
        if self._known is None:
            self.fetched += 1
            if not self.url:
                raise SecretsUnavailable("EndpointConnectionError")
            self._known = rds_secret(self.url, username=ROLE, password=self.password)
        return self._known

    def expire(self, arn: str) -> None:
        assert arn == ARN
        self._known = None


@pytest.fixture
def role(empty: Database) -> Iterator[Database]:
    """A database whose todos belong to everyone, and a role that may be locked out."""
    with empty.connect() as connection:
        connection.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{OLD}'")
        connection.execute(f'GRANT ALL ON "Todo" TO {ROLE}')
    yield empty
    expect_no_connections(empty)
    with empty.connect() as connection:
        connection.execute(f'REVOKE ALL ON "Todo" FROM {ROLE}')
        connection.execute(f"DROP ROLE {ROLE}")


def rotate(database: Database) -> None:
    """Change the password, and end who came with the old one, as a failover would."""
    with database.connect() as connection:
        connection.execute(f"ALTER ROLE {ROLE} PASSWORD '{NEW}'")
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (ROLE,)
        )


class PlainAddress(SecretAddress):
    """The test's own Postgres has no TLS."""

    async def url(self) -> str:
        return (await super().url()).replace("sslmode=require", "sslmode=disable")


@pytest.fixture(autouse=True)
def discreet(caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Hold every test to this: no password and no address in a log."""
    caplog.set_level(logging.DEBUG)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    yield
    said = caplog.text + "".join(capfd.readouterr())
    assert [secret for secret in (OLD, NEW, "p%40ss", "p%26ss", "postgresql://") if secret in said] == []


async def test_a_password_that_was_changed_is_fetched_once(role: Database) -> None:
    secrets = FakeSecrets(role.url, OLD)
    async with opened(PlainAddress(secrets, ARN, None), LIMIT_S) as store:
        assert await store.create(NO_OWNER, todo(1, "tea")) == todo(1, "tea")
        assert secrets.fetched == 1
        rotate(role)
        secrets.password = NEW
        assert await store.count(NO_OWNER, EVERY) == 1
        assert await store.count(NO_OWNER, EVERY) == 1
        assert secrets.fetched == 2


async def test_a_password_that_is_changed_while_queries_run_fails_none_of_them(role: Database) -> None:
    secrets = FakeSecrets(role.url, OLD)
    async with opened(PlainAddress(secrets, ARN, None), LIMIT_S) as store:
        creating = [asyncio.ensure_future(store.create(NO_OWNER, todo(number))) for number in range(1, 41)]
        await creating[4]
        secrets.password = NEW
        await asyncio.to_thread(rotate, role)
        made = await asyncio.gather(*creating)
        assert [each.id.int for each in made] == list(range(1, 41))
        assert secrets.fetched <= 3
    assert len(role.titles()) == 40


async def test_a_password_that_stays_wrong_is_reported_and_not_fetched_again_and_again(
    role: Database, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = FakeSecrets(role.url, "wrong")
    async with opened(PlainAddress(secrets, ARN, None), LIMIT_S) as store:
        for times in (2, 3):
            with pytest.raises(DatabaseUnavailable) as refused:
                await store.count(NO_OWNER, EVERY)
            assert "wrong" not in str(refused.value)
            assert secrets.fetched == times
        assert "the database cannot be queried: P1000" in caplog.text
        secrets.password = OLD
        assert await store.count(NO_OWNER, EVERY) == 0


async def test_an_unavailable_secret_keeps_no_function_from_starting(
    role: Database, caplog: pytest.LogCaptureFixture
) -> None:
    secrets = FakeSecrets("", OLD)
    async with opened(PlainAddress(secrets, ARN, None), 0.5) as store:
        with pytest.raises(DatabaseUnavailable):
            await store.count(NO_OWNER, EVERY)
        assert "DATABASE_SECRET cannot be fetched: EndpointConnectionError" in caplog.text
        secrets.url = role.url
        assert await store.count(NO_OWNER, EVERY) == 0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.fixture
def proxy(empty: Database, authority: Authority) -> Iterator[TlsProxy]:
    with tls_proxy(authority.server("localhost"), empty.postgres.port) as proxy:
        yield proxy


def through(proxy: TlsProxy, database: Database, certificates: Path | None) -> GivenAddress:
    secret = rds_secret(database.url, host="localhost", port=proxy.port)
    return GivenAddress(url_of(secret, certificates))


async def test_the_way_is_encrypted_and_verified(
    empty: Database, authority: Authority, proxy: TlsProxy, tmp_path: Path
) -> None:
    other = Authority(tmp_path, "other")
    bundle = tmp_path / "bundle.pem"
    bundle.write_text(other.certificate + authority.certificate)
    for certificates in (authority.file, bundle):
        async with opened(through(proxy, empty, certificates), LIMIT_S) as store:
            assert await store.count(NO_OWNER, EVERY) == 0
    assert proxy.accepted >= 2
    assert proxy.refused == 0


async def test_the_way_is_encrypted_without_certificates_too(empty: Database, proxy: TlsProxy) -> None:
    async with opened(through(proxy, empty, None), LIMIT_S) as store:
        assert await store.count(NO_OWNER, EVERY) == 0
    assert (proxy.accepted > 0, proxy.refused) == (True, 0)


async def test_a_server_of_another_authority_is_refused(
    empty: Database, proxy: TlsProxy, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Authority(tmp_path, "other")
    async with opened(through(proxy, empty, other.file), LIMIT_S) as store:
        with pytest.raises(DatabaseUnavailable):
            await store.count(NO_OWNER, EVERY)
    assert "the database cannot be queried: P1011" in caplog.text


async def test_a_server_of_another_name_is_refused(
    empty: Database, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    with tls_proxy(authority.server("db.example"), empty.postgres.port) as proxy:
        async with opened(through(proxy, empty, authority.file), LIMIT_S) as store:
            with pytest.raises(DatabaseUnavailable):
                await store.count(NO_OWNER, EVERY)
    assert "the database cannot be queried: P1011" in caplog.text


async def test_a_server_without_tls_is_refused(
    empty: Database, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    address = GivenAddress(url_of(rds_secret(empty.url), authority.file))
    async with opened(address, LIMIT_S) as store:
        with pytest.raises(DatabaseUnavailable):
            await store.count(NO_OWNER, EVERY)
    assert "the database cannot be queried: P1011" in caplog.text
