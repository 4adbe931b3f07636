"""A paused database resumes with the first query, which succeeds.

Aurora takes about 15 s to resume, while a query may take 29 s, twice: here all times are far shorter.
Source: Amazon Aurora User Guide, "Scaling to Zero ACUs with automatic pause and resume", read 2026-11-26.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import psutil
import pytest

from functions.todos import database as way
from functions.todos.errors import DatabaseUnavailable
from functions.todos.store import PrismaStore
from functions.todos.todos import Filter
from tests.integration.todos.conftest import Database, new_store, opened
from tests.integration.todos.proxies import Pause, paused
from tests.unit.todos.stores import NO_OWNER, todo

pytestmark = [pytest.mark.slow, pytest.mark.anyio, pytest.mark.xdist_group("todos-faults")]

LIMIT_S = 1.2
RESUMES_AFTER_S = 1.5
# What two queries may take, on a busy machine.
LATEST_S = 2 * LIMIT_S + 1
EVERY = Filter()


@asynccontextmanager
async def unopened(url: str) -> AsyncIterator[PrismaStore]:
    """A store whose first query begins everything."""
    store = new_store(url, LIMIT_S)
    try:
        yield store
    finally:
        await store.aclose()


@pytest.mark.parametrize(
    "pause", ["refuses", *(pytest.param(each, marks=pytest.mark.nightly) for each in ("holds", "drops"))]
)
async def test_the_first_query_is_answered(empty: Database, pause: Pause) -> None:
    async with paused(empty.url, pause, RESUMES_AFTER_S) as (database, url), unopened(url) as store:
        began = time.monotonic()
        assert await store.create(NO_OWNER, todo(1, "tea")) == todo(1, "tea")
        assert RESUMES_AFTER_S < time.monotonic() - began < LATEST_S
        assert database.attempts > 0 or pause == "refuses"
        began = time.monotonic()
        assert await store.count(NO_OWNER, EVERY) == 1
        assert time.monotonic() - began < LIMIT_S
    assert empty.titles() == ["tea"]


async def test_queries_that_come_together_are_all_answered(empty: Database) -> None:
    async with paused(empty.url, "holds", RESUMES_AFTER_S) as (_, url), unopened(url) as store:
        queries = [store.create(NO_OWNER, todo(number, "tea")) for number in range(1, 6)]
        assert [each.id.int for each in await asyncio.gather(*queries)] == [1, 2, 3, 4, 5]
        assert await store.count(NO_OWNER, EVERY) == 5


@pytest.mark.parametrize("pause", ["refuses", "holds"])
async def test_one_that_does_not_resume_is_reported_in_time(
    empty: Database, pause: Pause, caplog: pytest.LogCaptureFixture
) -> None:
    async with paused(empty.url, pause, 60) as (_, url), unopened(url) as store:
        began = time.monotonic()
        with pytest.raises(DatabaseUnavailable):
            await store.count(NO_OWNER, EVERY)
        assert 2 * LIMIT_S - 1 < time.monotonic() - began < LATEST_S
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(said) == 1
    assert said[0].startswith("the database cannot be queried: ")
    assert "postgresql://" not in caplog.text


async def test_a_cold_start_does_not_wait_for_it_and_the_query_goes_on_from_there(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way, "_OPEN_S", 0.5)
    async with paused(empty.url, "holds", RESUMES_AFTER_S) as (_, url):
        began = time.monotonic()
        async with opened(url, LIMIT_S) as store:
            assert time.monotonic() - began < 1
            assert await store.count(NO_OWNER, EVERY) == 0
            assert time.monotonic() - began < LATEST_S


async def test_a_store_that_is_closed_while_it_waits_leaves_nothing(
    empty: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(way, "_OPEN_S", 0.2)
    async with paused(empty.url, "holds", 60) as (database, url):
        async with opened(url, LIMIT_S):
            assert database.attempts == 1
        await asyncio.sleep(0.05)  # sockets are closed in the loop's next turn
        port = urlsplit(url).port
        sockets = psutil.Process().net_connections("tcp")
        assert [each for each in sockets if each.raddr and each.raddr.port == port] == []
