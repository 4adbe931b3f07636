"""What becomes of a query, without a database. The rest is in `tests/integration/todos`."""

import asyncio
import importlib
import logging
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

import pytest
from prisma import errors
from prisma.engine.errors import NotConnectedError

from functions.todos import database as way
from functions.todos.address import AddressUnknown, GivenAddress
from functions.todos.database import Database, Failure, failure_of, reason_of, with_limits
from functions.todos.errors import DatabaseUnavailable

ADDRESS = "postgresql://user:p%40ss%2Fw%3Ard%3F%23%25%2B@host:5432/todos"
LIMITS = {"connection_limit": "1", "connect_timeout": "4", "pool_timeout": "6"}


def parameters(url: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(url).query, keep_blank_values=True, strict_parsing=True))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", LIMITS),
        ("?schema=a", {**LIMITS, "schema": "a"}),
        ("?connection_limit=5", {**LIMITS, "connection_limit": "5"}),
        ("?sslmode=require&connect_timeout=3", {**LIMITS, "connect_timeout": "3", "sslmode": "require"}),
        ("?options=-c%20a%3Db%26c", {**LIMITS, "options": "-c a=b&c"}),
    ],
)
def test_limits_are_added_to_the_parameters_that_are_there(given: str, expected: dict[str, str]) -> None:
    limited = with_limits(ADDRESS + given, 5)
    assert limited.startswith(f"{ADDRESS}?")
    assert parameters(limited) == expected


@pytest.mark.parametrize(
    ("timeout_s", "connect", "pool"), [(29, "28", "30"), (5, "4", "6"), (0.7, "1", "2"), (1.5, "1", "3")]
)
def test_a_connection_is_given_up_before_the_query_that_waits_for_it(
    timeout_s: float, connect: str, pool: str
) -> None:
    limits = parameters(with_limits(ADDRESS, timeout_s))
    assert (limits["connect_timeout"], limits["pool_timeout"]) == (connect, pool)


def prismas(code: str) -> errors.DataError:
    """Prisma's error with a code of its own, or with Postgres's."""
    own = {"error_code": code} if code.startswith("P") else {"error_code": None, "meta": {"code": code}}
    return errors.DataError({"user_facing_error": {"message": "no", **own}})


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        *((prismas(code), Failure.NOT_SENT) for code in ("P1001", "P1002", "P2024", "P2037")),
        *((prismas(code), Failure.LOST) for code in ("P1008", "P1011", "P1017", "P2034")),
        *((prismas(code), Failure.UNAVAILABLE) for code in ("P1003", "P1010", "P1013")),
        *((prismas(code), None) for code in ("P2002", "P2021", "P2022", "P2025")),
        (errors.DataError({}), None),
        *((prismas(state), Failure.LOST) for state in ("57P01", "57P02", "08006")),
        *((prismas(state), Failure.UNAVAILABLE) for state in ("53100", "53200", "55P03", "57014", "58030")),
        (prismas("P1000"), Failure.REJECTED),
        (prismas("25006"), Failure.NOT_SENT),
        *((prismas(state), None) for state in ("42501", "XX000")),
        (TimeoutError(), Failure.LOST),
        (errors.ClientNotConnectedError(), Failure.LOST),
        (NotConnectedError("x"), Failure.LOST),
    ],
    ids=lambda value: reason_of(value) if isinstance(value, Exception) else str(value),
)
def test_a_failure_is_known_by_its_code(error: Exception, failure: Failure | None) -> None:
    assert failure_of(error, sent=True) is failure


@pytest.mark.parametrize("error", [TimeoutError(), AddressUnknown("DATABASE_SECRET cannot be fetched: x")])
def test_without_a_connection_nothing_was_sent(error: Exception) -> None:
    assert failure_of(error, sent=False) is Failure.NOT_SENT


def test_a_database_does_not_show_its_address() -> None:
    assert "p%40ss" not in repr(Database(GivenAddress(ADDRESS), timeout_s=1))


def test_the_loggers_of_what_is_below_are_quiet() -> None:
    importlib.import_module("functions.todos.database")
    assert logging.getLogger("prisma").level == logging.WARNING


class Address(GivenAddress):
    """One that counts how often it is read and expires."""

    reads = expirations = 0

    async def url(self) -> str:
        self.reads += 1
        return await super().url()

    def expire(self) -> None:
        self.expirations += 1


class FakeClient:
    """The part of Prisma's client that a database uses. Connecting fails with `failures`, one each."""

    failures: ClassVar[list[Exception]] = []
    connects: float = 0
    open = 0

    def __init__(self, **_: object) -> None:
        self.connected = False

    async def connect(self, timeout: timedelta) -> None:
        assert timeout
        await asyncio.sleep(FakeClient.connects)
        if FakeClient.failures:
            raise FakeClient.failures.pop(0)
        self.connected = True
        FakeClient.open += 1

    async def disconnect(self) -> None:
        FakeClient.open -= self.connected
        self.connected = False


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> type[FakeClient]:
    monkeypatch.setattr(way, "Prisma", FakeClient)
    monkeypatch.setattr(way, "_PAUSE_S", 0.01)
    monkeypatch.setattr(FakeClient, "failures", [])
    monkeypatch.setattr(FakeClient, "open", 0)
    monkeypatch.setattr(FakeClient, "connects", 0)
    return FakeClient


def failing(*failures: Exception) -> Callable[[Any], Any]:
    """A query that fails with these first."""
    left = [*failures]

    async def query(_: object) -> str:
        await asyncio.sleep(0.01)
        if left:
            raise left.pop(0)
        return "result"

    return query


LOST, REJECTED, REFUSED, READ_ONLY = prismas("P1017"), prismas("P1000"), prismas("P1001"), prismas("25006")
FULL = prismas("53100")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("connecting", "sent", "expired", "connections", "succeeds"),
    [
        ([], [], 0, 1, True),
        ([], [LOST], 0, 1, True),
        ([], [LOST, LOST], 0, 1, False),
        ([REFUSED] * 3, [], 0, 4, True),
        ([], [REFUSED] * 3, 0, 4, True),
        ([REFUSED] * 3, [LOST], 0, 4, True),
        ([], [READ_ONLY], 0, 2, True),
        ([REJECTED], [], 1, 2, True),
        ([], [REJECTED], 1, 2, True),
        ([REJECTED], [LOST], 1, 2, True),
        ([REJECTED, REJECTED], [], 1, 2, False),
        ([prismas("P1003")], [], 0, 1, False),
        ([], [FULL], 0, 1, False),
    ],
)
async def test_a_query_is_repeated_as_its_failure_allows(
    client: type[FakeClient],
    connecting: list[Exception],
    sent: list[Exception],
    expired: int,
    connections: int,
    succeeds: bool,
) -> None:
    client.failures = [*connecting]
    address = Address(ADDRESS)
    database = Database(address, timeout_s=1)
    if succeeds:
        assert await database.execute(failing(*sent)) == "result"
    else:
        with pytest.raises(DatabaseUnavailable):
            await database.execute(failing(*sent))
    assert (address.expirations, address.reads, client.failures) == (expired, connections, [])
    await database.aclose()
    assert client.open == 0


@pytest.mark.anyio
@pytest.mark.parametrize("code", ["P2021", "42501"])
async def test_a_query_that_is_wrong_itself_is_not_repeated_and_its_code_is_logged(
    client: type[FakeClient], code: str, caplog: pytest.LogCaptureFixture
) -> None:
    wrong = prismas(code)
    with pytest.raises(errors.DataError) as raised:
        await Database(GivenAddress(ADDRESS), timeout_s=1).execute(failing(wrong, wrong))
    assert raised.value is wrong
    assert client.open == 1
    assert caplog.messages == [f"a query failed: {code}"]


@pytest.mark.anyio
async def test_two_timeouts_are_the_limit(client: type[FakeClient]) -> None:
    client.failures = [REFUSED] * 1000
    began = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        await Database(GivenAddress(ADDRESS), timeout_s=0.1).execute(failing())
    assert 0.15 < time.monotonic() - began < 0.5


@pytest.mark.anyio
async def test_queries_that_come_together_share_a_connection(client: type[FakeClient]) -> None:
    client.connects, address = 0.01, Address(ADDRESS)
    database = Database(address, timeout_s=1)
    results = await asyncio.gather(*(database.execute(failing()) for _ in range(5)))
    assert (results, client.open, address.reads) == (["result"] * 5, 1, 1)


@pytest.mark.anyio
async def test_what_one_query_replaced_another_does_not_replace_again(client: type[FakeClient]) -> None:
    address = Address(ADDRESS)
    database = Database(address, timeout_s=1)
    await asyncio.gather(*(database.execute(failing(REFUSED)) for _ in range(5)))
    assert (client.open, address.reads) == (1, 2)


@pytest.mark.anyio
async def test_a_database_that_is_closed_while_it_connects_leaves_no_connection(
    client: type[FakeClient],
) -> None:
    client.connects = 0.02
    database = Database(GivenAddress(ADDRESS), timeout_s=1)
    query = asyncio.ensure_future(database.execute(failing()))
    await asyncio.sleep(0.01)
    await database.aclose()
    with pytest.raises(DatabaseUnavailable):
        await query
    with pytest.raises(DatabaseUnavailable):
        await database.execute(failing())
    assert client.open == 0


@pytest.mark.anyio
async def test_a_query_that_is_cancelled_while_it_connects_leaves_no_connection(
    client: type[FakeClient],
) -> None:
    client.connects = 0.02
    database = Database(GivenAddress(ADDRESS), timeout_s=1)
    query = asyncio.ensure_future(database.execute(failing()))
    await asyncio.sleep(0.01)
    query.cancel()
    await asyncio.gather(query, return_exceptions=True)
    assert client.open == 0
    assert await database.execute(failing()) == "result"
