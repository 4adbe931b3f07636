"""The database's address, made of what Secrets Manager keeps."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from functions.shared.secrets import SecretsUnavailable
from functions.todos.address import AddressUnknown, GivenAddress, SecretAddress, url_of

ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:todos"
SECRET: dict[str, Any] = {
    "username": "todos",
    "password": "hush",
    "host": "db.cluster-x.eu-central-1.rds.amazonaws.com",
    "port": 5432,
    "dbname": "todos",
    "engine": "postgres",
    "dbClusterIdentifier": "todos",
}


class FakeSecrets:
    """Secrets that change when they are fetched again."""

    def __init__(self, *texts: str) -> None:
        self.texts = list(texts)

    async def value(self, arn: str) -> str:
        assert arn == ARN
        if not self.texts:
            raise SecretsUnavailable("AccessDeniedException")
        return self.texts[0]

    def expire(self, arn: str) -> None:
        assert arn == ARN
        self.texts.pop(0)


def text(**changes: Any) -> str:
    return json.dumps(SECRET | changes)


def test_an_address_is_complete_encrypted_and_verified() -> None:
    assert url_of(text(), Path("/opt/rds-ca.pem")) == (
        "postgresql://todos:hush@db.cluster-x.eu-central-1.rds.amazonaws.com:5432/todos"
        "?sslmode=require&sslcert=%2Fopt%2Frds-ca.pem&sslaccept=strict"
    )


def test_without_certificates_it_is_encrypted() -> None:
    assert parse_qs(urlsplit(url_of(text(), None)).query) == {"sslmode": ["require"]}


@pytest.mark.parametrize(
    "password", ["p@ss/w:rd?#%+&= ", "%41", "é😀", "'\"`$(x)", "a" * 200, "[]{}<>|\\^~"], ids=ascii
)
def test_any_password_is_kept_as_it_is(password: str) -> None:
    url = urlsplit(url_of(text(password=password, username=f"u{password}", dbname=f"d{password}"), None))
    assert (unquote(url.password or ""), unquote(url.username or "")) == (password, f"u{password}")
    assert (unquote(url.path), url.hostname, url.port) == (f"/d{password}", SECRET["host"], 5432)


@pytest.mark.parametrize("port", [6543, "6543"])
def test_a_port_may_be_a_number_or_a_text(port: int | str) -> None:
    assert urlsplit(url_of(text(port=port), None)).port == 6543


def test_a_port_that_is_not_there_is_postgres_own() -> None:
    fields = {name: value for name, value in SECRET.items() if name != "port"}
    assert urlsplit(url_of(json.dumps(fields), None)).port == 5432


@pytest.mark.parametrize(
    "secret",
    [
        *("", "hush", "[]", "null", '"hush"', "{}", '{"password": "hush"}'),
        *(text(**{name: None}) for name in ("username", "password", "host", "dbname", "port")),
        *(text(port="hush"), text(password=7), text(host=""), text(dbname="")),
        # what no address can hold
        *(text(port=0), text(port=1e999), text(host=" hush "), text(username="\0"), text(password="\ud800")),
    ],
)
def test_a_secret_of_another_form_is_reported_without_being_quoted(secret: str) -> None:
    with pytest.raises(AddressUnknown) as failed:
        url_of(secret, None)
    assert '"username", "password", "host", "port", "dbname"' in str(failed.value)
    assert "hush" not in str(failed.value)
    assert failed.value.__suppress_context__


def test_a_secret_is_fetched_again_after_its_address_failed() -> None:
    secrets = FakeSecrets(text(), text(password="new"))
    address = SecretAddress(secrets, ARN, None)
    assert ":hush@" in asyncio.run(address.url())
    address.expire()
    assert ":new@" in asyncio.run(address.url())


def test_why_a_secret_cannot_be_fetched_is_said() -> None:
    address = SecretAddress(FakeSecrets(), ARN, None)
    with pytest.raises(AddressUnknown, match="DATABASE_SECRET cannot be fetched: AccessDeniedException"):
        asyncio.run(address.url())


def test_an_address_that_is_given_stays() -> None:
    address = GivenAddress("postgresql://h/d")
    address.expire()
    assert asyncio.run(address.url()) == "postgresql://h/d"
