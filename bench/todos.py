"""The todo function beside a hello world, and beside the same SQL without it."""

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
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

from bench import bundle
from bench.measures import STOCK, Row, alternating, ms
from bench.runtime_api import Function, function, http_event
from tests.postgres import Postgres, run_postgres

_ENGINE = bundle.ROOT / "layers/prisma/node_modules/@prisma/engines/query-engine"
_EXAMPLES = bundle.ROOT / "examples"
_ROWS = 20
_SELECT = (
    'SELECT id, title, completed, "createdAt" FROM "Todo" '
    """WHERE owner = '' ORDER BY "createdAt" DESC, id DESC LIMIT 100"""
)
_INSERT = (
    'INSERT INTO "Todo" (id, title, completed, "createdAt") VALUES (%s, %s, false, now()) '
    'RETURNING id, title, completed, "createdAt"'
)


def cold_start(rounds: int = 11) -> list[Row]:
    """Process start to the first `/next`: modules imported, query engine started and its status read."""

    def hello() -> float:
        with function((*STOCK, "bench.hello.handler")) as started:
            return started.cold_start_s

    with _database() as postgres:

        def ours() -> float:
            with _todos(postgres) as started:
                return started.cold_start_s

        results = alternating(rounds + 1, ours, hello)
    todos, other = (statistics.median(values[1:]) for values in results)
    return [
        Row(
            "todos: cold start, WASM engine included",
            ms(todos),
            f"{ms(other)} FastAPI + Mangum + httpx, awslambdaric",
            f"{todos / other:.2f} x",
        )
    ]


def round_trips(rounds: int = 300) -> list[Row]:
    """The example query and mutation, warm, beside the same SQL through psycopg."""
    query, mutation = (
        graphql_event((_EXAMPLES / name).read_text()) for name in ("todos.graphql", "create_todo.graphql")
    )
    with (
        _database() as postgres,
        _todos(postgres) as todos,
        psycopg.connect(postgres.url(), autocommit=True) as direct,
    ):

        def select() -> float:
            direct.execute('DELETE FROM "Todo" WHERE title = %s', ["Test Todo"])
            return _timed(lambda: direct.execute(_SELECT).fetchall())

        sides = (
            lambda: todos.invoke(query).total_s,
            select,
            lambda: todos.invoke(mutation).total_s,
            lambda: _timed(lambda: direct.execute(_INSERT, [uuid4(), "Test Todo"]).fetchall()),
        )
        alternating(20, *sides)
        query_s, select_s, mutation_s, insert_s = (
            statistics.median(values) for values in alternating(rounds, *sides)
        )
    return [_beside(f"query of {_ROWS}", query_s, select_s), _beside("mutation", mutation_s, insert_s)]


def _beside(what: str, ours_s: float, sql_s: float) -> Row:
    beside = f"{ms(sql_s)} the same SQL through psycopg"
    return Row(f"todos: {what}, p50, WASM engine", ms(ours_s), beside, f"{ours_s / sql_s:.1f} x")


def graphql_event(document: str) -> dict[str, Any]:
    """Return a Function URL event that sends a GraphQL document."""
    return http_event("/graphql", json.dumps({"query": document}))


@contextmanager
def _database() -> Iterator[Postgres]:
    """Serve a migrated database with a few todos in it."""
    with tempfile.TemporaryDirectory() as folder, run_postgres(Path(folder, "postgres")) as postgres:
        prisma = (sys.executable, "-m", "prisma", "migrate", "deploy")
        environment = os.environ | {"DATABASE_URL": postgres.url()}
        subprocess.run(prisma, cwd=bundle.ROOT, env=environment, check=True, stdout=subprocess.DEVNULL)
        with psycopg.connect(postgres.url(), autocommit=True) as connection:
            for number in range(_ROWS):
                connection.execute(_INSERT, [uuid4(), f"todo {number}"])
        yield postgres


@contextmanager
def _todos(postgres: Postgres) -> Iterator[Function]:
    engine = os.environ.get("PRISMA_QUERY_ENGINE_BINARY", str(_ENGINE))
    with function(
        handler="functions/todos/handler.handler",
        packages=bundle.TODOS,
        DATABASE_URL=postgres.url(),
        PRISMA_QUERY_ENGINE_BINARY=engine,
    ) as todos:
        yield todos


def _timed(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
