"""How keys, counts and usage are stored in the table: one item each, read by its whole primary key.

pk                   sk                             holds
key#<digest>         key                            the key
keys                 <key id>                       its digest; keys are listed by these items
id#<key id>          limits                         window, requests, tokens, spent, running, and
                                                    run#<request id>, each; outlives a rotation
usage#<key id>       <UTC, to the ms>#<request id>  a usage record; `ttl` is when DynamoDB may delete it
usage#<key id>#sums  <UTC day>#<part>#<model>       the sums of a part of a day's records

The chat function reads `key#`, reads and writes `id#` and `usage#`; the todo function all but `usage#`. Only
the keys command writes `key#` and uses `keys`.

A request reserves in one update, of `run#` and of what is counted. It is settled in two steps: its record is
written with the sums, in one transaction, if there is none yet; then its `run#` is removed and `spent`
corrected, in one update, if it is still there. So each step is done once, however often it is tried.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, astuple, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

from .keys import Key
from .limits import MOST_RUNNING, Counts, Running
from .usage import UsageRecord, UsageSum

Item = dict[str, dict[str, Any]]
Parameters = dict[str, Any]

# The arguments of create_table, without the name.
SCHEMA: dict[str, Any] = {
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
KEY_LIST = "keys"
KEEP_RECORDS_DAYS = 90
_END_OF_9999 = 253402300799999
_DAY_S = 86400
# Each by a name of its own: DynamoDB reserves some of these words.
_NAMES = {"#w": "window", "#r": "requests", "#t": "tokens", "#s": "spent", "#n": "running"}
_RUN = "run#"
_ASSUMED = "assumed"
# The sums of a day and model have so many parts, for no two transactions may write one at a time.
_PARTS = 8
# No window is stored where nothing has ever been reserved.
_LATER = "(attribute_not_exists(#w) OR #w > :window)"


def key_place(digest: str) -> Item:
    """Return where a key is."""
    return _item({"pk": f"key#{digest}", "sk": "key"})


def listed_place(key_id: str) -> Item:
    """Return where a key is listed."""
    return _item({"pk": KEY_LIST, "sk": key_id})


def limits_place(key_id: str) -> Item:
    """Return where a key's counts are."""
    return _item({"pk": f"id#{key_id}", "sk": "limits"})


def key_item(key: Key) -> Item:
    """Return the item of a key."""
    return {**key_place(key.digest), **_item(_members(key))}


def key_of(item: Item) -> Key:
    """Return the key of an item."""
    values = _values(item)
    values["models"] = frozenset(values.get("models", ()))
    return Key(**{each.name: values[each.name] for each in fields(Key) if each.name in values})


def listed_item(key: Key) -> Item:
    """Return the item that lists a key."""
    return {**listed_place(key.id), **_item({"digest": key.digest, "name": key.name})}


def counts_of(item: Item | None) -> Counts | None:
    """Return the counts of an item; None where nothing is counted yet."""
    if not item:
        return None
    values = {name: value for name, value in _values(item).items() if not name.startswith(_RUN)}
    running = {
        (request_id := name.removeprefix(_RUN)): Running(request_id, *json.loads(attribute["S"]))
        for name, attribute in item.items()
        if name.startswith(_RUN)
    }
    numbers = {name: values.get(name, 0) for name in ("window", "requests", "tokens", "spent")}
    return Counts(**numbers, running=running)


def usage_place(record: UsageRecord) -> Item:
    """Return where a usage record is."""
    moment = f"{instant(record.started_at)}#{record.request_id}"
    return _item({"pk": f"usage#{record.key_id}", "sk": moment})


def usage_of(item: Item) -> UsageRecord:
    """Return the usage record of an item."""
    return UsageRecord.from_values(_values(item))


def is_assumed(item: Item) -> bool:
    """Return whether a record holds what its request had reserved, for want of the truth."""
    return _ASSUMED in item


def listing_of(item: Item) -> int | None:
    """Return for which listing of its request a record was kept; None for one of an earlier version."""
    return int(item["listing"]["N"]) if "listing" in item else None


def is_counted(item: Item) -> bool:
    """Return whether a record is in the sums of its day; those of earlier versions are not."""
    return "counted" in item


def sum_of(item: Item) -> tuple[str, str, UsageSum]:
    """Return the day, the model and the sums of an item."""
    values = _values(item)
    day, _, model = values["sk"].split("#", 2)
    return day, model, UsageSum(**{each.name: values.get(each.name, 0) for each in fields(UsageSum)})


def digest_of(item: Item) -> str:
    """Return the digest in an item that lists a key."""
    return str(_values(item)["digest"])


def instant(epoch_ms: int) -> str:
    """Return a time as text that sorts by time."""
    epoch_ms = min(max(epoch_ms, 0), _END_OF_9999)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch_ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{epoch_ms % 1000:03d}Z"


def reserve_in_window(key: Key, request: Running | None, window: int) -> Parameters:
    """Return the update that reserves in the stored window, which must be this one."""
    conditions, values = _lasting(key, request)
    conditions = ["#w = :window", *conditions]
    values |= {":window": window, ":one": 1}
    if key.requests_per_minute is not None:
        conditions += ["#r < :requests"]
        values |= {":requests": key.requests_per_minute}
    if request and key.tokens_per_minute is not None:
        conditions += ["#t <= :free"]
        values |= {":free": key.tokens_per_minute - request.tokens}
    if request is None:
        return _update(key.id, "ADD #r :one", conditions, values)
    values |= {":tokens": request.tokens, ":most": request.most, ":run": replace(request, window=window)}
    update = "SET #run = :run ADD #r :one, #t :tokens, #s :most, #n :one"
    return _update(key.id, update, conditions, values, request)


def reserve_in_new_window(key: Key, request: Running | None, window: int) -> Parameters:
    """Return the update that reserves first in a window, which must be newer than the stored one."""
    conditions, values = _lasting(key, request)
    conditions = ["(attribute_not_exists(#w) OR #w < :window)"] + [
        f"(attribute_not_exists(pk) OR {condition})" for condition in conditions
    ]
    values |= {":window": window, ":one": 1, ":tokens": request.tokens if request else 0}
    update = "SET #w = :window, #r = :one, #t = :tokens"
    if request is None:
        return _update(key.id, update, conditions, values)
    values |= {":most": request.most, ":run": replace(request, window=window)}
    return _update(key.id, f"{update}, #run = :run ADD #s :most, #n :one", conditions, values, request)


def list_again(key_id: str, request: Running) -> Parameters:
    """Return the update that lists a request as running which is not, and reserves nothing for it."""
    values = {":run": request, ":one": 1}
    return _update(key_id, "SET #run = :run ADD #n :one", ["attribute_not_exists(#run)"], values, request)


def release(key_id: str, request: Running, used: int, *, in_window: bool) -> Parameters:
    """Return the update that counts what a running request has used; its window is stored, or a later one."""
    values = {":window": request.window, ":less": -1, ":spent": used - request.most, ":run": request}
    conditions = ["#run = :run", "#w = :window" if in_window else _LATER]
    update = "REMOVE #run ADD #n :less, #s :spent"
    if in_window:
        update += ", #t :tokens"
        values |= {":tokens": used - request.tokens}
    return _update(key_id, update, conditions, values, request)


def keep(
    record: UsageRecord,
    running: Running,
    days: int,
    *,
    assumed: bool = False,
    instead_of: UsageRecord | None = None,
) -> list[Parameters]:
    """Return the writes that keep the record of a running request and add it to the sums of its day.

    Shape:  `instead_of`: the record in its place, which must be an assumed one; without, there must be none.
    """
    more = {"counted": True, "listing": running.listing, "ttl": record.started_at // 1000 + days * _DAY_S}
    item = {**usage_place(record), **_item({**_members(record), **more})}
    if assumed:
        item[_ASSUMED] = _attribute(True)
    condition: Parameters = {"ConditionExpression": "attribute_not_exists(pk)"}
    if instead_of:
        condition = {"ConditionExpression": "#a = :true", "ExpressionAttributeNames": {"#a": _ASSUMED}}
        condition["ExpressionAttributeValues"] = _item({":true": True})
    put = {"Item": item, "ReturnValuesOnConditionCheckFailure": "ALL_OLD", **condition}
    sums = [count(record)]
    if instead_of and instead_of.model == record.model:
        sums = [count(record, instead_of)]
    elif instead_of:
        sums += [count(None, instead_of)]
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
        "Key": _item(
            {
                "pk": f"usage#{one.key_id}#sums",
                "sk": f"{instant(one.started_at)[:10]}#{crc32(one.request_id.encode()) % _PARTS}#{one.model}",
            }
        ),
        "UpdateExpression": "ADD " + ", ".join(f"#{name} :{name}" for name in amounts),
        "ExpressionAttributeNames": {f"#{name}": name for name in amounts},
        "ExpressionAttributeValues": _item({f":{name}": amount for name, amount in amounts.items()}),
    }


def count_old(record: UsageRecord, *, days: int) -> list[Parameters]:
    """Return the writes that add a record to the sums of its day, if it is not in them yet."""
    mark = {
        "Key": usage_place(record),
        "UpdateExpression": "SET #c = :true, #l = :ttl",
        "ConditionExpression": "attribute_exists(pk) AND attribute_not_exists(#c)",
        "ExpressionAttributeNames": {"#c": "counted", "#l": "ttl"},
        "ExpressionAttributeValues": _item(
            {":true": True, ":ttl": record.started_at // 1000 + days * _DAY_S}
        ),
    }
    return [{"Update": mark}, {"Update": count(record)}]


def disable(key: Key, disabled: bool) -> Parameters:
    """Return the update that disables or enables a key."""
    return {
        "Key": key_place(key.digest),
        "UpdateExpression": "SET #d = :disabled",
        "ConditionExpression": "attribute_exists(pk)",
        "ExpressionAttributeNames": {"#d": "disabled"},
        "ExpressionAttributeValues": _item({":disabled": disabled}),
        "ReturnValues": "ALL_NEW",
    }


def additions(key: Key) -> list[Parameters]:
    """Return the writes that add a key whose id and digest are both new."""
    new = "attribute_not_exists(pk)"
    return [{"Put": {"Item": item, "ConditionExpression": new}} for item in (key_item(key), listed_item(key))]


def replacements(old: Key, new: Key) -> list[Parameters]:
    """Return the writes that replace a key, if it has not changed meanwhile."""
    return [
        {
            "Delete": {
                "Key": key_place(old.digest),
                "ConditionExpression": "#d = :disabled",
                "ExpressionAttributeNames": {"#d": "disabled"},
                "ExpressionAttributeValues": _item({":disabled": old.disabled}),
            }
        },
        {"Put": {"Item": key_item(new), "ConditionExpression": "attribute_not_exists(pk)"}},
        {
            "Put": {
                "Item": listed_item(new),
                "ConditionExpression": "#g = :digest",
                "ExpressionAttributeNames": {"#g": "digest"},
                "ExpressionAttributeValues": _item({":digest": old.digest}),
            }
        },
    ]


def listed() -> Parameters:
    """Return the query for all keys."""
    return _query("pk = :pk", {":pk": KEY_LIST})


def used(key_id: str, since_ms: int, until_ms: int) -> Parameters:
    """Return the query for a key's records from one time up to another, which is not included."""
    values = {":pk": f"usage#{key_id}", ":since": instant(since_ms), ":until": instant(until_ms)}
    return _query("pk = :pk AND sk BETWEEN :since AND :until", values)


def summed(key_id: str, since_ms: int, until_ms: int) -> Parameters:
    """Return the query for a key's sums of the days from one time to another, both included."""
    since, until = (instant(each)[:10] for each in (since_ms, until_ms))
    values = {
        ":pk": f"usage#{key_id}#sums",
        ":since": since,
        ":until": f"{until}$",
    }  # after `#`, before a digit
    return _query("pk = :pk AND sk BETWEEN :since AND :until", values)


def _query(condition: str, values: dict[str, Any]) -> Parameters:
    return {"KeyConditionExpression": condition, "ExpressionAttributeValues": _item(values)}


def _lasting(key: Key, request: Running | None) -> tuple[list[str], dict[str, Any]]:
    """Return the conditions that hold in any window, and their values."""
    if not request:
        return [], {}
    conditions = ["attribute_not_exists(#run)", "(attribute_not_exists(#n) OR #n < :concurrent)"]
    values = {":concurrent": key.concurrent or MOST_RUNNING}
    if key.budget_tokens is not None:
        conditions += ["#s <= :unspent"]
        values |= {":unspent": key.budget_tokens - request.most}
    return conditions, values


def _update(
    key_id: str, update: str, conditions: list[str], values: dict[str, Any], request: Running | None = None
) -> Parameters:
    condition = " AND ".join(conditions)
    names = {**_NAMES, "#run": f"{_RUN}{request.request_id}" if request else ""}
    used = set(re.findall(r"#\w+", update + condition))
    return {
        "Key": limits_place(key_id),
        "UpdateExpression": update,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {short: name for short, name in names.items() if short in used},
        "ExpressionAttributeValues": _item(values),
        "ReturnValues": "ALL_NEW",
        # A refusal holds what is stored, which saves a read.
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


def _members(record: Key | UsageRecord) -> dict[str, Any]:
    return {each.name: getattr(record, each.name) for each in fields(record)}


def _item(values: dict[str, Any]) -> Item:
    """Return the attributes of these values; None and what is empty are left out."""
    return {name: _attribute(value) for name, value in values.items() if value not in (None, frozenset())}


def _attribute(value: Any) -> dict[str, Any]:
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, Running):  # one short text, for an item may hold hundreds; its id is in the name
        return {"S": json.dumps(astuple(value)[1:], separators=(",", ":"))}
    return {"SS": sorted(value)} if isinstance(value, frozenset) else {"S": value}


def _values(item: Item) -> dict[str, Any]:
    return {name: _value(*attribute.items()) for name, attribute in item.items()}


def _value(typed: tuple[str, Any]) -> Any:
    kind, value = typed
    if kind != "N":
        return value
    return int(value) if value.lstrip("-").isdecimal() else float(value)
