"""TLS to Postgres, with chains of certificates like those of RDS."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from prisma_in_process.errors import UserError
from prisma_in_process.pool import Pool
from prisma_in_process.url import read_url

from tests.integration.prisma.chains import Certificate, server_context
from tests.postgres import Postgres
from tests.tls import tls_proxy

pytestmark = pytest.mark.anyio

EXPIRED = "the server's certificate has expired"
OTHER_HOST = "the server's certificate is for another host"
UNTRUSTED = "the server's certificate has no trusted authority"


class Servers:
    """Servers before one Postgres, and files of certificates, by name."""

    def __init__(self, folder: Path, postgres: Postgres, open_servers: ExitStack) -> None:
        self.folder = folder
        root = Certificate.issue("Root")
        middle = Certificate.issue("Intermediate", root)
        good = Certificate.issue("db", middle, host="localhost")
        contexts = {
            "good": server_context(folder, good, middle),
            "alone": server_context(folder, good),
            "expired": server_context(
                folder, Certificate.issue("db", middle, host="localhost", age_days=31), middle
            ),
            "other": server_context(folder, Certificate.issue("db", middle, host="db.example"), middle),
        }
        self.ports = {"plain": postgres.port} | {
            name: open_servers.enter_context(tls_proxy(context, postgres.port)).port
            for name, context in contexts.items()
        }
        self._url = postgres.url()
        self._plain_port = postgres.port
        others = [Certificate.issue(f"Root {number}").pem for number in range(80)]
        self.write("root", root.pem)
        self.write("region", others[0] + root.pem)
        self.write("whole", b"".join(others[:40]) + root.pem + b"".join(others[40:]))
        self.write("middle", root.pem + middle.pem)
        self.write("foreign", others[0])
        self.write("none", b"")

    def write(self, name: str, content: bytes) -> None:
        (self.folder / name).write_bytes(content)

    def url(self, server: str, query: str, host: str = "localhost") -> str:
        """Return the address of a server; `{}` in the query is the files' folder."""
        url = self._url.replace(f"@127.0.0.1:{self._plain_port}", f"@{host}:{self.ports[server]}")
        return f"{url}?{query.replace('{}', str(self.folder))}"


@pytest.fixture(scope="module")
def servers(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    with ExitStack() as open_servers:
        yield Servers(tmp_path_factory.mktemp("tls"), postgres, open_servers)


async def reach(url: str) -> str:
    """Connect and query; return Prisma's text about why that failed, without its beginning."""
    pool = Pool(read_url(url))
    try:
        async with pool.connection() as connection:
            await connection.rows("SELECT 1", [])
    except UserError as error:
        return str(error).removeprefix("Error opening a TLS connection: ").removesuffix(".")
    finally:
        await pool.close()
    return ""


@pytest.mark.parametrize("server", ["good", "alone", "expired", "other"])
@pytest.mark.parametrize(
    "query", ["", "sslmode=prefer", "sslmode=require", "sslmode=require&sslcert={}/root"]
)
async def test_a_certificate_that_is_not_verified(servers: Servers, server: str, query: str) -> None:
    assert await reach(servers.url(server, query)) == ""


@pytest.mark.parametrize(
    ("query", "by_name"),
    [
        ("sslmode=require&sslaccept=strict&sslcert={}/", True),
        ("sslaccept=strict&sslcert={}/", True),
        ("sslmode=verify-full&sslrootcert={}/", True),
        ("sslmode=require&channel_binding=require&sslrootcert={}/", True),
        ("sslmode=verify-ca&sslrootcert={}/", False),
        ("sslmode=require&sslrootcert={}/", False),
    ],
)
async def test_a_certificate_that_is_verified(servers: Servers, query: str, by_name: bool) -> None:
    other_host = OTHER_HOST if by_name else ""
    for server, file, expected in (
        ("good", "root", ""),
        ("good", "region", ""),
        ("good", "whole", ""),
        ("good", "foreign", UNTRUSTED),
        ("alone", "root", UNTRUSTED),
        ("alone", "middle", ""),
        ("expired", "root", EXPIRED),
        ("other", "root", other_host),
        ("plain", "root", "the server has none, but `sslmode` demands it"),
    ):
        assert await reach(servers.url(server, query + file)) == expected, (server, file)
    assert await reach(servers.url("good", query + "root", host="127.0.0.1")) == other_host


@pytest.mark.parametrize("query", ["sslmode=verify-full", "sslaccept=strict", "sslrootcert=system"])
async def test_the_systems_authorities_are_those_without_a_file(servers: Servers, query: str) -> None:
    assert await reach(servers.url("good", query)) == UNTRUSTED


@pytest.mark.parametrize(
    ("query", "reason"), [("sslmode=disable", ""), ("", ""), ("sslmode=require", "none")]
)
async def test_a_server_without_tls(servers: Servers, query: str, reason: str) -> None:
    assert reason in await reach(servers.url("plain", query))


@pytest.mark.parametrize("query", ["sslrootcert={}/missing", "sslrootcert={}/none"])
async def test_a_file_that_cannot_be_read(servers: Servers, query: str) -> None:
    assert "cannot be read" in await reach(servers.url("good", f"sslmode=require&sslaccept=strict&{query}"))
