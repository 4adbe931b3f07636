"""One connection to Postgres. The driver's protocol is binary: no session setting changes what is read."""

from __future__ import annotations

import contextlib
import select
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg
from asyncpg.pgproto.pgproto import BufferError as TornMessage

from . import values as to
from .errors import UserError, connection_lost, not_connected, query_failed, unfit
from .instants import read_instants
from .tls import tls
from .url import DatabaseUrl

T = TypeVar("T")
Connect = Callable[..., Awaitable[Any]]

_CLOSE_S = 0.5
_LOST = (asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, EOFError, TornMessage)
# The server no longer has a statement, or it would have other columns. Nothing was executed.
_STALE = (asyncpg.InvalidCachedStatementError, asyncpg.InvalidSQLStatementNameError)
# Whether a type is an extension's, not an enum, a domain or a row.
_IS_BASE = "SELECT typtype = 'b' FROM pg_type WHERE typnamespace = $1::text::regnamespace AND typname = $2"


class _Stale(UserError):
    def __init__(self, failure: UserError) -> None:
        super().__init__(failure.code, str(failure))
        self.body = failure.body


class _Statement:
    """A prepared statement, and what its parameters and columns are."""

    def __init__(self, prepared: Any) -> None:
        self.prepared = prepared
        self._kinds = [each.name for each in prepared.get_parameters()]
        self._coders = [to.coder(name) for name in self._kinds]
        self.columns = [(each.name, each.type.name) for each in prepared.get_attributes()]
        self.singles = [name for name, kind in self.columns if kind == "float4"]
        self.foreign_lists = {
            (each.type.schema, each.type.name[:-2])
            for each in prepared.get_attributes()
            if each.type.name.endswith("[]") and each.type.schema != "pg_catalog"
        }
        self.single_lists = [name for name, kind in self.columns if kind == "float4[]"]

    def encode(self, given: Sequence[Any], raw: bool) -> list[Any]:
        """Return values as the parameters' types need them. Raises: UserError."""
        if len(given) != len(self._coders):
            raise unfit(f"{len(self._coders)} parameters, but got {len(given)}", raw=raw)
        encoded = []
        for kind, coder, value in zip(self._kinds, self._coders, given, strict=True):
            try:
                encoded.append(value if value is None or coder is None else coder(value))
            except to.Unfit as error:
                raise unfit(str(error), error.code, error.sqlstate, raw=raw) from None
            except to.UNFIT:
                reason = f"a value that is fit for type {kind}, but got another {type(value).__name__}"
                raise unfit(reason, raw=raw) from None
        return encoded


class Connection:
    """One connection, and the statements that it has prepared.

    `connect` opens the driver's connection; it has the interface of `asyncpg.connect`.
    """

    def __init__(self, url: DatabaseUrl, connect: Connect = asyncpg.connect) -> None:
        self._url, self._connect = url, connect
        self._statements: OrderedDict[str, _Statement] = OrderedDict()
        self._raw: Any = None
        self._made, self._busy = 0, False
        self._readable: set[tuple[str, str]] = set()

    async def open(self) -> None:
        """Raises: UserError."""
        try:
            self._raw = raw = await self._connect(**_arguments(self._url))
            await read_instants(raw)
            for name, encoder, decoder, form in to.DRIVER_CODECS:
                await raw.set_type_codec(
                    name, schema="pg_catalog", encoder=encoder, decoder=decoder, format=form
                )
        except (asyncpg.PostgresError, *_LOST, *to.UNFIT) as error:
            self.terminate()
            raise not_connected(error, self._url) from None
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
        await self._call(self._raw.execute("ROLLBACK" if self._raw.is_in_transaction() else "SELECT 1"))
        if self._raw.is_in_transaction():
            await self.end("ROLLBACK")

    async def close(self) -> None:
        """Say goodbye to the server, for at most half a second."""
        raw, self._raw = self._raw, None
        if raw:
            with contextlib.suppress(asyncpg.PostgresError, *_LOST):  # asyncpg aborts the connection then
                await raw.close(timeout=_CLOSE_S)

    def terminate(self) -> None:
        """Close it at once, also where its event loop is closed."""
        raw, self._raw = self._raw, None
        if raw:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and with it the socket
                raw.terminate()

    async def rows(self, sql: str, values: Sequence[Any]) -> list[dict[str, Any]]:
        """Run a query; return its rows. Raises: UserError."""
        found, statement = await self._fetch(sql, values)
        rows = [dict(row) for row in found]
        for name in statement.singles:
            for row in rows:
                row[name] = to.short(row[name])
        for name in statement.single_lists:
            for row in rows:
                row[name] = row[name] and [to.short(each) for each in row[name]]
        return rows

    async def execute(self, sql: str, values: Sequence[Any], *, raw: bool = False) -> int:
        """Run a statement; return the number of rows that it concerned. Raises: UserError."""
        _, statement = await self._fetch(sql, values, raw=raw)
        count = (statement.prepared.get_statusmsg() or "").rpartition(" ")[2]
        return int(count) if count.isdecimal() else 0

    async def raw_rows(self, sql: str, values: Sequence[Any]) -> dict[str, Any]:
        """Run a query of a user's; return its rows as Prisma's engines do. Raises: UserError."""
        found, statement = await self._fetch(sql, values, raw=True)
        types = [to.raw_type(name) for _, name in statement.columns]
        return {
            "columns": [name for name, _ in statement.columns],
            "types": types,
            "rows": [[to.raw_value(*pair) for pair in zip(row, types, strict=True)] for row in found],
        }

    async def _fetch(
        self, sql: str, values: Sequence[Any], *, raw: bool = False
    ) -> tuple[list[Any], _Statement]:
        if self.lost:
            raise connection_lost()
        if self._url.pgbouncer and not self._raw.is_in_transaction():
            async with self.transaction():  # so that the server that prepares it is the one that executes it
                return await self._run(sql, values, raw)
        try:
            return await self._run(sql, values, raw)
        except _Stale:
            self._statements.clear()
            if self._raw.is_in_transaction():
                raise UserError(
                    "P2034", "The tables changed during the transaction: please retry it"
                ) from None
        return await self._run(sql, values, raw)

    async def _run(self, sql: str, values: Sequence[Any], raw: bool) -> tuple[list[Any], _Statement]:
        statement = self._statements.get(sql)
        if statement is None:
            statement = await self._prepare(sql, raw)
        else:
            self._statements.move_to_end(sql)
        if self._url.log_queries:
            print(f"prisma:query {sql}", flush=True)
        encoded = statement.encode(values, raw)
        return await self._call(statement.prepared.fetch(*encoded), raw=raw), statement

    async def _prepare(self, sql: str, raw: bool) -> _Statement:
        limit = 0 if self._url.pgbouncer else self._url.statement_cache_size
        statement = None
        while statement is None:
            self._made += 1
            name = f"prisma_{self._made}" if limit else ""
            statement = _Statement(await self._call(self._raw.prepare(sql, name=name), raw=raw))
            for each in statement.foreign_lists - self._readable:
                await self._make_readable(*each, raw)
                statement = None
        if limit:
            self._statements[sql] = statement
            if len(self._statements) > limit:
                self._statements.popitem(last=False)
        return statement

    async def _make_readable(self, schema: str, kind: str, raw: bool) -> None:
        """Prepare for lists of an extension's type, whose empty texts asyncpg 0.32 reads as null pointers.

        Raises: UserError, for what only raw queries can select.
        """
        if kind == "citext":
            await self._raw.set_type_codec(
                kind, schema=schema, encoder=str.encode, decoder=bytes.decode, format="binary"
            )
        elif raw and await self._call(self._raw.fetchval(_IS_BASE, schema, kind)):
            raise unfit(f"a type that can be read in lists, but got {kind}: cast it to text[]", raw=True)
        self._readable.add((schema, kind))

    async def _call(self, operation: Awaitable[T], *, raw: bool = False) -> T:
        """Await an operation of the driver. Raises: UserError."""
        self._busy = True
        try:
            result = await operation
        except TimeoutError:  # the driver cancels the query
            raise UserError("P1008", f"Operations timed out after {self._url.socket_timeout_s} s") from None
        except asyncpg.PostgresError as error:
            fatal = getattr(error, "severity_en", None) in ("FATAL", "PANIC")
            if fatal or isinstance(error, asyncpg.PostgresConnectionError):
                self.terminate()
                raise connection_lost() from None
            self._busy = False
            if isinstance(error, asyncpg.DataError) and not getattr(
                error, "severity", None
            ):  # the driver's own
                raise unfit("values that are fit for their parameters' types", raw=raw) from None
            failure = query_failed(error, raw=raw)
            raise (_Stale(failure) if isinstance(error, _STALE) else failure) from None
        except _LOST:
            self.terminate()
            raise connection_lost() from None
        except (ValueError, ArithmeticError, LookupError):  # also of what is no answer: the pool will see
            text = "a value that Python cannot hold, such as a date before the year 1 or after 9999"
            raise UserError("P2023", f"Inconsistent column data: the database has {text}.") from None
        self._busy = False
        return result

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Run a part of a plan in a transaction: the one that is open, or one of its own. Raises: UserError.

        After a cancellation it is the pool that ends it.
        """
        if not self.lost and self._raw.is_in_transaction():
            yield
            return
        await self.begin()
        try:
            yield
        except Exception:
            with contextlib.suppress(UserError):
                await self.end("ROLLBACK")
            raise
        await self.end("COMMIT")

    async def begin(self) -> None:
        """Begin a transaction. Raises: UserError."""
        if self.lost:
            raise connection_lost()
        await self._call(self._raw.execute("BEGIN"))

    async def end(self, how: str) -> str:
        """End a transaction; return what became of it, COMMIT or ROLLBACK. Raises: UserError."""
        if self.lost:
            if how == "ROLLBACK":
                return how
            raise connection_lost()
        return str(await self._call(self._raw.execute(how)))


def _arguments(url: DatabaseUrl) -> dict[str, Any]:
    settings = {"application_name": url.application_name, "options": url.options}
    if not url.pgbouncer:  # which passes few settings on
        if url.schema != "public":
            settings["search_path"] = '"' + url.schema.replace('"', '""') + '"'
        if "plan_cache_mode" not in (url.options or ""):
            # Else a prepared statement gets one plan for any values at its sixth execution; that of a search
            # may read all rows.
            settings["plan_cache_mode"] = "force_custom_plan"
    return {
        "host": url.host,
        "port": url.port,
        "user": url.user or None,
        "password": url.password,
        "database": url.database,
        "ssl": tls(url),
        "timeout": url.connect_timeout_s,
        "command_timeout": url.socket_timeout_s,
        "statement_cache_size": 0,  # `Connection` keeps its own
        "server_settings": {name: value for name, value in settings.items() if value},
        "target_session_attrs": "any",
        "direct_tls": False,
    }
