"""What keys have used, as the commands read it: all methods block, and long ones show how far they are.

None makes a call for each key: sums are read by day, and counts by a hundred keys at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, islice

from functions.shared import key_items, limit_items, usage_items
from functions.shared.dynamodb import Refused, in_parallel
from functions.shared.items import Item
from functions.shared.keys import Key
from functions.shared.limits import Counts, Running, died
from functions.shared.table import Table
from functions.shared.usage import NONE, UsageRecord, UsageSum

from .progress import progress

_PAGE = 1000
# The key, the day, the model, and what was used of it.
Used = tuple[str, str, str, UsageSum]


class Books(Table):
    """Counts, records and sums of keys."""

    def spent(self, key_id: str) -> int:
        """Return the tokens that a key has used and reserved since it was created.

        Raises: KeysUnavailable.
        """
        counts = self.counts(key_id)
        return counts.spent if counts else 0

    def running(self, key_id: str, now: float) -> list[Running]:
        """Return the requests of a key that are running; those that have died are settled, as cut.

        One whose function died between the two steps of its settlement has its record: it is settled, too.
        Raises: KeysUnavailable.
        """
        while True:
            counts = self.counts(key_id) or Counts(window=0)
            if self._bury(key_id, counts, now):
                continue
            running = counts.running
            places = [usage_items.usage_place(died(key_id, each)) for each in running.values()]
            recorded = {usage_items.usage_of(item).request_id: item for item in self._get_all(places)}
            for request_id, item in recorded.items():
                if usage_items.listing_of(item) == running[request_id].listing:
                    self._release(key_id, running[request_id], item)
            return [each for each in running.values() if each.request_id not in recorded]

    def usage(
        self, key_id: str, since_ms: int, until_ms: int, *, newest: int | None = None
    ) -> Iterator[UsageRecord]:
        """Yield a key's records from one time, up to but without another, the oldest first.

        Shape:  `newest`: only so many, the newest first.
        Raises: KeysUnavailable.
        """
        query = usage_items.used(key_id, since_ms, until_ms)
        if newest is not None:
            query |= {"ScanIndexForward": False, "Limit": min(newest, _PAGE)}
        yield from islice(map(usage_items.usage_of, self._query(query)), newest)

    def counts_of_all(self, key_ids: Iterable[str]) -> dict[str, Counts]:
        """Return what is counted of keys, by their ids; those that were never used are left out.

        Raises: KeysUnavailable.
        """
        places = [limit_items.limits_place(key_id) for key_id in key_ids]
        with progress("Reading limits", len(places)) as advance:
            found = {}
            for item in self._get_all(places):
                advance(1)
                if counts := limit_items.counts_of(item):
                    found[item["pk"]["S"].removeprefix("id#")] = counts
            return found

    def settle_dead(self, key_ids: Iterable[str], now: float) -> None:
        """Settle all requests of keys that have died, as cut.

        Raises: KeysUnavailable.
        """
        for key_id, counts in self.counts_of_all(key_ids).items():
            if any(each.expires_at <= now for each in counts.running.values()):
                self.running(key_id, now)

    def sums_of_all(self, keys: Iterable[Key], since_ms: int, until_ms: int) -> Iterator[Used]:
        """Yield what was used by any key, and by none, on whole days of UTC: sums, to be added up.

        Shape:  `keys`: all that there are; of those whose books are not of this version more is read.
        Raises: KeysUnavailable.
        """
        queries = list(usage_items.summed_of_all(since_ms, until_ms))
        for key_id, books in [(NONE, 1), *((key.id, key.books) for key in keys)]:
            if not usage_items.has_only_new_sums(key_id, books):
                queries.append(usage_items.summed_before(key_id, since_ms, until_ms))
        with progress("Reading usage", len(queries)) as advance:
            read = in_parallel(lambda query: list(map(usage_items.sum_of, self._query(query))), queries)
            for found in read:
                advance(1)
                yield from found

    def records_of(self, key_ids: Iterable[str], since_ms: int, until_ms: int) -> Iterator[UsageRecord]:
        """Yield the records of keys from one time, up to but without another: key by key, the oldest first.

        Raises: KeysUnavailable.
        """

        def begin(key_id: str) -> tuple[list[Item], Iterator[list[Item]]]:
            pages = self._pages(usage_items.used(key_id, since_ms, until_ms))
            return next(pages), pages

        for first, others in in_parallel(begin, key_ids):
            for items in chain([first], others):
                yield from map(usage_items.usage_of, items)

    def recount(self, keys: Sequence[Key], until_ms: int) -> int:
        """Add records that no sum has yet to the sums, and move the sums of 0.4; return how many records.

        Shape:  `keys`: all of them; those of no key are added, too.
        Each is done once, however often this is called, whatever requests come meanwhile.
        Raises: KeysUnavailable.
        """

        def recount(key: Key | None) -> int:
            counted = self._recount(key.id if key else NONE, until_ms)
            if key and key.books < usage_items.BOOKS:
                with suppress(Refused):  # it was deleted or given another text in between
                    self._update(key_items.set_books(key, usage_items.BOOKS))
            return counted

        with progress("Recounting", len(keys) + 1) as advance:
            counted = 0
            for each in in_parallel(recount, [None, *keys]):
                advance(1)
                counted += each
            return counted

    def _recount(self, key_id: str, until_ms: int) -> int:
        counted = 0
        for item in self._query(usage_items.used(key_id, 0, until_ms)):
            if not usage_items.is_counted(item):
                record = usage_items.usage_of(item)
                with suppress(Refused):  # it was counted or deleted in between
                    self._write_apart(partial(usage_items.count_old, record, self._keep_days))
                    counted += 1
        while sums := list(self._query(usage_items.summed_before(key_id, 0, until_ms))):
            for each in sums:
                with suppress(Refused):  # a function of 0.4 added to it, or another recount moved it
                    self._write_apart(partial(usage_items.move, each))
        return counted
