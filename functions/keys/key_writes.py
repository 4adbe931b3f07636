"""The writes that make and change keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from functions.shared.items import Item, Parameters
from functions.shared.key_items import (
    Replaced,
    key_item,
    key_of,
    key_place,
    listed_item,
    replaced_in,
    replaced_item,
)
from functions.shared.keys import Key

from .history import Change, history_item

_NEW = "attribute_not_exists(pk)"
_OURS = {each.name for each in fields(Key)} | {"was_disabled", "replaced", "ttl"}


@dataclass(frozen=True)
class Stored:
    """A key as it is in the table: its own item, and the one that lists it."""

    item: Item
    listed: Item

    @property
    def key(self) -> Key:
        """The key."""
        return key_of(self.item)

    @property
    def replaced(self) -> list[Replaced]:
        """Its replaced texts, those that end last at the end."""
        return replaced_in(self.listed)


def additions(key: Key, change: Change | None) -> list[Parameters]:
    """Return the writes that add a key whose id and digest are both new."""
    items = [key_item(key), listed_item(key), *([history_item(key.id, change)] if change else [])]
    return [{"Put": {"Item": item, "ConditionExpression": _NEW}} for item in items]


def changes(stored: Stored, key: Key, replaced: Sequence[Replaced], change: Change) -> list[Parameters]:
    """Return the writes that change a key, if no other change came in between.

    Shape:  `replaced`: the texts that are accepted beside the key's own; those that were and are not among
            them are removed. What another version has added to the items stays.
    """
    old, item = stored.key, {**_foreign(stored.item), **key_item(key)}
    texts, before = {text.digest: text for text in replaced}, {text.digest for text in stored.replaced}
    # The item that holds the condition comes first: a refusal names it.
    if key.digest == old.digest:
        writes = [{"Put": {"Item": item, **_unchanged(stored.item)}}]
    elif old.digest in texts:
        writes = [{"Put": {"Item": replaced_item(item, texts[old.digest]), **_unchanged(stored.item)}}]
    else:
        writes = [{"Delete": {"Key": key_place(old.digest), **_unchanged(stored.item)}}]
    if key.digest in before:
        writes += [{"Put": {"Item": item}}]
    elif key.digest != old.digest:
        writes += [{"Put": {"Item": item, "ConditionExpression": _NEW}}]
    writes += [{"Put": {"Item": replaced_item(item, text)}} for text in replaced if text.digest != old.digest]
    writes += [
        {"Delete": {"Key": key_place(digest)}} for digest in sorted(before - texts.keys() - {key.digest})
    ]
    listed = {**_foreign(stored.listed), **listed_item(key, replaced)}
    condition = {
        "ConditionExpression": "#g = :digest",
        "ExpressionAttributeNames": {"#g": "digest"},
        "ExpressionAttributeValues": {":digest": stored.listed["digest"]},
    }
    return [
        *writes,
        {"Put": {"Item": listed, **condition}},
        {"Put": {"Item": history_item(key.id, change), "ConditionExpression": _NEW}},
    ]


def _unchanged(item: Item) -> Parameters:
    """Return the condition that a key is as it was read; version 0.4 changes only `disabled`, or the item."""
    condition, names = "#d = :disabled AND ", {"#d": "disabled", "#c": "change"}
    values = {":disabled": item["disabled"]}
    if "change" in item:
        condition, values = f"{condition}#c = :change", {**values, ":change": item["change"]}
    else:
        condition = f"{condition}attribute_not_exists(#c)"
    return {
        "ConditionExpression": condition,
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": values,
    }


def _foreign(item: Item) -> Item:
    """Return the attributes of an item that are none of ours."""
    return {name: value for name, value in item.items() if name not in _OURS}
