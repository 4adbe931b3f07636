"""The todo function, from its bundle, beside a hello world, and beside the same SQL without it."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg

from bench import bundle
from bench.measures import Row, alternating, ms
from bench.runtime_api import STOCK, Function, function, hello_event, http_event
from tests.postgres import Postgres, run_postgres

_EXAMPLES = bundle.ROOT / "examples"
_MB = 2**20
ROWS = 20
COLUMNS = 'owner, id, title, completed, "createdAt"'
_SELECT = f'SELECT {COLUMNS} FROM "Todo" WHERE owner = %s ORDER BY "createdAt" DESC, id DESC LIMIT 100'
_INSERT = f'INSERT INTO "Todo" ({COLUMNS}) VALUES (%s, %s, %s, false, now()) RETURNING {COLUMNS}'
# The process prints how to start the function: the code of a bundle is its checkout's own.
_BUILD = """
import json, sys
from infra.emulator.bundled_function import BundledFunction
built = BundledFunction.build("todos", version=sys.argv[1])
print(json.dumps([built.command(), dict(built.variables()), str(built.task)]))
"""


def cold_start(rounds: int = 11) -> list[Row]:
    """Process start to the end of the first reply: ours has read todos, a hello world says hello."""
    query = graphql_event((_EXAMPLES / "todos.graphql").read_text())
    hello = hello_event()
    with database() as postgres:

        def ours() -> float:
            with todos(postgres) as started:
                return started.first_reply_s(query, b"todo 7")

        def other() -> float:
            with function((*STOCK, "bench.hello.handler"), packages=bundle.HELLO) as started:
                return started.first_reply_s(hello, b"world")

        results = alternating(rounds + 1, ours, other)
    ours_s, hello_s = (statistics.median(values[1:]) for values in results)
    return [
        Row(
            "todos: cold start and the first reply",
            ms(ours_s),
            f"{ms(hello_s)} FastAPI + Mangum + httpx, awslambdaric",
            f"{ours_s / hello_s:.2f} x",
            "<= 1.15 x",
            ours_s / hello_s <= 1.15,
        )
    ]


def round_trips(rounds: int = 300) -> list[Row]:
    """The example query and mutation, warm, beside the same SQL through psycopg; and the memory it takes."""
    query, mutation = (
        graphql_event((_EXAMPLES / name).read_text()) for name in ("todos.graphql", "create_todo.graphql")
    )
    with (
        database() as postgres,
        todos(postgres) as started,
        psycopg.connect(postgres.url(), autocommit=True) as direct,
    ):

        def select() -> float:
            direct.execute('DELETE FROM "Todo" WHERE title = %s', ["Test Todo"])
            return _timed(lambda: direct.execute(_SELECT, [""]).fetchall())

        sides = (
            lambda: started.invoke(query).total_s,
            select,
            lambda: started.invoke(mutation).total_s,
            lambda: _timed(lambda: direct.execute(_INSERT, ["", uuid4(), "Test Todo"]).fetchall()),
        )
        alternating(20, *sides)
        query_s, select_s, mutation_s, insert_s = (
            statistics.median(values) for values in alternating(rounds, *sides)
        )
        process = psutil.Process(started.pid)
        used, others = process.memory_info().rss / _MB, len(process.children())
    return [
        _beside(f"query of {ROWS}, the whole function", query_s, select_s),
        _beside("mutation, the whole function", mutation_s, insert_s),
        Row(
            "todos: memory",
            f"{used:.0f} MB",
            f"{others} other processes",
            "",
            "<= 75 MB",
            used <= 75 and not others,
        ),
    ]


def at_the_driver() -> list[Row]:
    """What the store's query and mutation take, beside the same SQL through psycopg, in one process."""
    with database() as postgres:
        worker = (sys.executable, "-m", "bench.store", postgres.url())
        environment = os.environ | {"PYTHONPATH": str(bundle.ROOT / "layers/prisma/python")}
        ran = subprocess.run(worker, cwd=bundle.ROOT, env=environment, check=True, stdout=subprocess.PIPE)
    rows = []
    for what, ours_s, sql_s, goal in json.loads(ran.stdout):
        row = _beside(f"{what}, at the driver", ours_s, sql_s)
        rows.append(Row(row.what, row.ours, row.beside, row.result, f"<= {goal} x", ours_s / sql_s <= goal))
    return rows


def _beside(what: str, ours_s: float, sql_s: float) -> Row:
    beside = f"{ms(sql_s)} the same SQL through psycopg"
    return Row(f"todos: {what}", ms(ours_s), beside, f"{ours_s / sql_s:.1f} x")


def graphql_event(document: str) -> dict[str, Any]:
    """Return a Function URL event that sends a GraphQL document."""
    return http_event("/graphql", json.dumps({"query": document}))


@contextmanager
def database() -> Iterator[Postgres]:
    """Serve a migrated database with a few todos in it."""
    with tempfile.TemporaryDirectory() as folder, run_postgres(Path(folder, "postgres")) as postgres:
        prisma = (sys.executable, "-m", "prisma", "migrate", "deploy")
        environment = os.environ | {"DATABASE_URL": postgres.url()}
        subprocess.run(prisma, cwd=bundle.ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            for number in range(ROWS):
                connection.execute(_INSERT, ["", uuid4(), f"todo {number}"])
        yield postgres


@contextmanager
def todos(postgres: Postgres, root: Path = bundle.ROOT) -> Iterator[Function]:
    """Start the function as it is deployed, on this Python, from this tree or another checkout."""
    command, variables, task = _bundled(root)
    with function(command, root=Path(task), **variables, DATABASE_URL=postgres.url()) as started:
        yield started


@cache
def _bundled(root: Path) -> tuple[list[str], dict[str, Any], str]:
    """Build the function with the code of its own checkout."""
    version = "{}.{}".format(*sys.version_info[:2])
    built = subprocess.run(
        (sys.executable, "-c", _BUILD, version), cwd=root, check=True, stdout=subprocess.PIPE
    )
    command, variables, task = json.loads(built.stdout)
    # Until 0.6 it needed an engine.
    engine = str(root / "layers/prisma/node_modules/@prisma/engines/query-engine")
    handler = {"_HANDLER": "functions.todos.handler.handler", "PRISMA_QUERY_ENGINE_BINARY": engine}
    return command, {**variables, **handler}, task


def _timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
