"""The items of keys: each by the digest of its text, and all of them in a list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace

from .frozen import Frozen
from .items import Item, Parameters, item_of, members, query, values_of
from .keys import Key

KEY_LIST = "keys"
_DAY_S = 86400


class Replaced(Frozen):
    """A text that a key had before, and is accepted until then; None: until it is given an end.

    Units:  s since 1970.
    """

    digest: str
    until: int | None
    hint: str

    def is_accepted(self, now: float) -> bool:
        """Return whether it has not ended at a time."""
        return self.until is None or self.until > now


def key_place(digest: str) -> Item:
    """Return where a key is."""
    return item_of({"pk": f"key#{digest}", "sk": "key"})


def listed_place(key_id: str) -> Item:
    """Return where a key is listed."""
    return item_of({"pk": KEY_LIST, "sk": key_id})


def key_item(key: Key) -> Item:
    """Return the item of a key. A deleted one is disabled, too, for versions that know nothing else."""
    values = members(key)
    if key.deleted_at is not None:
        values |= {"disabled": True, "was_disabled": key.disabled, "ttl": key.kept_until}
    return {**key_place(key.digest), **item_of(values)}


def key_of(item: Item) -> Key:
    """Return the key of an item."""
    values = values_of(item)
    values |= {name: frozenset(values.get(name, ())) for name in ("models", "tags")}
    if "deleted_at" in values:
        values["disabled"] = values.get("was_disabled", False)
    return Key(**{each.name: values[each.name] for each in fields(Key) if each.name in values})


def replaced_item(item: Item, text: Replaced) -> Item:
    """Return the item of a replaced text: a copy of the key's own, which names that.

    It ends when the text does, for versions that know nothing else; DynamoDB may delete it a day later.
    """
    key = replace(key_of(item), digest=text.digest, hint=text.hint, replaced_at=text.until)
    ends = [each for each in (key.expires_at, text.until) if each is not None]
    key = replace(key, expires_at=min(ends, default=None))
    kept = [each for each in (key.kept_until, text.until and text.until + _DAY_S) if each is not None]
    more = item_of({"moved_to": values_of(item)["digest"], "ttl": min(kept, default=None)})
    return {**item, **key_item(key), **more}


def moved_to(item: Item) -> str | None:
    """Return the digest of the text that replaced the one of this item; None where that is in use."""
    return str(item["moved_to"]["S"]) if "moved_to" in item else None


def listed_item(key: Key, replaced: Iterable[Replaced] = ()) -> Item:
    """Return the item that lists a key, and its replaced texts."""
    texts = frozenset(f"{text.digest}#{text.until or ''}#{text.hint}" for text in replaced)
    values = {
        "digest": key.digest,
        "name": key.name,
        "hint": key.hint,
        "replaced": texts,
        "deleted_at": key.deleted_at,
        "ttl": key.kept_until,
    }
    return {**listed_place(key.id), **item_of(values)}


def digest_of(item: Item) -> str:
    """Return the digest in an item that lists a key."""
    return str(values_of(item)["digest"])


def replaced_in(item: Item) -> list[Replaced]:
    """Return the replaced texts in an item that lists a key, those that end last at the end."""
    texts = [text.split("#", 2) for text in values_of(item).get("replaced", ())]
    found = [Replaced(digest, int(until) if until else None, hint) for digest, until, hint in texts]
    return sorted(found, key=lambda text: (text.until is None, text.until, text.digest))


def set_books(key: Key, books: int) -> Parameters:
    """Return the update that says how a key's sums are stored."""
    return {
        "Key": key_place(key.digest),
        "UpdateExpression": "SET #b = :books",
        "ConditionExpression": "attribute_exists(pk)",
        "ExpressionAttributeNames": {"#b": "books"},
        "ExpressionAttributeValues": item_of({":books": books}),
        "ReturnValues": "ALL_NEW",
    }


def listed() -> Parameters:
    """Return the query for all keys."""
    return query("pk = :pk", {":pk": KEY_LIST})
