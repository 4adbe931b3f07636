"""The query engine as a process: what it reads and answers, what it survives, and how it ends."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.integration.prisma.engine import (
    PROGRAM,
    DidNotStart,
    EngineError,
    QueryEngine,
    free_port,
    query_engine,
    stop,
)
from tests.integration.prisma.project import assert_no_password, clean_environment
from tests.postgres import Postgres

pytestmark = [pytest.mark.nightly, pytest.mark.xdist_group("prisma")]
_SCHEMA = """
datasource db {
  provider = "postgresql"
  url      = env("DATABASE_URL")
}
model Thing {
  id    Int       @id @default(autoincrement())
  big   BigInt?
  exact Decimal?
  float Float?
  bytes Bytes?
  json  Json?
  at    DateTime? @db.Timestamptz(3)
  names String[]
  parts Part[]
}
model Part {
  id      Int    @id @default(autoincrement())
  name    String
  thing   Thing  @relation(fields: [thingId], references: [id])
  thingId Int
}
"""
_TABLES = """
CREATE SCHEMA "odd name";
SET search_path = "odd name";
CREATE TABLE "Thing" (id serial PRIMARY KEY, big int8, exact numeric, float float8, bytes bytea, json jsonb,
  at timestamptz(3), names text[]);
CREATE TABLE "Part" (id serial PRIMARY KEY, name text NOT NULL, "thingId" int NOT NULL REFERENCES "Thing");
"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("schema") / "schema.prisma"
    path.write_text(_SCHEMA)
    return path


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    """A database whose own clock is far from UTC."""
    database = postgres.create_database()
    postgres.run_sql(_TABLES, database)
    postgres.run_sql(f"ALTER DATABASE \"{database}\" SET timezone = 'America/St_Johns'", database)
    return f"{postgres.url(database)}?schema=odd%20name&connection_limit=2&pool_timeout=1"


@pytest.fixture(scope="module")
def shared(url: str, schema: Path) -> Iterator[QueryEngine]:
    with query_engine(url, schema) as engine:
        yield engine


def test_every_type_comes_back_as_it_was_sent(shared: QueryEngine) -> None:
    sent = r"""mutation { result: createOneThing(data: {
        big: 9007199254740993 exact: "0.1000000000000000055" float: 1e-7 bytes: "AP8="
        json: "{\"$type\":\"a\",\"value\":[1]}" at: "2026-01-02T03:04:05.678+01:00" names: ["a", "\"", ""]
        parts: {create: [{name: "p"}, {name: "q"}]}
    }) { big exact float bytes json at names
        parts(orderBy: {name: "desc"}, take: 1) { name } _count { parts } } }"""
    assert shared.execute(sent) == {
        "big": "9007199254740993",
        "exact": "0.1000000000000000055",
        "float": 1e-07,
        "bytes": "AP8=",
        "json": '{"$type":"a","value":[1]}',
        "at": "2026-01-02T02:04:05.678Z",
        "names": ["a", '"', ""],
        "parts": [{"name": "q"}],
        "_count": {"parts": 2},
    }


def test_raw_rows_come_as_they_are(shared: QueryEngine) -> None:
    columns = """current_schema(), 'x'::name, 'c'::"char", '{"$type":"a","value":1}'::jsonb, 1::int8,
        '2026-01-01T00:00:00Z'::timestamptz, $1::text"""
    [row] = shared.raw(f"SELECT {columns}", "é")
    assert row == ["odd name", "x", "c", {"$type": "a", "value": 1}, "1", "2026-01-01T00:00:00+00:00", "é"]


@pytest.mark.parametrize(
    ("query", "code", "said"),
    [
        ("query { result: findManyThing(where: {nope: 1}) { id } }", "P2009", "nope"),
        ("query { result: findManyThing { nope } }", "P2009", "nope"),
        (
            "mutation { result: createOnePart(data: {thingId: 1}) { id } }",
            "P2009",
            "A value is required but not set",
        ),
        ("query { result: dropEverything { id } }", "P2009", "Unsupported operation dropEverything"),
        ("query { result: findManyThing", "P2009", "Expected `}`"),
        ('mutation { result: createOnePart(data: {name: "n" thingId: 0}) { id } }', "P2003", "Foreign key"),
        (
            "query { result: findUniqueThingOrThrow(where: {id: 0}) { id } }",
            "P2025",
            "Expected a record, found none",
        ),
    ],
)
def test_a_query_that_it_cannot_answer(shared: QueryEngine, query: str, code: str, said: str) -> None:
    with pytest.raises(EngineError, match=said) as raised:
        shared.execute(query)
    assert raised.value.code == code


def test_a_body_that_is_no_json_and_a_path_that_is_unknown(shared: QueryEngine) -> None:
    assert "JSON" in shared.http.post("/", content="{").json()["errors"][0]["error"]
    assert shared.http.get("/metrics").status_code == 404
    assert shared.raw("SELECT 1::int4") == [[1]]


def test_batches_are_atomic(shared: QueryEngine) -> None:
    part = 'mutation { result: createOnePart(data: {name: "batch" thingId: %s}) { name } }'
    thing = shared.execute("mutation { result: createOneThing(data: {}) { id } }")["id"]
    batch = {"batch": [{"query": part % thing}, {"query": part % 0}], "transaction": True}
    with pytest.raises(EngineError) as raised:
        shared.post("/", batch)
    assert raised.value.code == "P2003"
    count = 'query { result: aggregatePart(where: {name: "batch"}) { _count { _all } } }'
    assert shared.execute(count) == {"_count": {"_all": 0}}
    done = shared.post("/", {"batch": [{"query": part % thing}] * 2, "transaction": True})
    assert done == {"batchResult": [{"data": {"result": {"name": "batch"}}}] * 2}
    assert shared.post("/", {"batch": [], "transaction": True}) == {"batchResult": []}


def test_a_pool_without_a_free_connection(shared: QueryEngine) -> None:
    options = {"timeout": 5000, "max_wait": 2000}
    held = [shared.post("/transaction/start", options)["id"] for _ in range(2)]
    with pytest.raises(EngineError, match="connection pool") as raised:
        shared.raw("SELECT 1")
    assert raised.value.code == "P2024"
    for transaction in held:
        assert shared.raw("SELECT 1::int4", transaction=transaction) == [[1]]
        shared.post(f"/transaction/{transaction}/rollback", {})
    assert shared.raw("SELECT 1::int4") == [[1]]


def test_it_listens_on_this_machine_only(shared: QueryEngine) -> None:
    listening = [
        each.laddr for each in psutil.Process(shared.process.pid).net_connections() if each.status == "LISTEN"
    ]
    assert listening == [("127.0.0.1", shared.port)]


def test_a_postgres_that_restarts(postgres: Postgres, schema: Path) -> None:
    url = f"{postgres.url()}?connection_limit=1"
    with query_engine(url, schema) as engine:
        transaction = engine.post("/transaction/start", {"timeout": 9000, "max_wait": 2000})["id"]
        postgres.kill()
        with pytest.raises(EngineError):
            engine.raw("SELECT 1", transaction=transaction)
        with suppress(EngineError):
            engine.post(f"/transaction/{transaction}/rollback", {})
        began_s = time.monotonic()
        with pytest.raises(
            EngineError, match=f"Can't reach database server at `127.0.0.1:{postgres.port}`"
        ) as raised:
            engine.raw("SELECT 1")
        assert raised.value.code == "P1001"
        assert time.monotonic() - began_s < 1
        assert_no_password(str(raised.value), url)
        with pytest.raises(EngineError):
            engine.post("/transaction/start", {"timeout": 900, "max_wait": 200})

        postgres.start()
        assert engine.raw("SELECT 1::int4") == [[1]]
        postgres.restart()
        assert engine.raw("SELECT 1::int4") == [[1]]
        with pytest.raises(EngineError) as raised:
            engine.raw("SELECT pg_terminate_backend(pg_backend_pid())")
        assert raised.value.code == "P1017"
        assert engine.raw("SELECT 1::int4") == [[1]]


def test_a_postgres_that_accepts_and_says_nothing(schema: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://u:hush@127.0.0.1:{silent.getsockname()[1]}/d?connect_timeout=1"
        with query_engine(url, schema) as engine, pytest.raises(EngineError, match="Can't reach") as raised:
            engine.raw("SELECT 1")
    assert raised.value.code == "P1001"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("postgres:", "postgres:not-"), "P1000"),
        (("/todos", "/nothing"), "P1003"),
        (("/todos", "/todos?sslmode=require"), "P1011"),
    ],
)
def test_a_postgres_that_refuses(
    postgres: Postgres, schema: Path, change: tuple[str, str], code: str
) -> None:
    with (
        query_engine(postgres.url().replace(*change), schema) as engine,
        pytest.raises(EngineError) as raised,
    ):
        engine.raw("SELECT 1")
    assert raised.value.code == code
    assert_no_password(str(raised.value), postgres.url())


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("", "Environment variable not found: DATABASE_URL."),
        ("hush", "The database URL is invalid."),
        ("mysql://u:hush@h/d", "but got mysql://."),
    ],
)
def test_settings_that_it_cannot_start_with(schema: Path, url: str, said: str) -> None:
    with pytest.raises(DidNotStart) as raised, query_engine(url, schema):
        pass
    assert said in str(raised.value)
    assert "hush" not in str(raised.value)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it(postgres: Postgres, schema: Path, number: signal.Signals) -> None:
    with query_engine(postgres.url(), schema) as engine:
        engine.raw("SELECT 1")
        assert stop(engine.process.pid, number) < 0.5
        assert engine.process.wait() == 0


def test_it_does_not_outlive_its_parent(postgres: Postgres, schema: Path) -> None:
    program = """if True:
        import subprocess, sys
        print(subprocess.Popen(sys.argv[1:]).pid, flush=True)
        sys.stdin.read()"""
    port = free_port()
    command = (sys.executable, "-c", program, str(PROGRAM), "-p", str(port))
    environment = clean_environment(PRISMA_DML_PATH=str(schema), DATABASE_URL=postgres.url())
    parent = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with parent:
        assert parent.stdout
        engine = psutil.Process(int(parent.stdout.readline()))
        while engine.name() != "node":  # from then on it knows whose child it is
            time.sleep(0.01)
        parent.kill()
    engine.wait(3)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "localhost.evil.example:1"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
    ],
)
def test_a_web_page_is_refused(shared: QueryEngine, headers: dict[str, str]) -> None:
    query = '{"query": "mutation { result: deleteManyPart { count } }"}'
    refused = shared.http.post("/", content=query, headers={"content-type": "text/plain", **headers})
    assert (refused.status_code, refused.json()["errors"][0]["error"]) == (403, "Web pages are refused.")


@pytest.mark.parametrize(
    "sent", ["", "Bearer", "Bearer other", "Bearer k3y!", "Basic k3y", "k3y", "bearer k3y"]
)
def test_an_engine_that_has_a_key_refuses_those_without(url: str, schema: Path, sent: str) -> None:
    with query_engine(url, schema, QUERY_ENGINE_KEY="k3y") as engine:
        engine.http.headers.pop("authorization")
        for path in ("/", "/status", "/transaction/start"):
            refused = engine.http.post(path, content="{}", headers={"authorization": sent} if sent else {})
            assert (refused.status_code, "key" in refused.json()["errors"][0]["error"]) == (401, True)
