"""Keys in the table, as the commands make and change them.

A change is one transaction: it succeeds only if the key is as it was read, and adds an entry to its history.
A change that was refused is made again from what is there then, so that two at a time are both made. The
entry shows whether a try whose response was lost has arrived, so that no change is made twice.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from functions.shared import key_items, usage_items
from functions.shared.dynamodb import CONDITION, Refused, in_parallel
from functions.shared.items import Item, Parameters, item_of, query
from functions.shared.key_items import Replaced
from functions.shared.keys import Key, KeysRefused, KeysUnavailable, KeyTaken, KeyThrottled
from functions.shared.table import Table

from . import history, key_writes
from .history import Change
from .key_writes import Stored

_RACES = 12
# How long the first race is waited for, at most; each further one longer by as much.
_RACE_S = 0.02
# A transaction has at most 100 writes.
_MOST_REPLACED = 50
_DAY_MS = 86_400_000

Step = Callable[[Stored], tuple[Key, Sequence[Replaced]]]


class ChangeUnknown(KeysUnavailable):
    """No response came, so the change may have been made, and cannot be looked for either."""


@dataclass(frozen=True, slots=True)
class Listed:
    """What the list of keys has of one; `hint` is empty for a key of an earlier version."""

    id: str
    name: str
    hint: str
    deleted: bool


class StoredKeys(Table):
    """Keys, their texts and their history.

    Shape:  `on_change` is called after each change that was made, with the key as it is then.
    """

    on_change: Callable[[Key, Change], None] | None = None
    _late_ms = 0  # by how much a change, and each after it, is later for it was made again

    def add(self, key: Key, change: Change | None = None) -> None:
        """Keep a new key, and its first change.

        Raises: KeyTaken; ChangeUnknown; KeysUnavailable.
        """
        if change:
            blank = Key(id=key.id, digest=key.digest, name="", created_at=key.created_at)
            change = replace(change, members=history.differences(blank, key))
            key = replace(key, change=change.id)
        if not self._done(key_writes.additions(key, change), lambda: self._key(key.digest) == key):
            raise KeyTaken(f"There is a key with the id {key.id} or of the same text already.")
        if change and self.on_change:
            self.on_change(key, change)

    def find(self, key_id: str) -> Key | None:
        """Return the key of this id, or None. It may be a deleted one.

        Raises: KeysUnavailable.
        """
        stored = self._stored(key_id)
        return stored.key if stored else None

    def replaced(self, key_id: str) -> list[Replaced]:
        """Return the texts that a key had before, those that end last at the end; some may have ended.

        Raises: KeysUnavailable.
        """
        listed = self._get(key_items.listed_place(key_id))
        return key_items.replaced_in(listed) if listed else []

    def all_keys(self) -> list[Key]:
        """Return every key, deleted ones too, the oldest first.

        Raises: KeysUnavailable.
        """
        digests = {item["sk"]["S"]: key_items.digest_of(item) for item in self._query(key_items.listed())}
        items = self._get_all([key_items.key_place(digest) for digest in digests.values()])
        found = [key_items.key_of(item) for item in items if not key_items.moved_to(item)]
        rotated = map(self.find, digests.keys() - {key.id for key in found})  # in between
        found += [key for key in rotated if key]
        return sorted(found, key=lambda key: (key.created_at, key.id))

    def listed(self) -> list[Listed]:
        """Return what the list has of every key; it is read much faster than the keys.

        Raises: KeysUnavailable.
        """
        return [
            Listed(
                id=item["sk"]["S"],
                name=item["name"]["S"],
                hint=item.get("hint", {"S": ""})["S"],
                deleted="deleted_at" in item,
            )
            for item in self._query(key_items.listed())
        ]

    def change(self, key_id: str, alter: Callable[[Key], Key], change: Change) -> tuple[Key, Change] | None:
        """Alter a key's members; return it, and what was changed. None where there is no such key.

        What `alter` raises passes through, and nothing is changed then.
        Raises: ChangeUnknown; KeysUnavailable.
        """
        return self._change(key_id, lambda stored: (alter(stored.key), stored.replaced), change)

    def rotate(self, key_id: str, digest: str, hint: str, change: Change) -> Key | None:
        """Give a key another text; the ones before stay accepted, the last of them until `end_replaced`.

        None where there is no such key, or no more.
        Raises: ChangeUnknown; KeysUnavailable.
        """

        def step(stored: Stored) -> tuple[Key, Sequence[Replaced]]:
            old = stored.key
            replaced = [*stored.replaced, Replaced(old.digest, None, old.hint)]
            return replace(old, digest=digest, hint=hint), replaced

        done = self._change(key_id, step, change)
        return done[0] if done else None

    def end_replaced(self, key_id: str, at: int, change: Change) -> Key | None:
        """Accept the texts that a key had before until a time, and those that end earlier until then.

        Units:  `at` s since 1970.
        Raises: ChangeUnknown; KeysUnavailable.
        """

        def step(stored: Stored) -> tuple[Key, Sequence[Replaced]]:
            ends = [at if each.until is None else min(at, each.until) for each in stored.replaced]
            ended = zip(stored.replaced, ends, strict=True)
            return stored.key, [replace(each, until=end) for each, end in ended]

        done = self._change(key_id, step, change)
        return done[0] if done else None

    def take_back(self, key_id: str, digest: str, before: str, change: Change) -> Key | None:
        """Undo a rotation whose text was lost: the text before is in use again, and the lost one removed.

        Shape:  the digests of the lost text and of the one before. A key that has neither is left as it is.
        Raises: ChangeUnknown; KeysUnavailable.
        """

        def step(stored: Stored) -> tuple[Key, Sequence[Replaced]]:
            texts = {text.digest: text for text in stored.replaced}
            if stored.key.digest != digest or before not in texts:
                return stored.key, stored.replaced
            text = texts.pop(before)
            return replace(stored.key, digest=text.digest, hint=text.hint), [*texts.values()]

        done = self._change(key_id, step, change)
        return done[0] if done else None

    def delete(self, key_id: str, kept_until: int, change: Change) -> Key | None:
        """Refuse a key from now on, and have DynamoDB delete all that is stored of it after a time.

        It is safe to repeat: what was interrupted is completed. Records have an end of their own.
        Units:  `kept_until` s since 1970.
        Raises: ChangeUnknown; KeysUnavailable.
        """

        def step(stored: Stored) -> tuple[Key, Sequence[Replaced]]:
            deleted_at = stored.key.deleted_at or change.at_ms // 1000
            return replace(stored.key, deleted_at=deleted_at, kept_until=kept_until), stored.replaced

        done = self._change(key_id, step, change, deleted=True)
        if done:
            self._keep_until(done[0], kept_until, change.at_ms // 1000)
        return done[0] if done else None

    def restore(self, key_id: str, change: Change) -> Key | None:
        """Accept a deleted key again; None where there is no such key, or no more.

        What is kept of it gets its end taken away before, so that nothing is lost where this is interrupted.
        Raises: ChangeUnknown; KeysUnavailable.
        """

        def step(stored: Stored) -> tuple[Key, Sequence[Replaced]]:
            return replace(stored.key, deleted_at=None, kept_until=None), stored.replaced

        if stored := self._stored(key_id):
            self._keep_until(stored.key, None, change.at_ms // 1000)
        done = self._change(key_id, step, change, deleted=True)
        return done[0] if done else None

    def history(self, key_id: str) -> list[Change]:
        """Return the changes of a key, the newest first.

        Raises: KeysUnavailable.
        """
        return [history.change_of(item) for item in self._query(history.newest_first(key_id))]

    def _change(
        self, key_id: str, step: Step, change: Change, *, deleted: bool = False
    ) -> tuple[Key, Change] | None:
        """Make one change, if it changes anything. `deleted`: the key may be a deleted one."""
        at_ms, now, begun = change.at_ms, change.at_ms // 1000, time.monotonic()

        def arrived() -> bool:
            return self._get(history.history_place(key_id, change)) is not None

        for race in range(_RACES):
            change = replace(change, at_ms=at_ms + self._late_ms)
            stored = self._stored(key_id)
            if stored is None or (stored.key.deleted_at is not None and not deleted):
                return None
            key, replaced = step(stored)
            replaced = _accepted(replaced, now)
            members = history.differences(stored.key, key)
            texts = tuple(
                [[each.hint, each.until] for each in some]
                for some in (_accepted(stored.replaced, now), replaced)
            )
            if texts[0] != texts[1]:
                members["replaced_texts"] = (texts[0], texts[1])
            made = replace(change, members=members)
            if not made.members:
                return key, made
            key = replace(key, change=change.id, changed_at=now, changed_by=change.by)
            if self._done(key_writes.changes(stored, key, replaced, made), arrived):
                if self.on_change:
                    self.on_change(key, made)
                return key, made
            time.sleep(random.uniform(0, _RACE_S * (race + 1)))
            # What won comes before, in the history as well.
            self._late_ms += 1 + round((time.monotonic() - begun) * 1000)
            begun = time.monotonic()
        raise KeyThrottled(CONDITION)

    def _done(self, writes: list[Parameters], arrived: Callable[[], bool]) -> bool:
        """Write all of a change, unless an earlier try of it `arrived`; return whether it is done."""
        try:
            self._write_together(writes)
        except Refused:
            return arrived()
        except (KeyThrottled, KeysRefused):
            raise
        except KeysUnavailable as error:
            try:
                if arrived():
                    return True
            except KeysUnavailable:
                raise ChangeUnknown(*error.args) from None
            raise
        return True

    def _stored(self, key_id: str) -> Stored | None:
        """Return what is stored of a key. Between its two reads, the key may get another text."""
        listed: Item | None = None
        for _ in range(_RACES):
            before, listed = listed, self._get(key_items.listed_place(key_id))
            if not listed or listed == before:
                return None
            item = self._get(key_items.key_place(key_items.digest_of(listed)))
            if item and not key_items.moved_to(item):
                return Stored(item, listed)
        raise KeyThrottled(CONDITION)

    def _keep_until(self, key: Key, end: int | None, now: int) -> None:
        """Have DynamoDB delete a key's counts, sums and history after a time, or never."""
        until_ms = now * 1000 + _DAY_MS  # another clock may be ahead
        queries = [
            query("pk = :pk", {":pk": f"id#{key.id}"}),
            history.newest_first(key.id),
            usage_items.summed_before(key.id, 0, until_ms),
            *usage_items.summed(key.id, key.created_at * 1000, until_ms),
        ]
        update: Parameters = {"UpdateExpression": "REMOVE #t"}
        if end is not None:
            values = item_of({":end": end})
            update = {"UpdateExpression": "SET #t = :end", "ExpressionAttributeValues": values}
        update |= {
            "TableName": self._name,
            "ConditionExpression": "attribute_exists(pk)",
            "ExpressionAttributeNames": {"#t": "ttl"},
        }

        def mark(item: Item) -> None:
            place = {name: item[name] for name in ("pk", "sk")}
            with suppress(Refused):  # DynamoDB has just deleted it
                self._call("update_item", Key=place, **update)

        for items in in_parallel(lambda each: list(self._query(each)), queries):
            list(in_parallel(mark, items))


def _accepted(texts: Sequence[Replaced], now: int) -> list[Replaced]:
    return [each for each in texts if each.is_accepted(now)][-_MOST_REPLACED:]
