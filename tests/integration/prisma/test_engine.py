"""The engine in process, through a client that is not ours: connecting, batches, transactions."""

import asyncio
import gc
import importlib
import os
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.prisma.bank import Bank

Use = Callable[[Any], Awaitable[None]]


def errors() -> Any:
    return importlib.import_module("bank.errors")


def engine_errors() -> Any:
    return importlib.import_module("bank.engine.errors")


def ms(number: int) -> timedelta:
    return timedelta(milliseconds=number)


def run(bank: Bank, use: Use, **parameters: int) -> None:
    """Run a test with a connected client."""

    async def connected() -> None:
        async with bank.client(**parameters) as db:
            await use(db)

    asyncio.run(connected())


# Connecting


def test_connecting_opens_a_connection_once(bank: Bank) -> None:
    async def use(db: Any) -> None:
        assert bank.connections == 1
        with pytest.raises(engine_errors().AlreadyConnectedError):
            await db.connect()
        await db.disconnect()
        assert bank.connections == 0
        with pytest.raises(errors().ClientNotConnectedError):
            await db.account.count()
        await db.connect()
        assert await db.account.count() == 0

    run(bank, use)


def test_a_failed_connect_says_why_and_can_be_repeated(bank: Bank) -> None:
    wrong = bank.url().replace(f":{bank.postgres.port}/", ":1/")

    async def use() -> None:
        db = bank.client()
        db._datasource = {"url": wrong}
        with pytest.raises(errors().DataError, match="Can't reach database server") as caught:
            await db.connect()
        assert caught.value.code == "P1001"
        with pytest.raises(engine_errors().NotConnectedError):
            await db.account.count()
        db._datasource = {"url": bank.url()}
        await db.connect()
        await db.disconnect()

    asyncio.run(use())


def test_a_server_that_does_not_answer_is_given_up(bank: Bank) -> None:
    async def use(port: int) -> None:
        db = bank.client()
        db._datasource = {"url": f"postgresql://a:b@127.0.0.1:{port}/c?sslmode=disable"}
        with pytest.raises(errors().DataError, match="timed out") as caught:
            await db.connect(timeout=ms(100))
        assert caught.value.code == "P1002"

    with socket.create_server(("127.0.0.1", 0)) as silent:
        asyncio.run(use(silent.getsockname()[1]))


def test_the_address_is_that_of_the_schema(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    client = importlib.import_module("bank").Prisma

    async def use() -> None:
        with pytest.raises(RuntimeError, match="BANK_URL"):
            await client(use_dotenv=False).connect()
        monkeypatch.setenv("BANK_URL", bank.url())
        async with client(use_dotenv=False) as db:
            assert await db.account.count() == 0

    asyncio.run(use())


# The driver reports objects that were not closed, as Python does of files.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_client_that_is_freed_closes_its_connection(bank: Bank) -> None:
    async def use() -> None:
        db = bank.client()
        await db.connect()
        del db
        gc.collect()
        await asyncio.sleep(0.05)
        assert bank.connections == 0

    asyncio.run(use())


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_client_goes_on_in_the_next_event_loop(bank: Bank) -> None:
    db = bank.client()

    async def first() -> None:
        await db.connect()
        await db.account.create({"owner": "a"})

    async def second() -> None:
        assert await db.account.count() == 1
        await db.disconnect()

    asyncio.run(first())
    asyncio.run(second())
    gc.collect()


# Calls


def test_two_packages_raise_errors_of_their_own(bank: Bank) -> None:
    async def use(db: Any) -> None:
        with pytest.raises(errors().RecordNotFoundError) as caught:
            await db.account.find_unique_or_raise({"id": -1})
        assert "prisma_in_process.errors" not in "".join(traceback.format_exception(caught.value))

    run(bank, use)
    with (
        bank.client("bank_sync") as db,
        pytest.raises(importlib.import_module("bank_sync.errors").RecordNotFoundError),
    ):
        db.account.find_unique_or_raise({"id": -1})


def test_a_plan_is_compiled_once_and_not_on_the_event_loop(bank: Bank) -> None:
    async def use(db: Any) -> None:
        plans = db._engine.plans
        threads, make = set(), plans.make

        def compile_(call: Any) -> Any:
            threads.add(threading.current_thread())
            return make(call)

        plans.make = compile_
        before = plans.compiled
        where = {"owner": {"contains": "a"}, "balance": {"gt": 1, "lt": 9, "not": 5}}
        await asyncio.gather(*(db.account.find_many(where=where) for _ in range(4)))
        await db.account.find_many(where=where)
        assert plans.compiled == before + 1
        assert threads
        assert threading.main_thread() not in threads

    run(bank, use)


def test_metrics_are_refused(bank: Bank) -> None:
    async def use(db: Any) -> None:
        with pytest.raises(engine_errors().EngineError, match="no metrics"):
            await db.get_metrics()

    run(bank, use)


def test_logged_queries_are_sql_without_values(bank: Bank, capsys: pytest.CaptureFixture[str]) -> None:
    async def use() -> None:
        db = bank.client()
        db._log_queries = True
        async with db:
            await db.account.find_first(where={"owner": "a secret"})
            await db.query_raw("SELECT $1 AS text", "a secret")

    asyncio.run(use())
    logged = capsys.readouterr().out
    assert logged.startswith('prisma:query SELECT "public"."Account"."id"')
    assert logged.endswith("prisma:query SELECT $1 AS text\n")
    assert "secret" not in logged


# Batches


def test_a_batch_is_all_or_nothing(bank: Bank) -> None:
    async def use(db: Any) -> None:
        batch = db.batch_()
        batch.account.create({"owner": "a"})
        batch.account.create({"owner": "a"})
        with pytest.raises(errors().UniqueViolationError):
            await batch.commit()
        assert bank.owners == []
        batch.account.create({"owner": "b"})
        batch.account.create_many([{"owner": "c"}, {"owner": "d"}])
        batch.execute_raw('UPDATE "Account" SET balance = $1', 5)
        created, many, updated = await batch.commit()
        assert (created["owner"], many, updated) == ("b", {"count": 2}, 3)
        assert bank.owners == ["b", "c", "d"]
        assert await batch.commit() == []

    run(bank, use)


def test_many_rows_are_several_statements_that_are_all_or_nothing(bank: Bank) -> None:
    async def use(db: Any) -> None:
        rows = [{"owner": f"a{index:02}"} for index in range(67)]
        assert await db.account.create_many(rows) == 67
        assert bank.owners == [row["owner"] for row in rows]
        with pytest.raises(errors().UniqueViolationError):
            await db.account.create_many([*({"owner": f"b{index}"} for index in range(66)), {"owner": "a01"}])
        assert len(bank.owners) == 67
        repeated = [{"owner": "a01"}, *rows, {"owner": "c"}]
        assert await db.account.create_many(repeated, skip_duplicates=True) == 1

    run(bank, use)


def test_a_batch_in_a_transaction_ends_with_it(bank: Bank) -> None:
    async def use(db: Any) -> None:
        transaction = db.tx()
        tx = await transaction.start()
        async with tx.batch_() as batch:
            batch.account.create({"owner": "a"})
        assert bank.owners == []
        await transaction.rollback()
        assert bank.owners == []

    run(bank, use)


# Transactions


@pytest.mark.parametrize(
    ("end", "state"),
    [("commit", "committed"), ("rollback", "rolled back"), ("", "expired")],
)
def test_a_transaction_that_has_ended_takes_no_more_calls(bank: Bank, end: str, state: str) -> None:
    async def use(db: Any) -> None:
        transaction = db.tx(timeout=ms(5000 if end else 20))
        tx = await transaction.start()
        await tx.account.create({"owner": "a"})
        await (getattr(transaction, end)() if end else asyncio.sleep(0.1))
        for name, call in (
            ("query", tx.account.count),
            ("commit", transaction.commit),
            ("rollback", transaction.rollback),
        ):
            text = f"Transaction already closed: A {name} cannot be executed on .*{state}"
            with pytest.raises(errors().TransactionExpiredError, match=text):
                await call()
        assert bank.owners == (["a"] if end == "commit" else [])

    run(bank, use)


def test_a_transaction_expires_after_the_query_that_runs(bank: Bank) -> None:
    async def use(db: Any) -> None:
        with pytest.raises(errors().TransactionExpiredError):
            async with db.tx(timeout=ms(50)) as tx:
                await tx.execute_raw("INSERT INTO \"Account\" (owner) SELECT 'a' FROM pg_sleep(0.2)")
        assert bank.owners == []
        await db.account.create({"owner": "b"})

    run(bank, use, connection_limit=1)


def test_tasks_take_turns_in_a_transaction(bank: Bank) -> None:
    async def use(db: Any) -> None:
        async with db.tx() as tx:
            await asyncio.gather(*(tx.account.create({"owner": name}) for name in "abcdef"))
            assert bank.owners == []
        assert bank.owners == list("abcdef")

    run(bank, use)


def test_a_transaction_waits_only_so_long_for_a_connection(bank: Bank) -> None:
    async def use(db: Any) -> None:
        async with db.tx() as tx:
            with (
                pytest.warns(UserWarning, match="already in a transaction"),
                pytest.raises(
                    errors().TransactionError, match="Unable to start a transaction in the given time"
                ),
            ):
                await tx.tx(max_wait=ms(50)).start()
            await tx.account.create({"owner": "a"})
        assert await db.account.count() == 1

    run(bank, use, connection_limit=1)


async def _transaction_that_hangs(db: Any) -> None:
    async with db.tx() as tx:
        await tx.account.create({"owner": "a"})
        await tx.query_raw("SELECT pg_sleep(9)::text")


async def _batch_that_hangs(db: Any) -> None:
    async with db.batch_() as batch:
        batch.account.create({"owner": "a"})
        batch.execute_raw("SELECT pg_sleep(9)")


@pytest.mark.parametrize("hang", [_transaction_that_hangs, _batch_that_hangs])
def test_a_cancelled_query_leaves_no_row_and_its_connection_in_order(bank: Bank, hang: Use) -> None:
    async def use(db: Any) -> None:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(hang(db), 0.05)
        assert await db.account.count() == 0
        assert bank.connections == 1

    run(bank, use, connection_limit=1)


def test_a_commit_goes_on_when_its_caller_is_cancelled(bank: Bank) -> None:
    async def use(db: Any) -> None:
        transaction = db.tx()
        tx = await transaction.start()
        await tx.account.create({"owner": "a"})
        committing = asyncio.create_task(transaction.commit())
        await asyncio.sleep(0)
        committing.cancel()
        await asyncio.gather(committing, return_exceptions=True)
        await db.account.create({"owner": "b"})
        assert bank.owners == ["a", "b"]

    run(bank, use, connection_limit=1)


def test_a_commit_that_does_nothing_is_an_error(bank: Bank) -> None:
    async def use(db: Any) -> None:
        transaction = db.tx()
        tx = await transaction.start()
        await tx.account.create({"owner": "a"})
        with pytest.raises(errors().UniqueViolationError):
            await tx.account.create({"owner": "a"})
        with pytest.raises(errors().TransactionError, match="Nothing was committed"):
            await transaction.commit()
        assert bank.owners == []

    run(bank, use)


def test_a_transaction_whose_connection_was_lost_is_not_committed(bank: Bank) -> None:
    async def use(db: Any) -> None:
        transaction = db.tx()
        tx = await transaction.start()
        await tx.account.create({"owner": "a"})
        bank.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE pid <> pg_backend_pid() AND datname = '{bank.database}'"
        )
        with pytest.raises(errors().DataError) as caught:
            await transaction.commit()
        assert caught.value.code == "P1017"
        await db.account.create({"owner": "b"})
        assert bank.owners == ["b"]

    run(bank, use, connection_limit=1)


def test_disconnecting_rolls_back_what_is_open(bank: Bank) -> None:
    async def use(db: Any) -> None:
        transaction = db.tx()
        tx = await transaction.start()
        await tx.account.create({"owner": "a"})
        await db.disconnect()
        assert (bank.owners, bank.connections) == ([], 0)
        await db.connect()
        tx._engine = db._engine
        with pytest.raises(errors().TransactionError, match="Transaction not found"):
            await tx.account.count()

    run(bank, use)


# The synchronous client


def test_the_synchronous_client_has_the_same_engine(bank: Bank) -> None:
    error = importlib.import_module("bank_sync.errors").UniqueViolationError

    def fail(db: Any) -> None:
        with db.tx() as tx:
            tx.account.create({"owner": "d"})
            tx.account.create({"owner": "d"})

    with bank.client("bank_sync") as db:
        db.account.create({"owner": "a", "entries": {"create": [{"amount": 3}]}})
        with db.batch_() as batch:
            batch.account.create({"owner": "b"})
            batch.account.create({"owner": "c"})
        with pytest.raises(error):
            fail(db)
        with db.tx() as tx:
            tx.account.delete({"owner": "b"})
        assert bank.owners == ["a", "c"]
        assert db._engine.plans.compiled > 0
        assert db.query_raw('SELECT amount FROM "Entry"') == [{"amount": 3}]


def test_threads_share_a_synchronous_client(bank: Bank) -> None:
    with bank.client("bank_sync", connection_limit=3) as db:
        db.account.create({"owner": "a"})

        def pay() -> None:
            for _ in range(10):
                with db.tx() as tx:
                    tx.account.update({"balance": {"increment": 1}}, {"owner": "a"})

        threads = [threading.Thread(target=pay) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert db.account.find_unique_or_raise({"owner": "a"}).balance == 60


_SCRIPT = """
import os, signal, sys, threading
import prisma_in_process
prisma_in_process.install("bank_sync")
from bank_sync import Prisma
db = Prisma(use_dotenv=False)
db.connect()
threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
try:
    db.query_raw("SELECT pg_sleep(9)::text")
except KeyboardInterrupt:
    print("interrupted")
child = os.fork()
if not child:
    db.account.create({"owner": "child"})
    sys.exit()
assert os.waitpid(child, 0)[1] == 0
db.account.create({"owner": "parent"})
"""


def test_a_synchronous_client_is_interrupted_forked_and_left_open(bank: Bank) -> None:
    environment = {
        **os.environ,
        "BANK_URL": bank.url(connection_limit=1),
        "PYTHONPATH": os.pathsep.join((str(bank.folder), *sys.path)),
    }
    command = (sys.executable, "-W", "always::ResourceWarning", "-c", _SCRIPT)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "interrupted\n", "")
    assert bank.owners == ["child", "parent"]
