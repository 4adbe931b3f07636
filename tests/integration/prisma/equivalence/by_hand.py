"""Steps written by hand: what seeds draw seldom or never."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.integration.prisma.equivalence.errors import errors
from tests.integration.prisma.equivalence.steps import Step, call, raw


def sessions() -> Iterator[tuple[str, list[Step]]]:
    """Yield each session's name and its steps."""
    for name, steps in {
        "errors": errors,
        "raw": _raw,
        "transactions": _transactions,
        "pages": _pages,
        "links": _links,
    }.items():
        yield name, [*_rows(), *steps()]


def _rows() -> Iterator[Step]:
    for number in range(1, 7):
        posts = [{"title": f"t{number}{n}", "views": n} for n in range(number % 4)]
        data: dict[str, Any] = {
            "id": number,
            "email": f"e{number}",
            "tags": ["a"] * (number % 3),
            "posts": {"create": posts},
        }
        data |= {"score": number / 2} if number % 2 else {}
        data |= {"role": "ADMIN"} if number == 3 else {}
        data |= {"bossId": 1} if number > 3 else {}
        yield call("user", "create", data=data)
    for number in range(1, 4):
        yield call(
            "category",
            "create",
            data={"name": f"c{number}", "posts": {"connect": [{"id": number}, {"id": number + 1}]}},
        )
        yield call("line", "create", data={"no": number, "text": "x", "post": {"connect": {"id": 1}}})
        yield call("profile", "create", data={"bio": f"b{number}", "userId": number})


def _raw() -> Iterator[Step]:
    yield raw("query_raw", 'SELECT id, email, role, roles, tags, numbers FROM "User" ORDER BY id')
    yield raw("query_raw", 'SELECT count(*) AS n, sum(id) AS s, avg(id) AS a, max(email) AS m FROM "User"')
    yield raw("query_first", 'SELECT id FROM "User" WHERE id = $1', 999)
    yield raw("query_first", 'SELECT id FROM "User" ORDER BY id DESC')
    yield raw("query_raw", 'SELECT id FROM "User" WHERE email = $1 OR id = $2 ORDER BY id', "e1", 2)
    yield raw("query_raw", 'SELECT id FROM "User" WHERE email = ANY($1) ORDER BY id', ["e1", "e2"])
    yield raw("query_raw", 'SELECT id FROM "User" WHERE id = ANY($1) ORDER BY id', [1, 2])
    yield raw("query_raw", "SELECT $1 AS v", "x")
    yield raw("query_raw", "SELECT $1::int + $2::int AS v", 1, 2)
    yield raw("query_raw", "SELECT $1::int AS v", "5")
    yield raw("query_raw", "SELECT $1::text AS v", 5)
    yield raw("query_raw", "SELECT $1::text AS v", True)
    yield raw("query_raw", "SELECT $1::text AS v", 1.5)
    yield raw("query_raw", "SELECT $1::float8 AS v", 5)
    yield raw("query_raw", "SELECT $1::numeric AS v", 5)
    yield raw("query_raw", "SELECT $1::bool AS v", None)
    yield raw("query_raw", "SELECT $1::jsonb AS v", {"a": 1})
    yield raw("query_raw", "SELECT $1::jsonb->>'a' AS v", {"$json": {"a": "x"}})
    yield raw("query_raw", "SELECT interval '1 day 2 hours' AS v")
    yield raw(
        "query_raw",
        "SELECT '10.0.0.1'::inet AS a, '10.0.0.0/8'::cidr AS b, '08:00:2b:01:02:03'::macaddr AS c",
    )
    yield raw(
        "query_raw", "SELECT point(1,2) AS a, 'x'::\"char\" AS b, 'n'::name AS c, '[1,3)'::int4range AS d"
    )
    yield raw("query_raw", "SELECT 1::money AS a, '(1,2)'::record AS b")
    yield raw("query_raw", "SELECT row(1, 'x') AS v")
    yield raw(
        "query_raw",
        "SELECT '{1,2}'::int[] AS a, '{{1,2},{3,4}}'::int[] AS b, '{}'::text[] AS c, '{a,NULL}'::text[] AS d",
    )
    yield raw("query_raw", "SELECT to_tsvector('a b') AS v")
    yield raw(
        "query_raw",
        "SELECT 'NaN'::float8 AS a, 'Infinity'::float8 AS b, '-Infinity'::float4 AS c, 'NaN'::numeric AS d",
    )
    yield raw("query_raw", "SELECT 'infinity'::timestamp AS v")
    yield raw("query_raw", "SELECT 'infinity'::timestamptz AS a, '-infinity'::date AS b")
    yield raw("query_raw", "SELECT '4713-01-01 BC'::timestamp AS v")
    yield raw("query_raw", "SELECT '23:59'::time AS a, '12:00:00.123456+02'::timetz AS b")
    yield raw("query_raw", "SELECT '2024-02-29 12:34:56.789123'::timestamp AS a, '2024-02-29'::date AS b")
    yield raw("query_raw", "SELECT 1 AS a, 2 AS a")
    yield raw("query_raw", "SELECT 1")
    yield raw("query_raw", "SELECT 1 WHERE false")
    yield raw("query_raw", "SELECT NULL AS v")
    yield raw("query_raw", "VALUES (1, 'a'), (2, NULL)")
    yield raw("query_raw", "-- nothing")
    yield raw("query_raw", "")
    yield raw("query_raw", "selec 1")
    yield raw("query_raw", "SELECT * FROM nothing")
    yield raw("query_raw", "SELECT 1/0")
    yield raw("query_raw", "SELECT $1::int")
    yield raw("query_raw", "SELECT 1", 5)
    yield raw("query_raw", "SELECT $1::int", "text")
    yield raw("query_raw", "SELECT $1::uuid", "no uuid")
    yield raw("execute_raw", 'UPDATE "Post" SET views = 1')
    yield raw("execute_raw", 'UPDATE "posts table" SET views = views + $1 WHERE id < $2', 1, 3)
    yield raw("execute_raw", 'INSERT INTO "Category"(name) VALUES ($1)', "raw")
    yield raw("execute_raw", 'INSERT INTO "Category"(name) VALUES ($1)', "raw")
    yield raw("execute_raw", 'INSERT INTO "Line"("postId", no, text) VALUES (999, 1, $1)', "x")
    yield raw("execute_raw", 'INSERT INTO "Category"(name) VALUES (NULL)')
    yield raw("execute_raw", "DELETE FROM \"Category\" WHERE name = 'raw'")
    yield raw("execute_raw", "CREATE TABLE made (id int)")
    yield raw("execute_raw", "SELECT 1")
    yield raw("query_raw", 'INSERT INTO "Category"(name) VALUES ($1) RETURNING name', "returned")
    yield raw("query_raw", 'UPDATE "Category" SET name = name')
    yield {"on": "user", "call": "query_raw", "with": ['SELECT * FROM "User" WHERE id = $1', 1]}
    yield {"on": "user", "call": "query_first", "with": ['SELECT * FROM "User" WHERE id = $1', 999]}
    yield {"on": "user", "call": "query_raw", "with": ["SELECT 1 AS wrong"]}
    yield {
        "batch": [
            call("category", "create", data={"name": "b"}),
            raw("execute_raw", "UPDATE \"Category\" SET name = 'bb' WHERE name = 'b'"),
        ]
    }


def _transactions() -> Iterator[Step]:
    one, two = (
        call("category", "create", data={"name": "one"}),
        call("category", "create", data={"name": "two"}),
    )
    count = call("category", "count")
    fails = call("category", "create", data={"name": "c1"})
    wrong = call("category", "find_many", where={"nope": 1})
    for end in ("commit", "go on", "raise", "expire"):
        yield {"tx": [one, count, two], "end": end}
        yield call("category", "find_many", order={"name": "asc"})
        yield call("category", "delete_many", where={"name": {"in": ["one", "two"]}})
    yield {"tx": [one, fails, count], "end": "go on"}
    yield {"tx": [one, fails, count], "end": "commit"}
    yield {"tx": [one, wrong, count], "end": "go on"}
    yield {
        "tx": [count, call("category", "update", where={"name": "none"}, data={"name": "x"}), two],
        "end": "commit",
    }
    yield {
        "tx": [
            raw("query_raw", "SELECT 1 AS v"),
            raw("query_raw", "SELECT 1/0"),
            raw("query_raw", "SELECT 1 AS v"),
        ],
        "end": "commit",
    }
    yield {"tx": [{"batch": [one]}, count], "end": "raise"}
    yield {"batch": [one, two]}
    yield {"batch": [call("category", "create", data={"name": "three"}), fails]}
    yield {"batch": [call("category", "create", data={"name": "three"}), wrong]}
    yield {
        "batch": [
            call("category", "update", where={"name": "none"}, data={"name": "x"}),
            call("category", "delete", where={"name": "one"}),
        ]
    }
    yield {"batch": []}
    yield {"tx": [], "end": "go on"}
    yield call("category", "find_many", order={"name": "asc"})


def _pages() -> Iterator[Step]:
    for take in (0, 1, 2, -1, -2, 100, 2**31 - 1, 2**31):
        for more in (
            {},
            {"skip": 1},
            {"cursor": {"id": 3}},
            {"cursor": {"id": 3}, "skip": 1},
            {"cursor": {"id": 999}},
        ):
            yield call("user", "find_many", take=take, order={"id": "asc"}, **more)
            posts = {"take": take, "order_by": {"id": "asc"}, **more}
            yield call("user", "find_many", order={"id": "asc"}, include={"posts": posts, "team": posts})
    for nulls in ("first", "last"):
        for direction in ("asc", "desc"):
            yield call(
                "user", "find_many", order=[{"score": {"sort": direction, "nulls": nulls}}, {"id": "asc"}]
            )
    for order in ({"boss": {"email": "desc"}}, {"posts": {"_count": "desc"}}, {"profile": {"bio": "asc"}}):
        yield call("user", "find_many", order=[order, {"id": "asc"}])
        yield call("user", "find_many", order=[order, {"id": "asc"}], cursor={"id": 2}, take=2)
    yield call("user", "find_many", distinct=["role"], order=[{"role": "asc"}, {"id": "asc"}], take=1, skip=1)
    yield call("user", "find_many", distinct=["role", "score"], order={"id": "desc"}, take=-2)
    yield call("user", "find_many", distinct=["tags"], order={"id": "asc"}, cursor={"id": 2})
    yield call("user", "find_first", skip=2, order={"id": "asc"})
    yield call(
        "user",
        "find_first",
        cursor={"id": 2},
        order={"id": "desc"},
        include={"posts": {"take": 1, "order_by": {"id": "desc"}}},
    )
    yield call("user", "count", where={"id": {"in": list(range(40000))}})
    yield call("user", "find_many", where={"id": {"in": list(range(1, 33000))}}, order={"id": "asc"}, take=2)
    yield call("user", "find_many", where={"id": {"not_in": list(range(2, 33000))}})
    yield call("user", "delete_many", where={"id": {"in": list(range(1000, 40000))}})
    yield call("category", "create_many", data=[{"name": f"m{n}"} for n in range(500)])
    yield call("category", "find_many", where={"name": {"startswith": "m"}}, order={"id": "asc"}, skip=480)
    yield call("post", "find_many", where={"title": {"contains": "_"}})
    yield call("post", "find_many", where={"title": {"startswith": "t1", "endswith": "0"}})
    yield call("post", "count", where={"title": {"equals": "T10", "mode": "insensitive"}})
    yield call("post", "count", where={"title": {"not": "T10", "mode": "insensitive"}})
    yield call("post", "count", where={"title": {"in": ["T10"], "mode": "insensitive"}})
    nothing: tuple[Any, ...] = ([], {}, None)
    for value in nothing:
        for word in ("AND", "OR", "NOT"):
            yield call("user", "count", where={word: value})


def _links() -> Iterator[Step]:
    shown = {
        "posts": {"order_by": {"id": "asc"}},
        "liked": {"order_by": {"id": "asc"}},
        "friends": {"order_by": {"id": "asc"}},
    }
    changes: tuple[dict[str, Any], ...] = (
        {"posts": {"set": [{"id": 1}, {"id": 2}]}},
        {"posts": {"set": []}},
        {"posts": {"connect": {"id": 3}}},
        {"posts": {"create": {"title": "n"}}},
        {
            "posts": {
                "connect_or_create": {
                    "where": {"titled": {"title": "n", "views": 0}},
                    "create": {"title": "m"},
                }
            }
        },
        {"posts": {"deleteMany": [{}]}},
        {
            "posts": {
                "create": [
                    {
                        "title": "deep",
                        "lines": {"create": [{"no": 1, "text": "l", "notes": {"create": [{"text": "n"}]}}]},
                    }
                ]
            }
        },
        {"posts": {"updateMany": [{"where": {}, "data": {"views": {"increment": 5}}}]}},
        {"posts": {"createMany": {"data": [{"title": "cm1"}, {"title": "cm2"}], "skipDuplicates": True}}},
        {"liked": {"set": [{"id": 1}, {"id": 2}]}},
        {"liked": {"set": [{"id": 2}, {"id": 3}]}},
        {"liked": {"disconnect": [{"id": 3}, {"id": 999}]}},
        {"liked": {"create": [{"title": "liked", "author": {"create": {"email": "deep"}}}]}},
        {"liked": {"delete": [{"id": 2}]}},
        {"liked": {"updateMany": [{"where": {"title": {"contains": "k"}}, "data": {"title": "K"}}]}},
        {"liked": {"deleteMany": [{"title": "K"}]}},
        {"friends": {"connect": [{"id": 2}, {"email": "e3"}]}},
        {"friends": {"connect": [{"id": 1}]}},
        {"friendOf": {"connect": [{"id": 3}]}, "friends": {"disconnect": [{"id": 2}]}},
        {"boss": {"create": {"email": "boss", "boss": {"create": {"email": "top"}}}}},
        {"boss": {"update": {"score": {"increment": 1.5}}}},
        {"boss": {"upsert": {"create": {"email": "other"}, "update": {"email": "boss2"}}}},
        {"boss": {"disconnect": True}},
        {"boss": {"delete": True}},
        {"profile": {"upsert": {"create": {"bio": "c"}, "update": {"bio": "u"}}}},
        {"profile": {"connect": {"id": 2}}},
        {"profile": {"delete": True}},
        {"id": 77},
    )
    for data in changes:
        yield call(
            "user",
            "update",
            where={"email": "e1"},
            data=data,
            include=shown | {"boss": True, "profile": True},
        )
    yield call(
        "line",
        "update",
        where={"postId_no": {"postId": 1, "no": 1}},
        data={"no": 11},
        include={"notes": True},
    )
    yield call(
        "post", "update", where={"id": 4}, data={"id": 44}, include={"lines": True, "categories": True}
    )
    yield call("user", "delete", where={"email": "e2"}, include={"posts": True, "profile": True})
    yield call("user", "find_many", order={"id": "asc"}, include=shown)
    yield call(
        "post",
        "find_many",
        order={"id": "asc"},
        include={"lines": {"include": {"notes": True}}, "categories": True, "likedBy": True},
    )
