"""The items of usage: a record for each request, and the sums of a day's records."""

from __future__ import annotations

from dataclasses import asdict, fields
from zlib import crc32

from .items import Item, Parameters, attribute_of, instant, item_of, members, query, values_of
from .limits import Running
from .usage import UsageRecord, UsageSum

_DAY_S = 86400
_ASSUMED = "assumed"
# The sums of a day and model have so many parts, for no two transactions may write one at a time.
_PARTS = 8


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


def listing_of(item: Item) -> int | None:
    """Return for which listing of its request a record was kept; None for one of an earlier version."""
    return int(item["listing"]["N"]) if "listing" in item else None


def is_counted(item: Item) -> bool:
    """Return whether a record is in the sums of its day; those of earlier versions are not."""
    return "counted" in item


def sum_of(item: Item) -> tuple[str, str, UsageSum]:
    """Return the day, the model and the sums of an item."""
    values = values_of(item)
    day, _, model = values["sk"].split("#", 2)
    return day, model, UsageSum(**{each.name: values.get(each.name, 0) for each in fields(UsageSum)})


def keep(
    record: UsageRecord,
    running: Running,
    days: int,
    *,
    assumed: bool = False,
    instead_of: Item | None = None,
) -> list[Parameters]:
    """Return the writes that keep the record of a running request and add it to the sums of its day.

    Shape:  `instead_of`: the item in its place, which must still be there; without, there must be none.
    """
    more = {"counted": True, "listing": running.listing, "ttl": record.started_at // 1000 + days * _DAY_S}
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
    sums = [count(record)]
    if before and before.model == record.model:
        sums = [count(record, before)]
    elif before:
        sums += [count(None, before)]
    return [{"Put": put}, *({"Update": each} for each in sums)]


def count(record: UsageRecord | None, instead_of: UsageRecord | None = None) -> Parameters:
    """Return the update that adds a record to the sums of its day, and takes another from them."""
    amounts: dict[str, int] = {}
    for each, sign in ((record, 1), (instead_of, -1)):
        if each:
            for name, amount in asdict(UsageSum.of(each)).items():
                amounts[name] = amounts.get(name, 0) + sign * amount
    one = record or instead_of
    assert one
    amounts = {name: amount for name, amount in amounts.items() if amount} or {"requests": 0}
    return {
        "Key": item_of(
            {
                "pk": f"usage#{one.key_id}#sums",
                "sk": f"{instant(one.started_at)[:10]}#{crc32(one.request_id.encode()) % _PARTS}#{one.model}",
            }
        ),
        "UpdateExpression": "ADD " + ", ".join(f"#{name} :{name}" for name in amounts),
        "ExpressionAttributeNames": {f"#{name}": name for name in amounts},
        "ExpressionAttributeValues": item_of({f":{name}": amount for name, amount in amounts.items()}),
    }


def count_old(record: UsageRecord, *, days: int) -> list[Parameters]:
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
    return [{"Update": mark}, {"Update": count(record)}]


def used(key_id: str, since_ms: int, until_ms: int) -> Parameters:
    """Return the query for a key's records from one time up to another, which is not included."""
    values = {":pk": f"usage#{key_id}", ":since": instant(since_ms), ":until": instant(until_ms)}
    return query("pk = :pk AND sk BETWEEN :since AND :until", values)


def summed(key_id: str, since_ms: int, until_ms: int) -> Parameters:
    """Return the query for a key's sums of the days from one time to another, both included."""
    since, until = (instant(each)[:10] for each in (since_ms, until_ms))
    values = {
        ":pk": f"usage#{key_id}#sums",
        ":since": since,
        ":until": f"{until}$",
    }  # after `#`, before a digit
    return query("pk = :pk AND sk BETWEEN :since AND :until", values)
