"""The way to the database, as far as it goes without one. The rest is in `tests/integration/todos`."""

import importlib
import logging
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from prisma.errors import DataError

from functions.todos.address import GivenAddress
from functions.todos.database import Database, _QueryFailed, is_unreached, with_limits
from functions.todos.errors import DatabaseUnavailable

ADDRESS = "postgresql://user:p%40ss%2Fw%3Ard%3F%23%25%2B@host:5432/todos"
LIMITS = "connection_limit=1&connect_timeout=4&pool_timeout=6"


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ("", LIMITS),
        ("?", LIMITS),
        ("?schema=a", f"{LIMITS}&schema=a"),
        ("?connection_limit=5", LIMITS.replace("=1", "=5")),
        ("?sslmode=require&connect_timeout=3", f"{LIMITS.replace('=4', '=3')}&sslmode=require"),
        ("?options=-c%20a%3Db%26c", f"{LIMITS}&options=-c+a%3Db%26c"),
        ("?empty=&schema=%C3%A9", f"{LIMITS}&empty=&schema=%C3%A9"),
    ],
)
def test_limits_are_added_to_the_options_that_are_there(options: str, query: str) -> None:
    assert with_limits(ADDRESS + options, 5) == f"{ADDRESS}?{query}"


@pytest.mark.parametrize(
    ("timeout_s", "connect", "pool"), [(12, "11", "13"), (5, "4", "6"), (0.7, "1", "2"), (1.5, "1", "3")]
)
def test_a_connection_is_given_up_before_the_query_that_waits_for_it(
    timeout_s: float, connect: str, pool: str
) -> None:
    query = parse_qs(urlsplit(with_limits(ADDRESS, timeout_s)).query)
    assert (query["connect_timeout"], query["pool_timeout"]) == ([connect], [pool])


@pytest.mark.parametrize(
    "address",
    [
        ADDRESS,
        "postgresql://user@host/todos",
        "postgres://host",
        "postgresql://user:a%20b+c@[::1]:5432/to%20dos",
        "postgresql://u:p@host:1/a-b_c",
    ],
)
def test_the_rest_of_an_address_stays_as_it_is(address: str) -> None:
    assert with_limits(address, 5) == f"{address}?{LIMITS}"


def error(code: str | None, message: str = "no") -> DataError:
    fields: dict[str, Any] = {"message": message, **({"error_code": code} if code else {})}
    return DataError({"user_facing_error": fields})


@pytest.mark.parametrize(
    ("failure", "unreached"),
    [
        *((error(code), True) for code in ("P1001", "P1002", "P2024", "P2037")),
        *((error(code), False) for code in ("P1000", "P1008", "P1011", "P1017", "P2002", "P2028", None)),
        (error(None, 'PostgresError { code: "57P03", message: "the database system is starting up" }'), True),
        (error("P2010", 'code: "57P03"'), False),
    ],
    ids=lambda value: str(getattr(value, "code", value)),
)
def test_queries_that_were_not_sent_are_recognised(failure: DataError, unreached: bool) -> None:
    assert is_unreached(failure) is unreached


def test_a_database_starts_nothing_before_it_is_opened_and_does_not_show_the_address() -> None:
    database = Database(GivenAddress(ADDRESS), timeout_s=1)
    assert "p%40ss" not in repr(database)
    assert not database._client.is_connected()


def test_the_loggers_of_what_is_below_are_quiet() -> None:
    importlib.import_module("functions.todos.database")
    assert logging.getLogger("prisma").level == logging.getLogger("httpx").level == logging.WARNING


LOST, WRONG_PASSWORD = _QueryFailed(TimeoutError()), _QueryFailed(TimeoutError(), address_suspect=True)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("failures", "expired", "succeeds"),
    [
        ([], 0, True),
        ([LOST], 0, True),
        ([LOST, LOST], 0, False),
        ([WRONG_PASSWORD], 1, True),
        ([LOST, WRONG_PASSWORD], 1, True),
        ([WRONG_PASSWORD, WRONG_PASSWORD], 1, True),
        ([WRONG_PASSWORD, WRONG_PASSWORD, WRONG_PASSWORD], 1, False),
    ],
    ids=["none", "lost", "lost twice", "password", "lost, then password", "password twice", "wrong password"],
)
async def test_a_query_is_sent_twice_at_most_and_with_a_new_address_once(
    monkeypatch: pytest.MonkeyPatch, failures: list[Exception], expired: int, succeeds: bool
) -> None:
    class Address(GivenAddress):
        expirations = 0

        def expire(self) -> None:
            self.expirations += 1

    async def execute_once(*_: object) -> str:
        if left:
            raise left.pop(0)
        return "result"

    left, address = [*failures], Address(ADDRESS)
    database = Database(address, timeout_s=1)
    monkeypatch.setattr(database, "_execute_once", execute_once)
    if succeeds:
        assert await database.execute(lambda _: None) == "result"  # type: ignore[arg-type, return-value]
    else:
        with pytest.raises(DatabaseUnavailable):
            await database.execute(lambda _: None)  # type: ignore[arg-type, return-value]
    assert (left, address.expirations) == ([], expired)
