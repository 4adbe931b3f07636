"""One connection to Postgres. The driver's protocol is binary: no session setting changes what is read."""

from __future__ import annotations

import contextlib
import select
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from itertools import count
from typing import Any, TypeVar

import asyncpg
from asyncpg.pgproto.pgproto import BufferError as TornMessage

from .errors import UserError, connection_lost, not_connected, query_failed, unfit
from .url import DatabaseUrl, Tls
from .values import CODECS, UNFIT, coder, raw_type, raw_value

T = TypeVar("T")
Connect = Callable[..., Awaitable[Any]]

_CLOSE_S = 0.5
_LOST = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError, TornMessage)
# The server no longer has a statement, or it would have other columns. Nothing was executed.
_STALE = (asyncpg.InvalidCachedStatementError, asyncpg.InvalidSQLStatementNameError)
# Whether a type is an extension's, not an enum, a domain or a row.
_IS_BASE = "SELECT typtype = 'b' FROM pg_type WHERE typnamespace = $1::text::regnamespace AND typname = $2"


class _Statement:
    """A prepared statement, and what its parameters and columns are."""

    def __init__(self, prepared: Any) -> None:
        self.prepared = prepared
        self._parameters = [(each.name, coder(each.name)) for each in prepared.get_parameters()]
        columns = prepared.get_attributes()
        self.names = [each.name for each in columns]
        self.types = [raw_type(each.type.name) for each in columns]
        lists = [each.type for each in columns if each.type.name.endswith("[]")]
        self.foreign_lists = {(each.schema, each.name[:-2]) for each in lists if each.schema != "pg_catalog"}

    def encode(self, given: Sequence[Any], raw: bool) -> list[Any]:
        """Return values as the parameters' types need them. Raises: UserError."""
        if len(given) != len(self._parameters):
            raise unfit(f"{len(self._parameters)} parameters, but got {len(given)}", raw=raw)
        encoded = []
        for (name, fit), value in zip(self._parameters, given, strict=True):
            try:
                encoded.append(value if value is None or fit is None else fit(value))
            except UNFIT:
                expected = f"a value that is fit for type {name}, but got another {type(value).__name__}"
                raise unfit(expected, raw=raw) from None
        return encoded


_Fetched = tuple[list[Any], _Statement]


class Connection:
    """One connection, and the statements that it has prepared.

    `connect` opens the driver's connection; it has the interface of `asyncpg.connect`.
    """

    def __init__(self, url: DatabaseUrl, connect: Connect = asyncpg.connect) -> None:
        self._url, self._connect = url, connect
        self._most_statements = 0 if url.pgbouncer else url.statement_cache_size
        self._statements: dict[str, _Statement] = {}
        self._raw: Any = None
        self._numbers, self._busy = count(), False
        self._readable: set[tuple[str, str]] = set()

    async def open(self) -> None:
        """Raises: UserError."""
        url = self._url
        settings = {"application_name": url.application_name, "options": url.options}
        if not url.pgbouncer:  # which passes few settings on
            if url.schema != "public":
                settings["search_path"] = '"' + url.schema.replace('"', '""') + '"'
            if "plan_cache_mode" not in (url.options or ""):
                # Else a prepared statement gets one plan for any values at its sixth execution; that of a
                # search may read all rows.
                settings["plan_cache_mode"] = "force_custom_plan"
        tls = _tls(url.tls, url.authority)
        try:
            self._raw = await self._connect(
                host=url.host,
                port=url.port,
                user=url.user or None,
                password=url.password,
                database=url.database,
                ssl=tls,
                timeout=url.connect_timeout_s,
                command_timeout=url.socket_timeout_s,
                statement_cache_size=0,  # this class has its own
                server_settings={name: value for name, value in settings.items() if value},
            )
            for name, (encoder, decoder, form) in CODECS.items():
                await self._raw.set_type_codec(
                    name, schema="pg_catalog", encoder=encoder, decoder=decoder, format=form
                )
        except (asyncpg.PostgresError, *_LOST, *UNFIT) as error:
            self.terminate()
            raise not_connected(error, url) from None
        except BaseException:  # cancelled
            self.terminate()
            raise

    @property
    def lost(self) -> bool:
        """Whether it is known to be closed."""
        return self._raw is None or self._raw.is_closed()

    @property
    def ready(self) -> bool:
        """Whether the next caller can have it as it is: no query runs, no transaction is open."""
        return not self.lost and not self._busy and not self._raw.is_in_transaction()

    @property
    def notified(self) -> bool:
        """Whether the server has sent something since the last query: its end, most likely."""
        socket = self._raw._transport.get_extra_info("socket")
        if not hasattr(select, "poll") or socket is None:
            return False
        poll = select.poll()
        poll.register(socket, select.POLLIN)
        return bool(poll.poll(0))

    async def reset(self) -> None:
        """Wait until a cancelled query has ended, and end the transaction. Raises: UserError."""
        await self.command("SELECT 1" if self.lost or not self._raw.is_in_transaction() else "ROLLBACK")
        if self._raw.is_in_transaction():
            await self.command("ROLLBACK")

    async def close(self) -> None:
        """Say goodbye to the server, for at most half a second."""
        with contextlib.suppress(asyncpg.PostgresError, *_LOST):  # asyncpg aborts the connection then
            if self._raw:
                await self._raw.close(timeout=_CLOSE_S)
        self._raw = None

    def terminate(self) -> None:
        """Close it at once, also where its event loop is closed."""
        raw, self._raw = self._raw, None
        if raw:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and with it the socket
                raw.terminate()

    async def rows(self, sql: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        """Run a query; return its rows. Raises: UserError."""
        found, _ = await self._fetch(sql, values)
        return [dict(row) for row in found]

    async def execute(self, sql: str, values: Sequence[Any], *, raw: bool = False) -> int:
        """Run a statement; return the number of rows that it concerned. Raises: UserError."""
        _, statement = await self._fetch(sql, values, raw=raw)
        number = (statement.prepared.get_statusmsg() or "").rpartition(" ")[2]
        return int(number) if number.isdecimal() else 0

    async def raw_rows(self, sql: str, values: Sequence[Any]) -> dict[str, Any]:
        """Run a query of a user's; return its rows as Prisma's engines do. Raises: UserError."""
        found, statement = await self._fetch(sql, values, raw=True)
        rows = [[raw_value(*pair) for pair in zip(row, statement.types, strict=True)] for row in found]
        return {"columns": statement.names, "types": statement.types, "rows": rows}

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Run a part of a plan in a transaction: the one that is open, or one of its own. Raises: UserError.

        After a cancellation it is the pool that ends it.
        """
        if not self.lost and self._raw.is_in_transaction():
            yield
            return
        await self.command("BEGIN")
        try:
            yield
        except Exception:
            with contextlib.suppress(UserError):
                await self.command("ROLLBACK")
            raise
        await self.command("COMMIT")

    async def command(self, sql: str) -> str:
        """Run BEGIN, COMMIT or the like; return what was done: a failed transaction's COMMIT is a ROLLBACK.

        Raises: UserError.
        """
        if self.lost:
            raise connection_lost()
        return str(await self._call(self._raw.execute(sql)))

    async def _fetch(self, sql: str, values: Sequence[Any], *, raw: bool = False) -> _Fetched:
        if self.lost:
            raise connection_lost()
        if self._url.pgbouncer and not self._raw.is_in_transaction():
            async with self.transaction():  # so that the server that prepares it is the one that executes it
                return await self._run(sql, values, raw)
        try:
            return await self._run(sql, values, raw)
        except UserError as error:
            if not error.stale:
                raise
        self._statements.clear()
        if self._raw.is_in_transaction():
            raise UserError("P2034", "The tables changed during the transaction: please retry it")
        return await self._run(sql, values, raw)

    async def _run(self, sql: str, values: Sequence[Any], raw: bool) -> _Fetched:
        statement = self._statements.pop(sql, None) or await self._prepare(sql, raw)
        if self._most_statements:
            self._statements[sql] = statement  # last, since it was used last
        if len(self._statements) > self._most_statements:
            del self._statements[next(iter(self._statements))]
        if self._url.log_queries:
            print(f"prisma:query {sql}", flush=True)
        encoded = statement.encode(values, raw)
        return await self._call(statement.prepared.fetch(*encoded), raw=raw), statement

    async def _prepare(self, sql: str, raw: bool) -> _Statement:
        name = f"prisma_{next(self._numbers)}" if self._most_statements else ""
        statement = _Statement(await self._call(self._raw.prepare(sql, name=name), raw=raw))
        new = statement.foreign_lists - self._readable
        # The empty texts in lists of an extension's type asyncpg 0.32 would read as null pointers.
        for schema, kind in new:
            if kind == "citext":
                text: dict[str, Any] = {"encoder": str.encode, "decoder": bytes.decode, "format": "binary"}
                await self._raw.set_type_codec(kind, schema=schema, **text)
            elif raw and await self._call(self._raw.fetchval(_IS_BASE, schema, kind)):
                raise unfit(f"a type that can be read in lists, but got {kind}: cast it to text[]", raw=True)
            self._readable.add((schema, kind))
        return await self._prepare(sql, raw) if new else statement

    async def _call(self, operation: Awaitable[T], *, raw: bool = False) -> T:
        """Await an operation of the driver. Raises: UserError."""
        self._busy = True
        try:
            result = await operation
        except TimeoutError:  # the driver cancels the query
            raise UserError("P1008", f"Operations timed out after {self._url.socket_timeout_s} s") from None
        except asyncpg.PostgresError as error:
            severity = getattr(error, "severity_en", None)
            if severity in ("FATAL", "PANIC") or isinstance(error, asyncpg.PostgresConnectionError):
                self.terminate()
                raise connection_lost() from None
            self._busy = False
            if isinstance(error, asyncpg.DataError) and not severity:  # the driver's own
                too_large = isinstance(error.__cause__, OverflowError)
                raise unfit("values that fit their parameters' types", raw=raw, too_large=too_large) from None
            failure = query_failed(error, raw=raw)
            failure.stale = isinstance(error, _STALE)
            raise failure from None
        except _LOST:
            self.terminate()
            raise connection_lost() from None
        except (ValueError, ArithmeticError, LookupError):  # also of what is no answer: the pool will see
            text = "a value that Python cannot hold, such as a date before the year 1 or after 9999"
            raise UserError("P2023", f"Inconsistent column data: the database has {text}.") from None
        self._busy = False
        return result


@lru_cache(maxsize=8)
def _tls(mode: Tls, authority: str | None) -> ssl.SSLContext | Tls:
    """Return what the driver takes as `ssl`. Raises: UserError, P1011."""
    if mode in ("disable", "prefer"):
        return mode
    # Unlike `create_default_context` of Python 3.13, this demands no more of certificates than libpq does.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = mode == "verify-full"
    try:
        if mode == "require":
            context.verify_mode = ssl.CERT_NONE
        elif authority:
            context.load_verify_locations(authority)
        else:
            context.load_default_certs()
    except OSError as error:
        text = f"the file of certificates cannot be read ({type(error).__name__})"
        raise UserError("P1011", f"Error opening a TLS connection: {text}.") from None
    return context
