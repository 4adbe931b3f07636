"""Where the database is: an address that is given, or one made of a secret, which may change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlencode

from functions.shared.secrets import SecretsUnavailable

_EXPECTED = 'expected DATABASE_SECRET to hold {"username", "password", "host", "port", "dbname"} as JSON'


class AddressUnknown(Exception):
    """There is no address; the text says why, for operators, and holds nothing of it."""


class Address(Protocol):
    """Where the database is, and its password."""

    async def url(self) -> str:
        """Return it as Prisma reads it.

        Raises: AddressUnknown.
        """

    def expire(self) -> None:
        """Look it up anew the next time: it has led nowhere."""


class SecretStore(Protocol):
    """Where secrets are kept."""

    async def value(self, arn: str) -> str:
        """Return a secret's text.

        Raises: SecretsUnavailable.
        """

    def expire(self, arn: str) -> None:
        """Fetch a secret anew the next time."""


class GivenAddress:
    """An address that does not change."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def url(self) -> str:
        """Return it."""
        return self._url

    def expire(self) -> None:
        """Do nothing: there is no other."""


class SecretAddress:
    """The address of a secret that RDS keeps; rotation changes its password.

    Shape:  `authority` is the file of the certificates that the database's must come from; with None it is
            not verified.
    """

    def __init__(self, secrets: SecretStore, arn: str, authority: Path | None) -> None:
        self._secrets, self._arn, self._authority = secrets, arn, authority

    async def url(self) -> str:
        """Return it, as the secret was at most 5 minutes ago.

        Raises: AddressUnknown.
        """
        try:
            return url_of(await self._secrets.value(self._arn), self._authority)
        except SecretsUnavailable as error:
            raise AddressUnknown(f"DATABASE_SECRET cannot be fetched: {error}") from None

    def expire(self) -> None:
        """Fetch the secret anew the next time."""
        self._secrets.expire(self._arn)


def url_of(secret: str, authority: Path | None) -> str:
    """Return the address of a secret in RDS's form; the way to it is encrypted, and verified if it can be.

    Raises: AddressUnknown.
    Source: Prisma 5, "PostgreSQL connector", Arguments; prisma-engines, quaint, `postgres/url.rs`; read
            2026-11-23.
    """
    try:
        fields = json.loads(secret)
        user, password, host, name = (
            quote(fields[field], safe="") for field in ("username", "password", "host", "dbname")
        )
        port = int(fields.get("port", 5432))
    except (ValueError, TypeError, LookupError, AttributeError):
        raise AddressUnknown(_EXPECTED) from None
    verified = {"sslcert": str(authority), "sslaccept": "strict"} if authority else {}
    return (
        f"postgresql://{user}:{password}@{host}:{port}/{name}?{urlencode({'sslmode': 'require'} | verified)}"
    )
