"""Calls that fail, each for a reason of its own."""

from __future__ import annotations

from collections.abc import Iterator

from tests.integration.prisma.equivalence.steps import Step, call


def errors() -> Iterator[Step]:
    """Yield the calls, and changes of the tables under them."""
    new = {"email": "new"}
    yield call("user", "create", data={"email": "e1"})
    yield call("post", "create", data={"title": "t10", "views": 0})
    yield call("line", "create", data={"postId": 1, "no": 1, "text": "again"})
    yield call("line", "create", data={"postId": 999, "no": 1, "text": "no post"})
    yield call("profile", "create", data={"bio": "x", "userId": 999})
    yield call("profile", "create", data={"bio": "x", "userId": 1})
    yield call("user", "create", data={"email": "x" * 41})
    yield call("user", "create", data={})
    yield call("user", "create", data=new | {"nope": 1})
    yield call("user", "create", data=new | {"score": "text"})
    yield call("user", "create", data=new | {"role": "UNKNOWN"})
    yield call("user", "create", data=new | {"role": "the-admin"})
    yield call("user", "create", data={"email": None})
    yield call("user", "create", data={"email": 5})
    yield call("user", "create", data=new | {"dec": {"$decimal": "123456789012"}})
    yield call("user", "create", data=new | {"big": 2**63})
    yield call("user", "create", data=new | {"email": "a\x00b"})
    yield call("user", "create", data=new | {"boss": {"connect": {"id": 999}}})
    yield call("user", "create", data=new | {"boss": {"connect": {"nope": 1}}})
    yield call("user", "create", data=new | {"bossId": 1, "profile": {"create": {"bio": "b"}}})
    yield call("user", "create", data=new | {"email": "new2", "bossId": 1, "boss": {"connect": {"id": 1}}})
    yield call("post", "create", data={"title": "x", "views": 2**40})
    yield call("post", "create", data={"title": "x", "categories": {"connect": [{"name": "none"}]}})
    yield call(
        "post", "create", data={"title": "x", "categories": {"connect": [{"name": "c1"}, {"name": "none"}]}}
    )
    yield call("user", "find_many", where={"nope": 1})
    yield call("user", "find_many", where={"email": {"nope": 1}})
    yield call("user", "find_many", where={"email": 5})
    yield call("user", "find_many", where={"posts": {"is": {}}})
    yield call("user", "find_many", where={"role": "UNKNOWN"})
    yield call("user", "find_many", where={"role": {"in": ["UNKNOWN"]}})
    yield call("user", "find_many", where={"score": {"contains": "x"}})
    yield call("user", "find_many", order={"nope": "asc"})
    yield call("user", "find_many", order={"id": "up"})
    yield call("user", "find_many", include={"nope": True})
    yield call("user", "find_many", include={"posts": {"nope": 1}})
    yield call("user", "find_many", include={"posts": {"where": {"nope": 1}}})
    yield call("user", "find_many", distinct=["nope"])
    yield call("user", "find_many", skip=-1)
    yield call("user", "find_many", cursor={"nope": 1})
    yield call("user", "find_unique", where={"id": "text"})
    yield call("user", "find_unique", where={})
    yield call("user", "find_unique", where={"score": 1})
    yield call("user", "find_unique", where={"id": 1, "email": "e1"})
    yield call("user", "find_unique", where={"id": 1, "email": "e2"})
    yield call("user", "find_unique", where={"id": 1, "score": 99})
    yield call("user", "find_unique_or_raise", where={"id": 999})
    yield call("user", "find_first_or_raise", where={"id": 999})
    yield call("line", "find_unique", where={"postId_no": {"postId": 1}})
    yield call("part", "find_unique", where={"key": "no uuid"})
    yield call("part", "find_many", where={"key": {"in": ["no uuid"]}})
    yield call("user", "update", where={"id": 999}, data={"score": 1})
    yield call("user", "update", where={"id": 2}, data={"email": "e1"})
    yield call("user", "update", where={"id": 2}, data={"email": None})
    yield call("user", "update", where={"id": 2}, data={"email": {"set": "e2b"}})
    yield call("user", "update", where={"id": 2}, data={"email": {"increment": 1}})
    yield call("user", "update", where={"id": 2}, data={"nope": 1})
    yield call("user", "update", where={"id": 2}, data={"profile": {"update": {"bio": "u"}}})
    yield call("user", "update", where={"id": 5}, data={"profile": {"update": {"bio": "u"}}})
    yield call("user", "update", where={"id": 5}, data={"profile": {"delete": True}})
    yield call("user", "update", where={"id": 5}, data={"profile": {"disconnect": True}})
    yield call("user", "update", where={"id": 5}, data={"posts": {"delete": [{"id": 2}]}})
    yield call("user", "update", where={"id": 5}, data={"posts": {"disconnect": [{"id": 2}]}})
    yield call(
        "user",
        "update",
        where={"id": 5},
        data={"posts": {"update": [{"where": {"id": 2}, "data": {"views": 1}}]}},
    )
    yield call("user", "update", where={"id": 5}, data={"posts": {"connect": [{"id": 999}]}})
    yield call("user", "update", where={"id": 1}, data={"profile": {"create": {"bio": "second"}}})
    yield call("user", "update_many", where={"id": 2}, data={"posts": {"set": []}})
    yield call("user", "update_many", where={"id": {"in": [2, 3]}}, data={"email": "same"})
    yield call("user", "update_many", where={"id": {"in": [2, 3]}}, data={})
    yield call("post", "update", where={"id": 1}, data={"views": {"divide": 0}})
    yield call("post", "update", where={"id": 1}, data={"views": {"multiply": 2**31 - 1}})
    yield call("post", "update", where={"id": 1}, data={"views": {"increment": 2**31 - 1}})
    yield call("user", "delete", where={"id": 999})
    yield call("user", "delete", where={"id": 1})
    yield call("user", "delete_many", where={"id": 1})
    yield call("category", "create_many", data=[{"name": "c1"}])
    yield call("category", "create_many", data=[{"name": "c1"}, {"name": "c8"}], skip_duplicates=True)
    yield call("category", "create_many", data=[{"name": "c9"}, {"name": "c9"}])
    yield call("category", "create_many", data=[{"nope": 1}])
    yield call("category", "create_many", data=[])
    yield call(
        "category", "upsert", where={"name": "c1"}, data={"create": {"name": "c2"}, "update": {"name": "c2"}}
    )
    yield call(
        "category", "upsert", where={"name": "c7"}, data={"create": {"name": "c2"}, "update": {"name": "c2"}}
    )
    yield call("category", "upsert", where={"name": "c7"}, data={"create": {}, "update": {}})
    yield call("user", "count", select={"nope": True})
    yield call("user", "group_by", by=["nope"])
    yield call("user", "group_by", by=[])
    yield call("user", "group_by", by=["role"], order={"email": "asc"})
    yield call("user", "group_by", by=["role"], sum={"email": True})
    yield call("user", "group_by", by=["role"], having={"score": {"gt": 1}})
    yield call("part", "create", data={"label": "a", "key": "00000000-0000-4000-8000-000000000001"})
    yield call("part", "create", data={"label": "b", "parentId": "00000000-0000-4000-8000-000000000001"})
    yield call("part", "create", data={"label": "c", "parentId": "00000000-0000-4000-8000-000000000001"})
    yield call("part", "delete", where={"label": "a"})
    yield call("part", "update", where={"label": "a"}, data={"child": {"delete": True}})
    yield call("user", "find_many", order={"id": "asc"})
    yield {"sql": 'ALTER TABLE "Category" RENAME TO "Gone"'}
    yield call("category", "count")
    yield call("category", "create", data={"name": "x"})
    yield {"sql": 'ALTER TABLE "Gone" RENAME TO "Category"; ALTER TABLE "Category" RENAME name TO gone'}
    yield call("category", "find_many")
    yield {"sql": 'ALTER TABLE "Category" RENAME gone TO name'}
    yield {"sql": 'ALTER TABLE "Category" ADD CHECK (length(name) < 9)'}
    yield call("category", "create", data={"name": "0123456789"})
    yield {"sql": 'ALTER TABLE "Profile" ADD needed int NOT NULL DEFAULT 1'}
    yield {"sql": 'ALTER TABLE "Profile" ALTER needed DROP DEFAULT'}
    yield call("profile", "create", data={"bio": "x", "userId": 6})
    yield {"sql": 'ALTER TABLE "Note" ALTER text DROP DEFAULT, ALTER text TYPE int USING 1'}
    yield call("note", "create", data={"text": "x"})
