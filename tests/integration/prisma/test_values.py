"""Every type that a schema of Prisma can have, and others of Postgres, whatever the session sets."""

import asyncio
import datetime as dt
import json
import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
from prisma_in_process.errors import UserError
from prisma_in_process.pool import Pool
from prisma_in_process.postgres import Connection
from prisma_in_process.url import read_url

from tests.postgres import Postgres

pytestmark = pytest.mark.anyio

ID = uuid.UUID("01234567-89ab-4def-8123-456789abcdef")
AT = dt.datetime(2026, 2, 3, 4, 5, 6, 789000, tzinfo=dt.UTC)
EARLY = dt.datetime(1, 1, 1, tzinfo=dt.UTC)
TEXT = "ä€😀\n\t\"'\\ %s $1"
SETTINGS = (
    "DateStyle=German", "TimeZone=Asia/Tokyo", "IntervalStyle=sql_standard", "bytea_output=escape",
    "extra_float_digits=-10", "standard_conforming_strings=off", "client_encoding=LATIN1", "lc_monetary=C",
    "xmlbinary=hex", "statement_timeout=5000",
)  # fmt: skip

VALUES: list[tuple[str, str, Any, Any]] = [
    # type, what Prisma calls it, what is given, what comes back
    ("bool", "bool", True, True),
    ("bool", "bool", False, False),
    ("int2", "int", -32768, -32768),
    ("int4", "int", 2147483647, 2147483647),
    ("int4", "int", "7", 7),
    ("int8", "bigint", -(2**63), str(-(2**63))),
    ("oid", "bigint", 4294967295, "4294967295"),
    ("float4", "float", 1.1, 1.1),
    ("float4", "float", 16777217.0, 16777216.0),
    ("float8", "double", 0.1 + 0.2, 0.1 + 0.2),
    ("float8", "double", float("inf"), float("inf")),
    ("float8", "double", 1, 1.0),
    ("numeric", "decimal", Decimal("12345678901234567890.123456789"), "12345678901234567890.123456789"),
    ("numeric", "decimal", 1.5, "1.5"),
    ("numeric", "decimal", Decimal("nan"), "NaN"),
    ("money", "decimal", Decimal("-1234.56"), "-1234.56"),
    ("text", "string", TEXT, TEXT),
    ("text", "string", "", ""),
    ("varchar", "string", TEXT, TEXT),
    ("bpchar(3)", "string", "a", "a  "),
    ("name", "string", "n", "n"),
    ("uuid", "uuid", str(ID), str(ID)),
    ("uuid", "uuid", ID, str(ID)),
    ("bytea", "bytes", b"\x00\xff", "AP8="),
    ("bytea", "bytes", "AP8=", "AP8="),
    ("json", "json", '{"a": [1, null]}', {"a": [1, None]}),
    ("jsonb", "json", {"a": TEXT}, {"a": TEXT}),
    ("timestamptz", "datetime", AT, "2026-02-03T04:05:06.789+00:00"),
    ("timestamptz", "datetime", "2026-02-03T13:05:06.789+09:00", "2026-02-03T04:05:06.789+00:00"),
    ("timestamptz", "datetime", AT.replace(microsecond=1), "2026-02-03T04:05:06.000001+00:00"),
    ("timestamp", "datetime", AT, "2026-02-03T04:05:06.789+00:00"),
    ("timestamp", "datetime", "1969-12-31T23:59:59Z", "1969-12-31T23:59:59+00:00"),
    ("timestamp", "datetime", EARLY, "0001-01-01T00:00:00+00:00"),
    ("date", "date", AT, "2026-02-03"),
    ("date", "date", dt.date(9999, 12, 31), "9999-12-31"),
    ("time", "time", AT, "04:05:06.789"),
    ("time", "time", "23:59:59.999999", "23:59:59.999999"),
    ("timetz", "time", "04:05:06+09:00", "04:05:06+09:00"),
    ("timetz", "time", AT, "04:05:06.789"),
    ("inet", "string", "10.0.0.1/8", "10.0.0.1/8"),
    ("inet", "string", "::1", "::1"),
    ("cidr", "string", "10.0.0.0/8", "10.0.0.0/8"),
    ("macaddr", "string", "08:00:2b:01:02:03", "08:00:2b:01:02:03"),
    ("bit(4)", "string", "0101", "0101"),
    ("varbit", "string", "01011", "01011"),
    ("varbit", "string", "", ""),
    ("varbit", "string", "101010101", "101010101"),
    ("point", "string", "(1,2.5)", "(1,2.5)"),
    ("box", "string", "(3,4),(1,2)", "(3,4),(1,2)"),
    ("citext", "string", "Ä", "Ä"),
    ("color", "string", "rot ü", "rot ü"),
]  # fmt: skip


@pytest.fixture(scope="module")
def url(postgres: Postgres) -> str:
    name = postgres.create_database()
    for statement in (
        "CREATE EXTENSION citext; CREATE EXTENSION hstore",
        "CREATE TYPE color AS ENUM ('rot ü', 'blau'); CREATE DOMAIN positive AS int4 CHECK (VALUE > 0)",
        *(f"ALTER DATABASE {name} SET {setting.replace('=', '=' + chr(39))}'" for setting in SETTINGS),
    ):
        postgres.run_sql(statement, name)
    return postgres.url(name)


@pytest.fixture
async def connection(url: str) -> AsyncIterator[Connection]:
    pool = Pool(read_url(url))
    async with pool.connection() as connection:
        yield connection
    await pool.close()


async def test_the_settings_are_those_of_the_database(connection: Connection) -> None:
    found = await connection.raw_rows("SELECT current_setting('datestyle'), current_setting('timezone')", [])
    assert found["rows"] == [["German, DMY", "Asia/Tokyo"]]


async def test_values(connection: Connection) -> None:
    for name, kind, given, expected in VALUES:
        found = await connection.raw_rows(f"SELECT $1::{name} AS one, $1::{name} IS NULL AS none", [given])
        assert (found["types"][0], found["rows"]) == (kind, [[expected, False]]), name
        assert type(found["rows"][0][0]) is type(expected), name
        lists = await connection.raw_rows(f"SELECT $1::{name}[] AS all", [[given, None, given]])
        assert (lists["types"][0], lists["rows"]) == (f"{kind}-array", [[[expected, None, expected]]]), name
        empty = await connection.raw_rows(f"SELECT $1::{name}[], $2::{name}", [[], None])
        assert empty["rows"] == [[[], None]], name


async def test_the_last_date_is_no_infinity(connection: Connection) -> None:
    for day in (dt.date.min, dt.date.max):
        found = await connection.rows("SELECT isfinite($1::date) AS finite, $1::date AS day", [day])
        assert found == [{"finite": True, "day": day}]
    found = await connection.rows("SELECT ARRAY['infinity', '-infinity']::date[] AS days", [])
    assert found == [{"days": [dt.date.max, dt.date.min]}]


async def test_lists_of_types_of_extensions(connection: Connection) -> None:
    """asyncpg 0.32 reads their empty texts as null pointers, at which Python crashes."""
    for _ in range(2):
        rows = await connection.rows("SELECT ARRAY['a', '', NULL, 'é']::citext[] AS all", [])
        assert rows == [{"all": ["a", "", None, "é"]}]
        with pytest.raises(UserError, match="lists, but got hstore: cast it to text"):
            await connection.raw_rows("SELECT ARRAY['a=>1', '']::hstore[] AS all", [])
    found = await connection.raw_rows("SELECT $1::citext[] AS all", [["", "B"]])
    assert found["rows"] == [[["", "B"]]]
    found = await connection.raw_rows("SELECT 'a=>1'::hstore, ARRAY['']::hstore[]::text[]", [])
    assert found["rows"] == [['"a"=>"1"', [""]]]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("'infinity'::timestamptz", "9999-12-31T23:59:59.999999+00:00"),
        ("'-infinity'::timestamp", "0001-01-01T00:00:00+00:00"),
        ("'infinity'::date", "9999-12-31"),
        ("'1 year 2 mons 3 days 04:05:06.7'::interval", "P14M3DT14706.7S"),
        ("make_interval(days => -1, secs => 2)", "P0M-1DT2S"),
        ("'1234567.891'::float4", 1234567.9),
        ("'x'::\"char\"", "x"),
        ("int4range(1, 5)", "[1,5)"),
        ("'empty'::numrange", "empty"),
        ("'(,2.5]'::numrange", "(,2.5]"),
        ("ROW(1, 'a')::text", "(1,a)"),
        ("ROW(1, 'a', NULL, true)", ["1", "a", None, True]),
        ("'(0,1)'::tid", ["0", "1"]),
        ("5::positive", 5),
        ("NULL", None),
    ],
)
async def test_results_alone(connection: Connection, expression: str, value: Any) -> None:
    assert (await connection.raw_rows(f"SELECT {expression} AS a", []))["rows"] == [[value]]


@pytest.mark.parametrize(
    ("name", "given", "code", "text"),
    [
        ("int4", 2147483648, "22003", "their parameters' types"),
        ("int2", -32769, "22003", "their parameters' types"),
        ("int8", 2**63, "22003", "their parameters' types"),
        ("oid", -1, "22003", "their parameters' types"),
        ("int4", 1.5, "22P02", "int4, but got another float"),
        ("int4", "hush", "22P02", "int4"),
        ("numeric", "hush", "22P02", "numeric"),
        ("float4", 1e300, "22003", "their parameters' types"),
        ("text", "hush\0", "22021", "character not in repertoire"),
        ("jsonb", {"hush": "\ud800"}, "22P02", "invalid text representation"),
        ("text", "hush\ud800", "22P02", "their parameters' types"),
        ("text[]", ["hush\0"], "22021", "character not in repertoire"),
        ("text[]", "hush", "22P02", "text[]"),
        ("uuid", "hush", "22P02", "their parameters' types"),
        ("uuid", 5, "22P02", "their parameters' types"),
        ("positive", -1, "23514", "check constraint"),
        ("bytea", "hush!", "22P02", "bytea"),
        ("timestamptz", "hush", "22P02", "timestamptz"),
        ("bool", "hush", "22P02", "their parameters' types"),
        ("inet", "hush", "22P02", "invalid text representation"),
        ("color", "hush", "22P02", "invalid text representation"),
        ("jsonb", "{hush", "22P02", "invalid text representation"),
        ("interval", "hush", "22P02", "their parameters' types"),
    ],
)
async def test_a_value_that_does_not_fit_is_not_shown(
    connection: Connection, name: str, given: Any, code: str, text: str
) -> None:
    with pytest.raises(UserError) as caught:
        await connection.raw_rows(f"SELECT $1::{name}", [given])
    shown = json.dumps(caught.value.body)
    assert (caught.value.code, caught.value.body["user_facing_error"]["meta"]["code"]) == ("P2010", code)
    assert text in shown
    assert "hush" not in shown
    assert connection.ready
    assert await connection.execute("SELECT 1", []) == 1


async def test_the_code_of_a_value_in_a_models_query(connection: Connection) -> None:
    for name, given, code in (("int4", 2**31, "P2020"), ("text", "\0", "P2007"), ("uuid", "hush", "P2023")):
        with pytest.raises(UserError) as caught:
            await connection.rows(f"SELECT $1::{name}", [given])
        assert caught.value.code == code
    with pytest.raises(UserError, match="expected 1 parameters, but got 2"):
        await connection.rows("SELECT $1::int4", [1, 2])


async def test_a_date_that_python_cannot_hold(connection: Connection) -> None:
    with pytest.raises(UserError, match="before the year 1 or after 9999") as caught:
        await connection.rows("SELECT 'epoch'::date UNION ALL SELECT '0044-03-15 BC'::date", [])
    assert caught.value.code == "P2023"
    assert await connection.rows("SELECT 1 AS a", []) == [{"a": 1}]


async def test_models_have_single_precision_as_it_is_written(connection: Connection) -> None:
    sql = "SELECT 1.1::float4 AS a, ARRAY[1.1, NULL]::float4[] AS b, NULL::float4[] AS c, 1.1::float8 AS d"
    assert await connection.rows(sql, []) == [{"a": 1.1, "b": [1.1, None], "c": None, "d": 1.1}]


async def test_many_types_at_once(url: str) -> None:
    """What the driver reads in the catalogue about a type does not disturb other queries of the pool."""
    pool = Pool(read_url(url + "?connection_limit=3"))

    async def read(name: str, value: str) -> Any:
        async with pool.connection() as connection:
            return (await connection.raw_rows(f"SELECT $1::{name}[] AS a", [[value]]))["rows"][0][0]

    found = await asyncio.gather(
        *(read(name, value) for name, value in [("color", "blau"), ("citext", "B")] * 6)
    )
    assert found == [["blau"], ["B"]] * 6
    await pool.close()
