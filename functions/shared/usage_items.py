"""The items of usage: a record for each request, and the sums of a day's records.

The sums of all keys of a day are in a few partitions, so that those of 5,000 keys are read by a few queries,
and those of one key by one. No two transactions may write an item at a time, so the sums of a key, day and
model may have several parts: part 0, and others only where transactions did conflict.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from zlib import crc32

from .items import Item, Parameters, attribute_of, instant, item_of, members, query, values_of
from .limits import Running
from .usage import NONE, UsageRecord, UsageSum

_DAY_S = 86400
_DAY_MS = _DAY_S * 1000
_ASSUMED = "assumed"
# The partitions of a day: each takes 500 completions a second.
SHARDS = 4
# Those of a key whose sums are all stored as this version stores them.
BOOKS = 2
# Nothing was summed before, so no earlier days are read.
_FIRST_DAY_MS = 1_767_225_600_000  # 2026-01-01


def usage_place(record: UsageRecord) -> Item:
    """Return where a usage record is."""
    moment = f"{instant(record.started_at)}#{record.request_id}"
    return item_of({"pk": f"usage#{record.key_id}", "sk": moment})


def usage_of(item: Item) -> UsageRecord:
    """Return the usage record of an item."""
    return UsageRecord.from_values(values_of(item))


def is_assumed(item: Item) -> bool:
    """Return whether a record holds what its request had reserved, for want of the truth."""
    return _ASSUMED in item


def gives_way(item: Item, record: UsageRecord) -> bool:
    """Return whether a record of the table is replaced by another one of its request.

    Those of earlier versions are in no sums, and stay.
    """
    return is_assumed(item) or (is_counted(item) and record.supersedes(usage_of(item)))


def period_of(item: Item) -> str:
    """Return the period of the budget in which a record was counted."""
    return str(item.get("period", {"S": ""})["S"])


def listing_of(item: Item) -> int | None:
    """Return for which listing of its request a record was kept; None for one of an earlier version."""
    return int(item["listing"]["N"]) if "listing" in item else None


def is_counted(item: Item) -> bool:
    """Return whether a record is in the sums of its day; those of earlier versions are not."""
    return "counted" in item


def sum_of(item: Item) -> tuple[str, str, str, UsageSum]:
    """Return the key id, the day, the model and the sums of an item, of this version's or of 0.4's."""
    pk, sk = item["pk"]["S"], item["sk"]["S"]
    if pk.startswith("sums#"):
        day = pk.split("#")[1]
        key_id, rest = sk.split("#", 1)
        key_id, model = _unquoted(key_id), rest.rpartition("#")[0]
    else:
        key_id = pk.removeprefix("usage#").removesuffix("#sums")
        day, _, model = sk.split("#", 2)
    used = UsageSum(**{name: int(item[name]["N"]) for name in UsageSum.NAMES if name in item})
    return key_id, day, model, used


def keep(
    record: UsageRecord,
    running: Running,
    days: int,
    part: int = 0,
    *,
    assumed: bool = False,
    instead_of: Item | None = None,
) -> list[Parameters]:
    """Return the writes that keep the record of a running request and add it to the sums of its day.

    Shape:  `instead_of`: the item in its place, which must still be there; without, there must be none.
            `part`: of the sums; any will do.
    """
    ttl = record.started_at // 1000 + days * _DAY_S
    more = {"counted": True, "listing": running.listing, "period": running.period or None, "ttl": ttl}
    item = {**usage_place(record), **item_of({**members(record), **more})}
    if assumed:
        item[_ASSUMED] = attribute_of(True)
    condition: Parameters = {"ConditionExpression": "attribute_not_exists(pk)"}
    before = None
    if instead_of:
        before = usage_of(instead_of)
        marked = "attribute_exists(#a)" if is_assumed(instead_of) else "attribute_not_exists(#a)"
        condition = {
            "ConditionExpression": f"#l = :listing AND {marked}",
            "ExpressionAttributeNames": {"#a": _ASSUMED, "#l": "listing"},
            "ExpressionAttributeValues": item_of({":listing": listing_of(instead_of)}),
        }
    put = {"Item": item, "ReturnValuesOnConditionCheckFailure": "ALL_OLD", **condition}
    sums = [count(record, part=part)]
    if before and before.model == record.model:
        sums = [count(record, before, part=part)]
    elif before:
        sums += [count(None, before, part=part)]
    return [{"Put": put}, *({"Update": each} for each in sums)]


def count(record: UsageRecord | None, instead_of: UsageRecord | None = None, *, part: int = 0) -> Parameters:
    """Return the update that adds a record to the sums of its day, and takes another from them."""
    amounts: dict[str, int] = {}
    for each, sign in ((record, 1), (instead_of, -1)):
        if each:
            for name, amount in asdict(UsageSum.of(each)).items():
                amounts[name] = amounts.get(name, 0) + sign * amount
    one = record or instead_of
    assert one
    return _add(one.key_id, instant(one.started_at)[:10], one.model, part, amounts)


def count_old(record: UsageRecord, days: int, part: int = 0) -> list[Parameters]:
    """Return the writes that add a record to the sums of its day, if it is not in them yet."""
    mark = {
        "Key": usage_place(record),
        "UpdateExpression": "SET #c = :true, #l = :ttl",
        "ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(#c)",
        "ExpressionAttributeNames": {"#c": "counted", "#l": "ttl"},
        "ExpressionAttributeValues": item_of(
            {":true": True, ":ttl": record.started_at // 1000 + days * _DAY_S}
        ),
    }
    return [{"Update": mark}, {"Update": count(record, part=part)}]


def used(key_id: str, since_ms: int, until_ms: int) -> Parameters:
    """Return the query for a key's records from one time up to another, which is not included."""
    values = {":pk": f"usage#{key_id}", ":since": instant(since_ms), ":until": instant(until_ms)}
    return query("pk = :pk AND sk BETWEEN :since AND :until", values)


def summed(key_id: str, since_ms: int, until_ms: int) -> Iterator[Parameters]:
    """Yield the queries for a key's sums of the days from one time to another, both included."""
    begin = f"{_quoted(key_id)}#"
    for day in _days(since_ms, until_ms):
        values = {":pk": _partition(day, _shard(key_id)), ":key": begin}
        yield query("pk = :pk AND begins_with(sk, :key)", values)


def summed_of_all(since_ms: int, until_ms: int) -> Iterator[Parameters]:
    """Yield the queries for the sums of all keys, `SHARDS` for each day, in the order of the days."""
    for day in _days(since_ms, until_ms):
        for shard in range(SHARDS):
            yield query("pk = :pk", {":pk": _partition(day, shard)})


def summed_before(key_id: str, since_ms: int, until_ms: int) -> Parameters:
    """Return the query for the sums of a key that 0.4 stored; only keys whose `books` are not 2 have such."""
    since, until = (instant(each)[:10] for each in (since_ms, until_ms))
    values = {":pk": f"usage#{key_id}#sums", ":since": since, ":until": f"{until}$"}  # `$` is after `#`
    return query("pk = :pk AND sk BETWEEN :since AND :until", values)


def has_only_new_sums(key_id: str, books: int) -> bool:
    """Return whether all sums of a key are stored as this version stores them."""
    return key_id != NONE and books >= BOOKS


def move(item: Item, part: int = 0) -> list[Parameters]:
    """Return the writes that move sums of 0.4 to this version's, if nothing was added to them meanwhile."""
    key_id, day, model, used = sum_of(item)
    amounts = asdict(used)
    same = [f"#{name} = :{name}" if name in item else f"attribute_not_exists(#{name})" for name in amounts]
    remove = {
        "Key": {name: item[name] for name in ("pk", "sk")},
        "ConditionExpression": " AND ".join(["attribute_exists(pk)", *same]),
        "ExpressionAttributeNames": {f"#{name}": name for name in amounts},
        "ExpressionAttributeValues": {f":{name}": item[name] for name in amounts if name in item},
    }
    return [{"Delete": remove}, {"Update": _add(key_id, day, model, part, amounts)}]


def _add(key_id: str, day: str, model: str, part: int, amounts: dict[str, int]) -> Parameters:
    amounts = {name: amount for name, amount in amounts.items() if amount} or {"requests": 0}
    return {
        "Key": item_of({"pk": _partition(day, _shard(key_id)), "sk": f"{_quoted(key_id)}#{model}#{part}"}),
        "UpdateExpression": "ADD " + ", ".join(f"#{name} :{name}" for name in amounts),
        "ExpressionAttributeNames": {f"#{name}": name for name in amounts},
        "ExpressionAttributeValues": item_of({f":{name}": amount for name, amount in amounts.items()}),
    }


def _partition(day: str, shard: int) -> str:
    return f"sums#{day}#{shard}"


def _shard(key_id: str) -> int:
    return crc32(key_id.encode()) % SHARDS


def _days(since_ms: int, until_ms: int) -> Iterator[str]:
    for day in range(max(since_ms, _FIRST_DAY_MS) // _DAY_MS, until_ms // _DAY_MS + 1):
        yield instant(day * _DAY_MS)[:10]


def _quoted(key_id: str) -> str:
    """Return a key id without `#`, which no key of ours has, but a record that is replayed may."""
    return key_id.replace("%", "%25").replace("#", "%23")


def _unquoted(text: str) -> str:
    return text.replace("%23", "#").replace("%25", "%")
