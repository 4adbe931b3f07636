"""The items of keys: each by the digest of its text, and all of them in a list."""

from __future__ import annotations

from dataclasses import fields

from .items import Item, Parameters, item_of, members, query, values_of
from .keys import Key

KEY_LIST = "keys"


def key_place(digest: str) -> Item:
    """Return where a key is."""
    return item_of({"pk": f"key#{digest}", "sk": "key"})


def listed_place(key_id: str) -> Item:
    """Return where a key is listed."""
    return item_of({"pk": KEY_LIST, "sk": key_id})


def key_item(key: Key) -> Item:
    """Return the item of a key."""
    return {**key_place(key.digest), **item_of(members(key))}


def key_of(item: Item) -> Key:
    """Return the key of an item."""
    values = values_of(item)
    values |= {name: frozenset(values.get(name, ())) for name in ("models", "tags")}
    return Key(**{each.name: values[each.name] for each in fields(Key) if each.name in values})


def listed_item(key: Key) -> Item:
    """Return the item that lists a key."""
    return {**listed_place(key.id), **item_of({"digest": key.digest, "name": key.name})}


def digest_of(item: Item) -> str:
    """Return the digest in an item that lists a key."""
    return str(values_of(item)["digest"])


def disable(key: Key, disabled: bool) -> Parameters:
    """Return the update that disables or enables a key."""
    return {
        "Key": key_place(key.digest),
        "UpdateExpression": "SET #d = :disabled",
        "ConditionExpression": "attribute_exists(pk)",
        "ExpressionAttributeNames": {"#d": "disabled"},
        "ExpressionAttributeValues": item_of({":disabled": disabled}),
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
                "ExpressionAttributeValues": item_of({":disabled": old.disabled}),
            }
        },
        {"Put": {"Item": key_item(new), "ConditionExpression": "attribute_not_exists(pk)"}},
        {
            "Put": {
                "Item": listed_item(new),
                "ConditionExpression": "#g = :digest",
                "ExpressionAttributeNames": {"#g": "digest"},
                "ExpressionAttributeValues": item_of({":digest": old.digest}),
            }
        },
    ]


def listed() -> Parameters:
    """Return the query for all keys."""
    return query("pk = :pk", {":pk": KEY_LIST})
