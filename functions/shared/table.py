"""The table of keys, limits and usage, as functions use it."""

from __future__ import annotations

import random
import time
from contextlib import suppress
from dataclasses import replace
from functools import partial

from . import key_items, limit_items, usage_items
from .aws import Aws, in_thread
from .dynamodb import CONDITION, DynamoDb, Refused, in_parallel
from .items import Item
from .keys import Key, KeysUnavailable, KeyThrottled
from .limits import (
    Allowance,
    Counts,
    Reservation,
    Running,
    allowance_of,
    counts_at,
    died,
    limit_reached,
    never_fits,
    refusal,
)
from .usage import KEEP_RECORDS_DAYS, UsageRecord, UsageSum

_RACES = 4
_REMEMBERED = 1000
# How many requests that have died are settled before another is let in.
_DEAD = 4
# How long a request is listed again whose record comes late.
_LISTED_S = 60


class Table(DynamoDb):
    """Keys, counts and usage. The methods that are not async block."""

    def __init__(
        self,
        name: str,
        *,
        aws: Aws | None = None,
        endpoint_url: str | None = None,
        keep_records_days: int = KEEP_RECORDS_DAYS,
    ) -> None:
        super().__init__(name, aws=aws, endpoint_url=endpoint_url)
        self._keep_days = keep_records_days
        # What was last stored of each key, but what is running: it decides which update is tried first.
        self._seen: dict[str, Counts] = {}

    async def key(self, digest: str) -> Key | None:
        """Return the key of this digest, or None.

        Raises: KeysUnavailable.
        """
        return await in_thread(self._key, digest)

    async def reserve(self, key: Key, request: Running | None, now: float) -> Reservation:
        """Count one request, and reserve what it may use.

        Raises: LimitReached; KeysUnavailable and its kinds.
        """
        return await in_thread(self._reserve, key, request, now)

    async def settle(self, record: UsageRecord, running: Running | None = None, period: str = "") -> None:
        """Keep a request's record, and count what was used instead of what was reserved, if it was.

        A refused request is counted, and leaves no record.
        Shape:  `period`: that of the budget in which it counts, if nothing was reserved.
        Raises: KeysUnavailable and its kinds.
        """
        if record.outcome == "refused":
            await in_thread(self._count_refusal, record)
        else:
            await in_thread(self.put_usage, record, running, period)

    async def peek(self, key: Key, now: float) -> Allowance:
        """Return what a key may do, and use nothing of it.

        Raises: KeysUnavailable and its kinds.
        """
        counts = await in_thread(self.counts, key.id)
        return allowance_of(key, counts_at(now, counts), now)

    async def touch(self, key_id: str, now: float) -> None:
        """Mark a key as used, and count nothing.

        Raises: KeysUnavailable and its kinds.
        """
        await in_thread(self._update, limit_items.touch(key_id, now))

    def counts(self, key_id: str) -> Counts | None:
        """Return what is counted of a key; None where nothing is yet.

        Raises: KeysUnavailable.
        """
        return limit_items.counts_of(self._get(limit_items.limits_place(key_id)))

    def put_usage(self, record: UsageRecord, running: Running | None = None, period: str = "") -> bool:
        """Keep a request's record, and count what was used; whatever is done already is not done again.

        A record in its place stays, unless it only holds what the request had reserved. Returns whether this
        record was kept.
        Shape:  `period`: that of the budget in which it counts, if nothing was reserved.
        Raises: KeysUnavailable.
        """
        for _ in range(_RACES):
            running = running or self._listed_again(record, period)
            if not running:
                return False
            stored = self._settle(record, running)
            if not usage_items.gives_way(stored, record):
                return usage_items.listing_of(stored) == running.listing
            running = None
        raise KeyThrottled(CONDITION)

    def sums(
        self, key_id: str, since_ms: int, until_ms: int, *, books: int = 1
    ) -> list[tuple[str, str, UsageSum]]:
        """Return the day, the model and the sum of what a key used, of whole days of UTC, in this order.

        Shape:  `books`: those of the key, if it is known: with 2, sums of 0.4 are not looked for.
        Raises: KeysUnavailable.
        """
        queries = list(usage_items.summed(key_id, since_ms, until_ms))
        if not usage_items.has_only_new_sums(key_id, books):
            queries.append(usage_items.summed_before(key_id, since_ms, until_ms))
        sums: dict[tuple[str, str], UsageSum] = {}
        for items in in_parallel(lambda each: list(self._query(each)), queries):
            for _, day, model, used in map(usage_items.sum_of, items):
                sums.setdefault((day, model), UsageSum()).add(used)
        return [(day, model, used) for (day, model), used in sorted(sums.items(), key=lambda each: each[0])]

    def _count_refusal(self, record: UsageRecord) -> None:
        def count(part: int) -> None:
            update = usage_items.count(record, part=part)
            self._call("update_item", idempotent=False, TableName=self._name, **update)

        self._apart(count)

    def _key(self, digest: str) -> Key | None:
        """Return the key of a digest; of a replaced text, the key as it is now, by a second read."""
        item = self._get(key_items.key_place(digest))
        in_use = key_items.moved_to(item) if item else None
        if not item or not in_use:
            return key_items.key_of(item) if item else None
        text, item = key_items.key_of(item), self._get(key_items.key_place(in_use))
        if not item:
            return None
        return replace(key_items.key_of(item), digest=digest, hint=text.hint, replaced_at=text.replaced_at)

    def _reserve(self, key: Key, request: Running | None, now: float) -> Reservation:
        """Reserve in the minute and the period that are stored, if they are ours or newer, else begin ours.

        Which they are can only be guessed; if the guess is wrong, the refusal holds what is stored. They
        never go back, so a call that lost the race for a new one succeeds at the third try.
        """
        if kind := never_fits(key, request, now):
            raise refusal(kind, key, counts_at(now, self.counts(key.id)), request, now)
        assumed = self._seen.get(key.id)
        for _ in range(_RACES):
            try:
                assumed = self._read(key.id, self._update(limit_items.reserve(key, request, now, assumed)))
            except Refused as refused:
                assumed = self._read(key.id, refused.item)
                counts = counts_at(now, assumed)
                if not (request and request.request_id in counts.running):
                    reached = limit_reached(key, counts, request, now)
                    if reached and not (reached == "concurrent" and self._bury(key.id, counts, now)):
                        raise refusal(reached, key, counts, request, now) from None
                    continue
                # An earlier try has arrived, though its response has not.
            counts = counts_at(now, assumed)
            if request:  # without one it is the todo function, which may not write records
                with suppress(KeysUnavailable):
                    self._bury(key.id, counts, now)
            running = counts.running[request.request_id] if request else None
            return Reservation(allowance=allowance_of(key, counts, now), running=running)
        raise KeyThrottled(CONDITION)

    def _read(self, key_id: str, item: Item | None) -> Counts | None:
        """Return the counts of an item, and remember what the next guess needs of them."""
        counts = limit_items.counts_of(item)
        if counts:
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            self._seen[key_id] = replace(counts, running={})
        return counts

    def _bury(self, key_id: str, counts: Counts, now: float) -> list[Running]:
        """Settle requests that have died, as cut, and return them: a few at a time, for a caller waits."""
        dead = [each for each in counts.running.values() if each.expires_at <= now][:_DEAD]
        for each in dead:
            self._settle(died(key_id, each), each, assumed=True)
        return dead

    def _listed_again(self, record: UsageRecord, period: str) -> Running | None:
        """Return a request as running, listed again if need be, without reserving anything for it.

        So its record can be kept, and its tokens counted, each once. None if its record is true already.
        """
        counts = self.counts(record.key_id)
        listed = counts.running.get(record.request_id) if counts else None
        stored = self._get(usage_items.usage_place(record))
        if listed and not stored:
            return listed
        if stored and listed:
            self._release(record.key_id, listed, stored)
        if stored and not usage_items.gives_way(stored, record):
            return None
        running = Running(
            request_id=record.request_id,
            model=record.model,
            tokens=0,
            most=usage_items.usage_of(stored).tokens if stored else 0,
            prompt=0,
            started_at=record.started_at,
            expires_at=int(time.time()) + _LISTED_S,
            window=-1,
            listing=random.getrandbits(48),
            period=usage_items.period_of(stored) if stored else period,
        )
        try:
            self._update(limit_items.list_again(record.key_id, running, counts))
        except Refused:
            raise KeyThrottled(CONDITION) from None  # another writes the same record just now
        return running

    def _settle(self, record: UsageRecord, running: Running, *, assumed: bool = False) -> Item:
        """Keep a record, unless there is one in its place; count its tokens instead of those reserved.

        Shape:  `assumed`: it holds what was reserved, for want of the truth. Such a record, and an earlier
                one of the request, gives way to that of a request that is listed again. Returns the item that
                is in its place.
        """
        stored: Item | None = None
        for _ in range(_RACES):
            writes = partial(
                usage_items.keep, record, running, self._keep_days, assumed=assumed, instead_of=stored
            )
            try:
                self._write_apart(writes)
            except Refused as refused:
                stored = refused.item
                if stored and (assumed or not running.listing or not usage_items.gives_way(stored, record)):
                    break
            else:
                stored = writes(0)[0]["Put"]["Item"]
                break
        else:
            raise KeyThrottled(CONDITION)
        assert stored
        self._release(record.key_id, running, stored)
        return stored

    def _release(self, key_id: str, running: Running, stored: Item) -> None:
        """Count the tokens of a request's record if it was kept for this listing; others are counted."""
        used = (
            usage_items.usage_of(stored).tokens
            if usage_items.listing_of(stored) == running.listing
            else running.most
        )
        assumed = self._seen.get(key_id)
        for _ in range(_RACES):
            try:
                self._update(limit_items.release(key_id, running, used, assumed))
            except Refused as refused:
                assumed = limit_items.counts_of(refused.item)
                if not assumed or assumed.running.get(running.request_id) != running:
                    return  # another has released it
            else:
                return
        raise KeyThrottled(CONDITION)
