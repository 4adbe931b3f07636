"""The address of a Postgres database, as Prisma writes it.

A parameter that is unknown is ignored, as by Prisma, unless it concerns TLS or the server's address: then the
connection would be another than the one written.

Source: Prisma's "PostgreSQL database connector", Arguments; prisma-engines, quaint, `postgres/url.rs`; both
        read 2026-11-27. libpq's names for TLS (`verify-full`, `sslrootcert`): from memory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import parse_qsl, quote, unquote, urlencode

from .errors import UserError

Tls = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]

_HOST = r"(?P<host>\[[^\s\]/@]+\]|[^\s\[\]:/?#@,]*)(?::(?P<port>[0-9]*))?"
_PATH = r"(?:/(?P<database>[^/?#@]*)/?)?(?:\?(?P<query>(?:[A-Za-z0-9_.-]+=[^&#]*(?:&|\Z))*))?"
# A password with unescaped characters ends at the first @ after which the rest is in order, or at the last.
_STANDARD, _FIRST, _LAST = (
    re.compile(rf"(?:(?P<user>[^:/?#]*)(?::(?P<password>{password}))?@)?{_HOST}{_PATH}", re.DOTALL)
    for password in ("[^/?#]*", ".*?", ".*")
)
_ESCAPE = "its special characters escaped, for example # as %23, / as %2F and @ as %40"
_TLS = ("sslmode", "sslaccept", "sslcert", "sslrootcert")
_ADDRESS = {"port", "hostaddr", "user", "password", "dbname", "service"}


class InvalidUrl(UserError):
    """Text is not the address of a Postgres database. The message quotes nothing of it."""

    def __init__(self, expected: str) -> None:
        super().__init__("P1013", f"The database URL is invalid: expected {expected}.")


@dataclass(frozen=True)
class DatabaseUrl:
    """The address of a database, and how to connect to it.

    Shape:  `host` may be the folder of a socket. `user` is "" and `password` None where the URL has none.
            `tls` is libpq's `sslmode`; `authority` is a file, None for the system's authorities.
    Units:  seconds; None waits without limit.
    """

    host: str = "localhost"
    port: int = 5432
    user: str = ""
    password: str | None = field(default=None, repr=False)
    database: str = "postgres"
    schema: str = "public"
    connection_limit: int = 2 * (os.cpu_count() or 1) + 1
    pool_timeout_s: int | None = 10
    connect_timeout_s: int | None = 5
    socket_timeout_s: int | None = None
    statement_cache_size: int = 100
    pgbouncer: bool = False
    application_name: str | None = None
    options: str | None = None
    tls: Tls = "prefer"
    authority: str | None = None
    log_queries: bool = False
    parameters: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def address(self) -> str:
        """The host and port, which may be shown."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def text(self, **defaults: object) -> str:
        """Return the URL in the form that every client reads; `defaults` are parameters that it may lack."""
        user, database = quote(self.user, safe=""), quote(self.database, safe="")
        password = "" if self.password is None else f":{quote(self.password, safe='')}"
        at, parameters = self.address, {**defaults, **self.parameters}
        if self.host.startswith("/"):
            at, parameters["host"] = f"localhost:{self.port}", self.host
        query = urlencode(parameters, quote_via=quote)
        login = f"{user}{password}@" if user or password else ""
        return f"postgresql://{login}{at}/{database}{'?' if query else ''}{query}"


def read_url(text: str) -> DatabaseUrl:
    """Read a database's URL; blanks and line ends around it do not count. Raises: InvalidUrl."""
    if any("\ud800" <= each <= "\udfff" for each in text):  # bytes of an environment that are not UTF-8
        raise InvalidUrl("text in UTF-8")
    scheme, _, rest = text.strip(" \t\r\n\v\f\xa0\ufeff").partition("://")
    if scheme.lower() not in ("postgresql", "postgres"):
        raise InvalidUrl("a URL that begins with postgresql:// or postgres://, without quotes")
    found = _STANDARD.fullmatch(rest)
    if not found:
        found, last = _FIRST.fullmatch(rest), _LAST.fullmatch(rest)
        if not found or not last or found["password"] != last["password"]:
            raise InvalidUrl(f"postgresql://user:password@host:port/database, {_ESCAPE}")
    given = _Parameters(parse_qsl(found["query"] or "", keep_blank_values=True))
    port = int(found["port"] or 5432) if len(found["port"] or "") < 6 else 0
    if not 0 < port < 65536:
        raise InvalidUrl("a port between 1 and 65535")
    authority = given.get("sslrootcert") or given.get("sslcert")
    url = DatabaseUrl(
        host=given.get("host") or _decode(found["host"].strip("[]")) or "localhost",
        port=port,
        user=_decode(found["user"] or ""),
        password=None if found["password"] is None else _decode(found["password"]),
        database=_decode(found["database"] or "") or "postgres",
        schema=given.get("schema") or "public",
        connection_limit=given.number("connection_limit", DatabaseUrl.connection_limit, least=1),
        pool_timeout_s=given.number("pool_timeout", 10) or None,
        connect_timeout_s=given.number("connect_timeout", 5) or None,
        socket_timeout_s=given.number("socket_timeout", 0) or None,
        statement_cache_size=given.number("statement_cache_size", 100),
        pgbouncer=given.one_of("pgbouncer", "false", "true") == "true",
        application_name=given.get("application_name"),
        options=given.get("options"),
        tls=given.tls(),
        authority=None if authority == "system" else authority or None,
        parameters=given,
    )
    if any("\0" in each for each in (url.host, url.user, url.password or "", url.database, *given.values())):
        raise InvalidUrl("no zero byte (%00)")
    return url


def _decode(text: str) -> str:
    """Decode %XX; what is no UTF-8 then, stays as it is written."""
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


class _Parameters(dict[str, str]):
    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        super().__init__(pairs)
        for name in self:
            if name in _ADDRESS:
                raise InvalidUrl(f"host, port, user and password before the parameters, not {name} in them")
            if name.lower().startswith("ssl") and name not in _TLS:
                raise InvalidUrl(f"no parameters of TLS but {', '.join(_TLS)}")

    def number(self, name: str, default: int, *, least: int = 0) -> int:
        text = self.get(name, str(default))
        if not re.fullmatch("[0-9]{1,9}", text):
            raise InvalidUrl(f"a whole number as {name}")
        if int(text) < least:
            raise InvalidUrl(f"{least} or more as {name}")
        return int(text)

    def one_of(self, name: str, *values: str) -> str:
        """Return a parameter; the first value is the default."""
        text = self.get(name, values[0])
        if text not in values:
            raise InvalidUrl(f"{', '.join(values[:-1])} or {values[-1]} as {name}")
        return text

    def tls(self) -> Tls:
        """Return how the server is verified.

        The driver has no channel binding: where it is required, so is a certificate that is verified.
        """
        mode = self.one_of("sslmode", "prefer", "disable", "allow", "require", "verify-ca", "verify-full")
        binding = self.one_of("channel_binding", "prefer", "disable", "require") == "require"
        strict = self.one_of("sslaccept", "accept_invalid_certs", "strict") == "strict"
        if mode == "disable" and binding:
            raise InvalidUrl("another sslmode than disable with channel_binding=require")
        if mode == "disable":
            return "disable"
        if mode == "verify-full" or strict or binding or self.get("sslrootcert") == "system":
            return "verify-full"
        if mode == "verify-ca" or (mode == "require" and "sslrootcert" in self and "sslaccept" not in self):
            return "verify-ca"
        return "require" if mode == "require" else "prefer"
