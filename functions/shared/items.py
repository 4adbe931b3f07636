"""How keys, counts and usage are stored in the table: one item each, read by its whole primary key.

pk                sk                             holds
key#<digest>      key                            the key
keys              <key id>                       its digest; keys are listed by these items
id#<key id>       limits                         window, requests, tokens, spent; outlives a rotation
usage#<key id>    <UTC, to the ms>#<request id>  a usage record; written twice, it is one record
"""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from .keys import Key
from .limits import Counts, Reservation
from .usage import UsageRecord

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
_END_OF_9999 = 253402300799999
# Each by a name of its own: DynamoDB reserves some of these words.
_NAMES = {"#w": "window", "#r": "requests", "#t": "tokens", "#s": "spent"}


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
    values = _values(item)
    return Counts(**{each.name: values[each.name] for each in fields(Counts)})


def usage_item(record: UsageRecord) -> Item:
    """Return the item of a usage record."""
    moment = f"{instant(record.started_at)}#{record.request_id}"
    return _item({"pk": f"usage#{record.key_id}", "sk": moment, **_members(record)})


def usage_of(item: Item) -> UsageRecord:
    """Return the usage record of an item."""
    return UsageRecord.from_values(_values(item))


def digest_of(item: Item) -> str:
    """Return the digest in an item that lists a key."""
    return str(_values(item)["digest"])


def instant(epoch_ms: int) -> str:
    """Return a time as text that sorts by time."""
    epoch_ms = min(max(epoch_ms, 0), _END_OF_9999)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch_ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{epoch_ms % 1000:03d}Z"


def reserve_in_window(key: Key, tokens: int, window: int) -> Parameters:
    """Return the update that reserves in the stored window, which must be ours or newer."""
    conditions, values = _budget(key, tokens)
    conditions += ["#w >= :window"]
    values |= {":window": window, ":one": 1, ":tokens": tokens}
    if key.requests_per_minute is not None:
        conditions += ["#r < :requests"]
        values |= {":requests": key.requests_per_minute}
    if key.tokens_per_minute is not None:
        conditions += ["#t <= :free"]
        values |= {":free": key.tokens_per_minute - tokens}
    return _update(key.id, "ADD #r :one, #t :tokens, #s :tokens", conditions, values)


def reserve_in_new_window(key: Key, tokens: int, window: int) -> Parameters:
    """Return the update that reserves first in a window, which must be newer than the stored one."""
    conditions, values = _budget(key, tokens)
    conditions = ["(attribute_not_exists(pk) OR #w < :window)"] + [
        f"(attribute_not_exists(pk) OR {condition})" for condition in conditions
    ]
    values |= {":window": window, ":one": 1, ":tokens": tokens}
    return _update(key.id, "SET #w = :window, #r = :one, #t = :tokens ADD #s :tokens", conditions, values)


def settle_in_window(reservation: Reservation, difference: int) -> Parameters:
    """Return the update that corrects the window and the budget, if the window is still the same."""
    values = {":window": reservation.window, ":more": difference}
    return _update(reservation.key_id, "ADD #t :more, #s :more", ["#w = :window"], values)


def settle_after_window(reservation: Reservation, difference: int) -> Parameters:
    """Return the update that corrects the budget, if a newer window has begun."""
    values = {":window": reservation.window, ":more": difference}
    return _update(reservation.key_id, "ADD #s :more", ["#w > :window"], values)


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
    """Return the query for a key's usage from one time up to another, which is not included."""
    values = {":pk": f"usage#{key_id}", ":since": instant(since_ms), ":until": instant(until_ms)}
    return _query("pk = :pk AND sk BETWEEN :since AND :until", values)


def _query(condition: str, values: dict[str, Any]) -> Parameters:
    return {"KeyConditionExpression": condition, "ExpressionAttributeValues": _item(values)}


def _budget(key: Key, tokens: int) -> tuple[list[str], dict[str, int]]:
    if key.budget_tokens is None:
        return [], {}
    return ["#s <= :unspent"], {":unspent": key.budget_tokens - tokens}


def _update(key_id: str, update: str, conditions: list[str], values: dict[str, int]) -> Parameters:
    condition = " AND ".join(conditions)
    return {
        "Key": limits_place(key_id),
        "UpdateExpression": update,
        "ConditionExpression": condition,
        "ExpressionAttributeNames": {
            short: name for short, name in _NAMES.items() if short in update + condition
        },
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
    return {"SS": sorted(value)} if isinstance(value, frozenset) else {"S": value}


def _values(item: Item) -> dict[str, Any]:
    return {name: _value(*attribute.items()) for name, attribute in item.items()}


def _value(typed: tuple[str, Any]) -> Any:
    kind, value = typed
    if kind != "N":
        return value
    return int(value) if value.lstrip("-").isdecimal() else float(value)
