"""The history of a key: an entry for each change, with who changed what, and no text or digest."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from functions.shared.items import Item, Parameters, instant, item_of, query, values_of
from functions.shared.keys import Key

# Members that the entry itself has, or that are not shown.
_UNLISTED = ("id", "digest", "change", "changed_at", "changed_by", "created_at", "created_by", "books")


@dataclass(frozen=True, kw_only=True)
class Change:
    """One change of a key.

    Shape:  `id` is random: two tries of one change have the same. `members`: what it changed, old and new;
            the names are those of `Key`, or `replaced_texts`. Sets are sorted lists.
    """

    id: str
    at_ms: int
    by: str
    command: str
    members: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)


def differences(old: Key, new: Key) -> dict[str, tuple[Any, Any]]:
    """Return the members in which two keys differ."""
    names = [each.name for each in fields(Key) if each.name not in _UNLISTED]
    values = {name: (_plain(getattr(old, name)), _plain(getattr(new, name))) for name in names}
    return {name: both for name, both in values.items() if both[0] != both[1]}


def history_place(key_id: str, change: Change) -> Item:
    """Return where a change is."""
    return item_of({"pk": f"history#{key_id}", "sk": f"{instant(change.at_ms)}#{change.id}"})


def history_item(key_id: str, change: Change) -> Item:
    """Return the item of a change."""
    values = {
        "id": change.id,
        "at": change.at_ms,
        "by": change.by,
        "command": change.command,
        "members": json.dumps(change.members, ensure_ascii=False, separators=(",", ":")),
    }
    return {**history_place(key_id, change), **item_of(values)}


def change_of(item: Item) -> Change:
    """Return the change of an item."""
    values = values_of(item)
    return Change(
        id=values["id"],
        at_ms=values["at"],
        by=values["by"],
        command=values["command"],
        members={name: (old, new) for name, (old, new) in json.loads(values["members"]).items()},
    )


def newest_first(key_id: str) -> Parameters:
    """Return the query for the changes of a key."""
    return {**query("pk = :pk", {":pk": f"history#{key_id}"}), "ScanIndexForward": False}


def _plain(value: Any) -> Any:
    return sorted(value) if isinstance(value, frozenset) else value
