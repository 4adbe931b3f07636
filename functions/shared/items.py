"""How keys, counts and usage lie in the table: one item each, read by its whole primary key.

pk                sk                             holds
key#<digest>      key                            the key
keys              <key id>                       its digest: keys are listed by this
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
Question = dict[str, Any]

# The table itself, but for its name.
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
    """Return where it is counted what a key used."""
    return _item({"pk": f"id#{key_id}", "sk": "limits"})


def key_item(key: Key) -> Item:
    """Return a key as it is kept."""
    return {**key_place(key.digest), **_item(_members(key))}


def key_of(item: Item) -> Key:
    """Return the key that is kept so."""
    values = _values(item)
    values["models"] = frozenset(values.get("models", ()))
    return Key(**{each.name: values[each.name] for each in fields(Key) if each.name in values})


def listed_item(key: Key) -> Item:
    """Return the entry that lists a key."""
    return {**listed_place(key.id), **_item({"digest": key.digest, "name": key.name})}


def counts_of(item: Item | None) -> Counts | None:
    """Return what is counted, if anything is yet."""
    if not item:
        return None
    values = _values(item)
    return Counts(**{each.name: values[each.name] for each in fields(Counts)})


def usage_item(record: UsageRecord) -> Item:
    """Return a usage record as it is kept."""
    moment = f"{instant(record.started_at)}#{record.request_id}"
    return _item({"pk": f"usage#{record.key_id}", "sk": moment, **_members(record)})


def usage_of(item: Item) -> UsageRecord:
    """Return the usage record that is kept so."""
    return UsageRecord.from_values(_values(item))


def digest_of(item: Item) -> str:
    """Return the digest of a key that is listed so."""
    return str(_values(item)["digest"])


def instant(epoch_ms: int) -> str:
    """Return a time as text that sorts as times do."""
    epoch_ms = min(max(epoch_ms, 0), _END_OF_9999)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch_ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{epoch_ms % 1000:03d}Z"


def reserve_in_window(key: Key, tokens: int, window: int) -> Question:
    """Ask for a reservation in the window that is stored, which is ours or newer."""
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


def reserve_in_new_window(key: Key, tokens: int, window: int) -> Question:
    """Ask for the first reservation of a window: it must be newer than the one that is stored."""
    conditions, values = _budget(key, tokens)
    conditions = ["(attribute_not_exists(pk) OR #w < :window)"] + [
        f"(attribute_not_exists(pk) OR {condition})" for condition in conditions
    ]
    values |= {":window": window, ":one": 1, ":tokens": tokens}
    return _update(key.id, "SET #w = :window, #r = :one, #t = :tokens ADD #s :tokens", conditions, values)


def settle_in_window(reservation: Reservation, difference: int) -> Question:
    """Ask to correct the window and the budget, if the window has not turned."""
    values = {":window": reservation.window, ":more": difference}
    return _update(reservation.key_id, "ADD #t :more, #s :more", ["#w = :window"], values)


def settle_after_window(reservation: Reservation, difference: int) -> Question:
    """Ask to correct the budget, if the window has turned."""
    values = {":window": reservation.window, ":more": difference}
    return _update(reservation.key_id, "ADD #s :more", ["#w > :window"], values)


def disable(key: Key, disabled: bool) -> Question:
    """Ask to disable a key, or to let it in again."""
    return {
        "Key": key_place(key.digest),
        "UpdateExpression": "SET #d = :disabled",
        "ConditionExpression": "attribute_exists(pk)",
        "ExpressionAttributeNames": {"#d": "disabled"},
        "ExpressionAttributeValues": _item({":disabled": disabled}),
        "ReturnValues": "ALL_NEW",
    }


def additions(key: Key) -> list[Question]:
    """Ask to keep a key that is new in every way."""
    new = "attribute_not_exists(pk)"
    return [{"Put": {"Item": item, "ConditionExpression": new}} for item in (key_item(key), listed_item(key))]


def replacements(old: Key, new: Key) -> list[Question]:
    """Ask to put a key in the place of another, if that is as it was."""
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


def listed() -> Question:
    """Ask for the list of keys."""
    return _query("pk = :pk", {":pk": KEY_LIST})


def used(key_id: str, since_ms: int, until_ms: int) -> Question:
    """Ask for a key's usage from one time, up to but without another."""
    values = {":pk": f"usage#{key_id}", ":since": instant(since_ms), ":until": instant(until_ms)}
    return _query("pk = :pk AND sk BETWEEN :since AND :until", values)


def _query(condition: str, values: dict[str, Any]) -> Question:
    return {"KeyConditionExpression": condition, "ExpressionAttributeValues": _item(values)}


def _budget(key: Key, tokens: int) -> tuple[list[str], dict[str, int]]:
    if key.budget_tokens is None:
        return [], {}
    return ["#s <= :unspent"], {":unspent": key.budget_tokens - tokens}


def _update(key_id: str, update: str, conditions: list[str], values: dict[str, int]) -> Question:
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
        # A refusal tells what it refused for, without another question.
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
