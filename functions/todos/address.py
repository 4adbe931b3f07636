"""The database's address: a given one, or one read from a secret, whose password may be rotated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Protocol

from prisma_in_process.url import DatabaseUrl, InvalidUrl, read_url

from functions.shared.secrets import SecretsUnavailable

_EXPECTED = 'expected DATABASE_SECRET to hold {"username", "password", "host", "port", "dbname"} as JSON'


class AddressUnknown(Exception):
    """There is no address. The text gives operators the reason and quotes nothing of the secret."""


class Address(Protocol):
    """The location of the database, with its password."""

    async def url(self) -> str:
        """Return it as Prisma reads it.

        Raises: AddressUnknown.
        """

    def expire(self) -> None:
        """Read it again at the next call, since no connection came about with it."""


class SecretStore(Protocol):
    """A store of secrets."""

    async def value(self, arn: str) -> str:
        """Return a secret's text.

        Raises: SecretsUnavailable.
        """

    def expire(self, arn: str) -> None:
        """Fetch a secret again at the next call."""


class GivenAddress:
    """An address that does not change."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def url(self) -> str:
        """Return it."""
        return self._url

    def expire(self) -> None:
        """Do nothing: the address is fixed."""


class SecretAddress:
    """The address in a secret that RDS keeps; rotation changes its password.

    Shape:  `authority` is the file of the certificate authorities that may have signed the database's
            certificate; with None it is not verified.
    """

    def __init__(self, secrets: SecretStore, arn: str, authority: Path | None) -> None:
        self._secrets, self._arn, self._authority = secrets, arn, authority

    async def url(self) -> str:
        """Return it; the secret was fetched at most 5 minutes ago.

        Raises: AddressUnknown.
        """
        try:
            return url_of(await self._secrets.value(self._arn), self._authority)
        except SecretsUnavailable as error:
            raise AddressUnknown(f"DATABASE_SECRET cannot be fetched: {error}") from None

    def expire(self) -> None:
        """Fetch the secret again at the next call."""
        self._secrets.expire(self._arn)


def url_of(secret: str, authority: Path | None) -> str:
    """Return the address in a secret of RDS's form: with TLS, and with verification if there is an authority.

    Raises: AddressUnknown.
    """
    verified = {"sslcert": str(authority), "sslaccept": "strict"} if authority else {}
    parameters = {"sslmode": "require", **verified}
    try:
        fields = json.loads(secret)
        user, password, host, name = (fields[field] for field in ("username", "password", "host", "dbname"))
        if not all(isinstance(each, str) and each for each in (user, password, host, name)):
            raise TypeError
        port = int(fields.get("port", 5432))
        url = DatabaseUrl(host, port, user, password, name, parameters=parameters).text()
        read_url(url)
    except (InvalidUrl, ValueError, OverflowError, TypeError, LookupError, AttributeError):
        raise AddressUnknown(_EXPECTED) from None
    return url
