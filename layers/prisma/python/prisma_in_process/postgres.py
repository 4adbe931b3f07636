"""One connection to Postgres. asyncpg speaks the binary protocol only: no session setting changes what is read."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from .errors import UserError, from_postgres
from .instants import read_instants
from .url import DatabaseUrl
from .values import coder, short

_STATEMENTS = 200
_FLOAT4 = 700
_LOST = (asyncpg.InterfaceError, asyncpg.PostgresConnectionError, ConnectionError, OSError, EOFError)


class Connection:
    """One connection, and the statements that it has prepared."""

    def __init__(self, url: DatabaseUrl) -> None:
        self._url = url
        self._prepared: OrderedDict[str, tuple[Any, list[Callable[[Any], Any] | None]]] = OrderedDict()
        self._raw: asyncpg.Connection | None = None
        self._in_transaction = 0

    async def open(self) -> None:
        """Raises: UserError."""
        where = self._url.address
        try:
            self._raw = await asyncpg.connect(**connect_arguments(self._url))
            await read_instants(self._raw)
        except asyncpg.PostgresError as error:
            raise from_postgres(error, raw=False) from None
        except TimeoutError:
            raise UserError("P1002", f"The database server at {where} was reached but timed out") from None
        except (OSError, asyncpg.InterfaceError) as error:
            code = "P1011" if "ssl" in type(error).__name__.lower() or "SSL" in str(error) else "P1001"
            raise UserError(
                code, f"Can't reach database server at {where} ({type(error).__name__})"
            ) from None

    @property
    def lost(self) -> bool:
        return self._raw is None or self._raw.is_closed()

    async def close(self) -> None:
        raw, self._raw = self._raw, None
        if raw:
            try:
                await raw.close(timeout=0.5)
            except Exception:
                raw.terminate()

    def terminate(self) -> None:
        raw, self._raw = self._raw, None
        if raw:
            with contextlib.suppress(RuntimeError):  # the loop is closed, and with it the socket
                raw.terminate()

    async def rows(self, sql: str, values: list[Any]) -> list[dict[str, Any]]:
        found, statement = await self.ask(sql, values)
        rows = [dict(row) for row in found]
        for column in statement.get_attributes() if rows else ():
            if column.type.oid == _FLOAT4:
                for row in rows:
                    row[column.name] = short(row[column.name])
        return rows

    async def execute(self, sql: str, values: list[Any]) -> int:
        _, statement = await self.ask(sql, values)
        count = (statement.get_statusmsg() or "").rpartition(" ")[2]
        return int(count) if count.isdecimal() else 0

    async def ask(self, sql: str, values: list[Any], *, raw: bool = False) -> tuple[list[Any], Any]:
        """Raises: UserError."""
        if self.lost:
            raise UserError("P1017", "Server has closed the connection.")
        try:
            if self._url.pgbouncer and not self._in_transaction:
                async with self._raw.transaction():
                    return await self._ask(sql, values)
            return await self._ask(sql, values)
        except asyncpg.InvalidCachedStatementError:
            self._prepared.pop(sql, None)
            if self._in_transaction:
                raise UserError("P2039", "The schema changed under a transaction") from None
            return await self._ask(sql, values)
        except asyncpg.exceptions.DataError as error:
            if error.sqlstate and getattr(error, "severity", None):
                raise from_postgres(error, raw=raw) from None
            raise _unfit(error, raw) from None
        except asyncpg.PostgresError as error:
            raise from_postgres(error, raw=raw) from None
        except (ValueError, TypeError, ArithmeticError) as error:
            raise _unfit(error, raw) from None
        except _LOST:
            self.terminate()
            raise UserError("P1017", "Server has closed the connection.") from None

    async def _ask(self, sql: str, values: list[Any]) -> tuple[list[Any], Any]:
        prepared = self._prepared.get(sql)
        if prepared is None:
            statement = await self._raw.prepare(sql, name="" if self._url.pgbouncer else None)
            types = statement.get_parameters()
            prepared = statement, [coder(each.name) for each in types]
            if not self._url.pgbouncer:
                self._prepared[sql] = prepared
                if len(self._prepared) > _STATEMENTS:
                    self._prepared.popitem(last=False)
        statement, coders = prepared
        if len(coders) != len(values):
            raise ValueError(f"{len(coders)} parameters are needed, {len(values)} were given")
        given = [
            value if coder is None or value is None else coder(value) for coder, value in zip(coders, values)
        ]
        return await statement.fetch(*given), statement

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Run a part of a plan in a transaction: the one that is open, or one of its own."""
        if self._in_transaction:
            yield
            return
        await self.begin()
        try:
            yield
        except BaseException:
            await self.end("ROLLBACK")
            raise
        await self.end("COMMIT")

    async def begin(self) -> None:
        await self._command("BEGIN")
        self._in_transaction += 1

    async def end(self, how: str) -> str:
        """Commit or roll back; return what Postgres did: it rolls back where a query had failed."""
        self._in_transaction = 0
        return "ROLLBACK" if self.lost else await self._command(how)

    async def _command(self, sql: str) -> str:
        try:
            return await self._raw.execute(sql)
        except asyncpg.PostgresError as error:
            raise from_postgres(error, raw=False) from None
        except _LOST:
            self.terminate()
            raise UserError("P1017", "Server has closed the connection.") from None


def _unfit(error: Exception, raw: bool) -> UserError:
    # asyncpg's text quotes the value: an error's must not.
    if "range" in str(error) and not raw:
        return UserError("P2020", "Value out of range for the type")
    where = str(error).partition(":")[0] if str(error).startswith("invalid input") else type(error).__name__
    if raw:
        return UserError("P2010", f"Raw query failed. Code: `22P02`. Message: `{where}`", {"code": "22P02"})
    return UserError("P2023", f"Inconsistent column data: {where}")


def connect_arguments(url: DatabaseUrl) -> dict[str, Any]:
    """Return what the driver takes for a URL."""
    settings = {"application_name": url.application_name, "options": url.options}
    if url.schema != "public" and not url.pgbouncer:
        settings["search_path"] = '"' + url.schema.replace('"', '""') + '"'
    return {
        "host": url.host,
        "port": url.port,
        "user": url.user or None,
        "password": url.password,
        "database": url.database,
        "ssl": {"disable": False, "prefer": "prefer"}.get(url.tls)
        if url.tls in ("disable", "prefer")
        else _tls(url),
        "timeout": url.connect_timeout_s,
        "statement_cache_size": 0,  # `Connection` keeps its own
        "server_settings": {name: value for name, value in settings.items() if value},
    }


def _tls(url: DatabaseUrl) -> Any:
    import ssl

    context = ssl.create_default_context(cafile=url.authority)
    # Python 3.13 asks more of certificates than Postgres's own clients do, and than databases' have.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.check_hostname = url.tls == "verify-full"
    if url.tls == "require":
        context.verify_mode = ssl.CERT_NONE
    if url.certificate and url.key:
        context.load_cert_chain(url.certificate, url.key)
    return context
