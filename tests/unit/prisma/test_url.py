"""DATABASE_URL: the cases that the reader in JavaScript is held to as well, and what only Python's has."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prisma_in_process.url import DatabaseUrl, InvalidUrl, read_url

CASES = json.loads(Path("layers/prisma/engines/test/database-urls.json").read_text())
READ: list[tuple[str, dict[str, Any]]] = [(url, fields) for url, fields in CASES["read"]]
NO_LIMIT = ("pool_timeout_s", "connect_timeout_s", "socket_timeout_s")


def parts(url: DatabaseUrl) -> DatabaseUrl:
    return replace(url, authority=None, parameters={})


@pytest.mark.parametrize(("text", "fields"), READ)
def test_a_url_is_read(text: str, fields: dict[str, Any]) -> None:
    expected: dict[str, Any] = {
        name: value if value or name not in NO_LIMIT else None for name, value in fields.items()
    }
    assert parts(read_url(text)) == DatabaseUrl(**expected)


@pytest.mark.parametrize(("text", "reason"), CASES["refused"])
def test_a_wrong_url_is_refused_without_being_shown(text: str, reason: str) -> None:
    with pytest.raises(InvalidUrl, match=r"^The database URL is invalid: expected [^\n]*\.$") as caught:
        read_url(text)
    shown = json.dumps(caught.value.body)
    assert reason in shown
    assert "P1013" in shown
    assert not any(secret in shown for secret in ("hush", "hu/sh", "hu%00sh"))


@pytest.mark.parametrize("text", [text for text, _ in READ])
def test_the_canonical_text_is_read_alike(text: str) -> None:
    url = read_url(text)
    assert parts(read_url(url.text())) == parts(url)
    assert parts(read_url(url.text(application_name="ours"))) == replace(
        parts(url), application_name=url.application_name or "ours"
    )


def test_the_canonical_text() -> None:
    url = read_url("postgres://u:p$s w@[::1]/d?schema=a b&pgbouncer=true")
    text = "postgresql://u:p%24s%20w@[::1]:5432/d?schema=a%20b&pgbouncer=true"
    assert (url.text(), url.address) == (text, "[::1]:5432")
    assert (
        read_url("postgresql://h").text(connection_limit=1)
        == "postgresql://h:5432/postgres?connection_limit=1"
    )


def test_the_rest_of_prismas_parameters() -> None:
    url = read_url("postgresql://h?statement_cache_size=0&pgbouncer=true&sslrootcert=ca&sslcert=c")
    assert replace(url, parameters={}) == DatabaseUrl(
        host="h", statement_cache_size=0, pgbouncer=True, authority="ca"
    )


@pytest.mark.parametrize(
    ("query", "authority"),
    [("sslcert=a", "a"), ("sslrootcert=b&sslcert=a", "b"), ("sslrootcert=system", None)],
)
def test_the_authority(query: str, authority: str | None) -> None:
    assert read_url(f"postgresql://h?{query}").authority == authority


def test_its_representation_holds_no_secret() -> None:
    assert "hush" not in repr(read_url("postgresql://u:hush@h?unknown=hush"))


def test_bytes_that_are_not_utf_8_are_refused() -> None:
    with pytest.raises(InvalidUrl, match="expected text in UTF-8"):
        read_url(b"postgresql://u:hush\xe4@h/d".decode(errors="surrogateescape"))


def test_reading_a_url_needs_no_driver() -> None:
    code = (
        "import sys; sys.path.insert(0, 'layers/prisma/python'); from prisma_in_process import url;"
        "print({'asyncpg', 'ssl', 'prisma', 'wasmtime', 'asyncio'} & set(sys.modules) or '')"
    )
    done = subprocess.run([sys.executable, "-Sc", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
