"""The table of keys, limits and usage, in DynamoDB.

A call that got no response is retried once, for every write has a condition that keeps it from being done
twice. Three exceptions err on the safe side: a request that counts without reserving, as a todo's, the sum
of refused requests, and the peek at them.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from typing import Any

from . import items
from .aws import THROTTLED, Aws, AwsError
from .items import Item, Parameters
from .keys import Key, KeysRefused, KeysUnavailable, KeyTaken, KeyThrottled
from .limits import (
    Allowance,
    Counts,
    LimitReached,
    Reservation,
    Running,
    allowance_of,
    counts_in,
    died,
    limit_reached,
    never_fits,
    window_of,
)
from .usage import UsageRecord, UsageSum

logger = logging.getLogger("table")

_RACES = 4
_CONFLICTS = 7
_BATCH = 100
_PAGE = 1000
_REMEMBERED = 1000
# How many requests that have died are settled before another is let in.
_DEAD = 4
# How long a request is listed again whose record comes late.
_LISTED_S = 60
# How long the first conflict with another transaction is waited for, at most; each further one twice as long.
_CONFLICT_S = 0.02
_CONDITION = "ConditionalCheckFailedException"
_CONFLICT = ("TransactionConflict", "TransactionConflictException", "TransactionInProgressException")
_THROTTLED = (*THROTTLED, *_CONFLICT, "ThrottlingError", "ProvisionedThroughputExceeded", _CONDITION)


class Table:
    """Keys, counts and usage. The methods that are not async block; they are for the keys command."""

    def __init__(
        self,
        name: str,
        *,
        aws: Aws | None = None,
        endpoint_url: str | None = None,
        keep_records_days: int = items.KEEP_RECORDS_DAYS,
    ) -> None:
        self._name, self._keep_days = name, keep_records_days
        self._service = (aws or Aws()).service("dynamodb", endpoint_url=endpoint_url)
        # The newest window that was seen of each key: it decides which of two updates is tried first.
        self._windows: dict[str, int] = {}

    def warm(self) -> None:
        """Start to import boto3 and to make the client, in a thread."""
        self._service.warm()

    def close(self) -> None:
        """Close all connections."""
        self._service.close()

    async def key(self, digest: str) -> Key | None:
        """Return the key of this digest, or None.

        Raises: KeysUnavailable.
        """
        return await asyncio.to_thread(self._key, digest)

    async def reserve(self, key: Key, request: Running | None, now: float) -> Reservation:
        """Count one request, and reserve what it may use.

        Raises: LimitReached; KeysUnavailable and its kinds.
        """
        return await asyncio.to_thread(self._reserve, key, request, now)

    async def settle(self, record: UsageRecord, running: Running | None = None) -> None:
        """Keep a request's record, and count what was used instead of what was reserved, if it was.

        A refused request is counted, and leaves no record.
        Raises: KeysUnavailable and its kinds.
        """
        if record.outcome == "refused":
            update = {"TableName": self._name, **items.count(record)}
            await asyncio.to_thread(self._call, "update_item", idempotent=False, **update)
        else:
            await asyncio.to_thread(self.put_usage, record, running)

    async def peek(self, key: Key, now: float) -> Allowance:
        """Return what a key may do, and use nothing of it.

        Raises: KeysUnavailable and its kinds.
        """
        counts = await asyncio.to_thread(self.counts, key.id)
        return allowance_of(key, counts_in(window_of(now), counts), now)

    def add(self, key: Key) -> None:
        """Keep a new key.

        Raises: KeyTaken; KeysUnavailable.
        """
        try:
            self._write_together(items.additions(key))
        except _Refused:
            raise KeyTaken(f"There is a key with the id {key.id} or of the same text already.") from None

    def all_keys(self) -> list[Key]:
        """Return every key, the oldest first.

        Raises: KeysUnavailable.
        """
        places = [items.key_place(items.digest_of(entry)) for entry in self._query(items.listed())]
        found = map(items.key_of, self._get_all(places))
        return sorted(found, key=lambda key: (key.created_at, key.id))

    def find(self, key_id: str) -> Key | None:
        """Return the key of this id, or None.

        Raises: KeysUnavailable.
        """
        entry = self._get(items.listed_place(key_id))
        return self._key(items.digest_of(entry)) if entry else None

    def set_disabled(self, key_id: str, disabled: bool) -> Key | None:
        """Disable or enable a key; return it, or None.

        Raises: KeysUnavailable.
        """
        for _ in range(_RACES):
            key = self.find(key_id)
            if key is None:
                return None
            with suppress(_Refused):  # it was rotated in between
                return items.key_of(self._update(items.disable(key, disabled)))
        raise KeysUnavailable(_CONDITION)

    def rotate(self, key_id: str, new_digest: str, new_hint: str) -> Key | None:
        """Give a key another text; return it, or None. What it has used and its limits stay.

        Raises: KeyTaken; KeysUnavailable.
        """
        for _ in range(_RACES):
            old = self.find(key_id)
            if old is None:
                return None
            new = replace(old, digest=new_digest, hint=new_hint)
            with suppress(_Refused):  # it was disabled or rotated in between, or the text is taken
                self._write_together(items.replacements(old, new))
                return new
        raise KeyTaken("There is a key of this text already.")

    def counts(self, key_id: str) -> Counts | None:
        """Return what is counted of a key; None where nothing is yet.

        Raises: KeysUnavailable.
        """
        return items.counts_of(self._get(items.limits_place(key_id)))

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
            places = [items.usage_place(died(key_id, each)) for each in running.values()]
            recorded = {items.usage_of(item).request_id: item for item in self._get_all(places)}
            for request_id, item in recorded.items():
                if items.listing_of(item) == running[request_id].listing:
                    self._release(key_id, running[request_id], item)
            return [each for each in running.values() if each.request_id not in recorded]

    def usage(
        self, key_id: str, since_ms: int, until_ms: int, *, newest: int | None = None
    ) -> Iterator[UsageRecord]:
        """Yield a key's records from one time, up to but without another, the oldest first.

        Shape:  `newest`: only so many, the newest first.
        Raises: KeysUnavailable.
        """
        query = items.used(key_id, since_ms, until_ms)
        if newest is not None:
            query |= {"ScanIndexForward": False, "Limit": min(newest, _PAGE)}
        yield from islice(map(items.usage_of, self._query(query)), newest)

    def sums(self, key_id: str, since_ms: int, until_ms: int) -> Iterator[tuple[str, str, UsageSum]]:
        """Yield the day, the model and the sum of what a key used, of whole days of UTC.

        Raises: KeysUnavailable.
        """
        sums: dict[tuple[str, str], UsageSum] = {}
        for day, model, used in map(items.sum_of, self._query(items.summed(key_id, since_ms, until_ms))):
            sums.setdefault((day, model), UsageSum()).add(used)
        for (day, model), used in sorted(sums.items(), key=lambda each: each[0]):
            yield day, model, used

    def recount(self, key_id: str, until_ms: int) -> int:
        """Add the records that no sum has yet to the sums; return how many there were.

        Raises: KeysUnavailable.
        """
        counted = 0
        for item in self._query(items.used(key_id, 0, until_ms)):
            if not items.is_counted(item):
                with suppress(_Refused):  # it was counted or deleted in between
                    self._write_together(items.count_old(items.usage_of(item), days=self._keep_days))
                    counted += 1
        return counted

    def put_usage(self, record: UsageRecord, running: Running | None = None) -> None:
        """Keep a request's record, and count what was used; whatever is done already is not done again.

        A record in its place stays, unless it only holds what the request had reserved.
        Raises: KeysUnavailable.
        """
        for _ in range(_RACES):
            running = running or self._listed_again(record)
            if not running or self._settle(record, running):
                return
            running = None
        raise KeyThrottled(_CONDITION)

    def _key(self, digest: str) -> Key | None:
        item = self._get(items.key_place(digest))
        return items.key_of(item) if item else None

    def _reserve(self, key: Key, request: Running | None, now: float) -> Reservation:
        """Reserve in the window that is stored, if it is ours or newer, else begin ours.

        Which of the two it is can only be guessed; if the guess is wrong, the refusal holds what is stored.
        Windows never go back, so a call that lost the race for a new one succeeds at the third try.
        """
        if kind := never_fits(key, request):
            raise LimitReached(kind, allowance_of(key, counts_in(window_of(now), self.counts(key.id)), now))
        window, known = window_of(now), self._windows.get(key.id, 0)
        begun, window = known >= window, max(known, window)
        for _ in range(_RACES):
            reserve = items.reserve_in_window if begun else items.reserve_in_new_window
            try:
                stored = items.counts_of(self._update(reserve(key, request, window)))
            except _Refused as refused:
                stored = items.counts_of(refused.item)
                counts = counts_in(window, stored)
                if not (request and request.request_id in counts.running):
                    reached = limit_reached(key, counts, request)
                    if reached and not (reached == "concurrent" and self._bury(key.id, counts, now)):
                        raise LimitReached(reached, allowance_of(key, counts, now)) from None
                    begun, window = stored == counts, counts.window
                    continue
                # An earlier try has arrived, though its response has not.
            counts = counts_in(window, stored)
            if len(self._windows) >= _REMEMBERED:
                self._windows.clear()
            self._windows[key.id] = counts.window
            if request:  # without one it is the todo function, which may not write records
                with suppress(KeysUnavailable):
                    self._bury(key.id, counts, now)
            running = counts.running[request.request_id] if request else None
            return Reservation(allowance=allowance_of(key, counts, now), running=running)
        raise KeyThrottled(_CONDITION)

    def _bury(self, key_id: str, counts: Counts, now: float) -> list[Running]:
        """Settle requests that have died, as cut, and return them: a few at a time, for a caller waits."""
        dead = [each for each in counts.running.values() if each.expires_at <= now][:_DEAD]
        for each in dead:
            self._settle(died(key_id, each), each, assumed=True)
        return dead

    def _listed_again(self, record: UsageRecord) -> Running | None:
        """Return a request as running, listed again if need be, without reserving anything for it.

        So its record can be kept, and its tokens counted, each once. None if its record is true already.
        """
        counts = self.counts(record.key_id)
        listed = counts.running.get(record.request_id) if counts else None
        stored = self._get(items.usage_place(record))
        if stored and items.is_assumed(stored) and listed:
            self._release(record.key_id, listed, stored)
        elif stored and not items.is_assumed(stored):
            if listed:
                self._release(record.key_id, listed, stored)
            return None
        elif listed:
            return listed
        running = Running(
            request_id=record.request_id,
            model=record.model,
            tokens=0,
            most=items.usage_of(stored).tokens if stored else 0,
            prompt=0,
            started_at=record.started_at,
            expires_at=int(time.time()) + _LISTED_S,
            window=-1,
            listing=random.getrandbits(48),
        )
        try:
            self._update(items.list_again(record.key_id, running))
        except _Refused:
            raise KeyThrottled(_CONDITION) from None  # another writes the same record just now
        return running

    def _settle(self, record: UsageRecord, running: Running, *, assumed: bool = False) -> bool:
        """Keep a record, unless there is one in its place; count its tokens instead of those reserved.

        Shape:  `assumed`: it holds what was reserved, for want of the truth; the record of a request that is
                listed again replaces such one. Returns whether the record in its place is true now.
        """
        stored: Item | None = None
        for _ in range(_RACES):
            instead_of = items.usage_of(stored) if stored else None
            writes = items.keep(record, running, self._keep_days, assumed=assumed, instead_of=instead_of)
            try:
                self._write_together(writes)
            except _Refused as refused:
                stored = refused.item
                if stored and (assumed or not running.listing or not items.is_assumed(stored)):
                    break
            else:
                stored = writes[0]["Put"]["Item"]
                break
        else:
            raise KeyThrottled(_CONDITION)
        assert stored
        self._release(record.key_id, running, stored)
        return not items.is_assumed(stored)

    def _release(self, key_id: str, running: Running, stored: Item) -> None:
        """Count the tokens of a request's record if it was kept for this listing; others are counted."""
        used = items.usage_of(stored).tokens if items.listing_of(stored) == running.listing else running.most
        in_window = self._windows.get(key_id, 0) <= running.window
        for _ in range(_RACES):
            try:
                self._update(items.release(key_id, running, used, in_window=in_window))
            except _Refused as refused:
                counts = items.counts_of(refused.item)
                if not counts or counts.running.get(running.request_id) != running:
                    return  # another has released it
                in_window = counts.window == running.window
            else:
                return
        raise KeyThrottled(_CONDITION)

    def _get(self, place: Item) -> Item | None:
        response = self._call("get_item", TableName=self._name, Key=place, ConsistentRead=True)
        item: Item | None = response.get("Item")
        return item

    def _get_all(self, places: list[Item]) -> Iterator[Item]:
        while places:
            batch = {self._name: {"Keys": places[:_BATCH], "ConsistentRead": True}}
            response = self._call("batch_get_item", RequestItems=batch)
            yield from response["Responses"][self._name]
            unread = response["UnprocessedKeys"].get(self._name, {}).get("Keys", [])
            places = unread + places[_BATCH:]

    def _query(self, query: Parameters) -> Iterator[Item]:
        page: Parameters = {}
        while True:
            response = self._call("query", TableName=self._name, ConsistentRead=True, **query, **page)
            yield from response["Items"]
            if "LastEvaluatedKey" not in response:
                return
            page = {"ExclusiveStartKey": response["LastEvaluatedKey"]}

    def _update(self, update: Parameters) -> Item:
        item: Item = self._call("update_item", TableName=self._name, **update)["Attributes"]
        return item

    def _write_together(self, writes: list[Parameters]) -> None:
        """Do all writes or none; a conflict with another transaction is waited for."""
        named = [
            {kind: {"TableName": self._name, **write} for kind, write in each.items()} for each in writes
        ]
        # With the same token, a retry is the same write.
        token = str(uuid.uuid4())
        for conflicts in range(_CONFLICTS):
            try:
                self._call("transact_write_items", TransactItems=named, ClientRequestToken=token)
            except KeyThrottled as error:
                if str(error) not in _CONFLICT or conflicts == _CONFLICTS - 1:
                    raise
                time.sleep(random.uniform(0, _CONFLICT_S * 2**conflicts))
            else:
                return

    def _call(self, operation: str, *, idempotent: bool = True, **parameters: Any) -> Any:
        try:
            return self._service.call(operation, idempotent=idempotent, **parameters)
        except AwsError as error:
            reasons = error.response.get("CancellationReasons", ())
            codes = [reason.get("Code") for reason in reasons if reason.get("Code") not in (None, "None")]
            if error.code == _CONDITION:
                raise _Refused(error.response.get("Item")) from None
            if "ConditionalCheckFailed" in codes:
                held = next((reason["Item"] for reason in reasons if "Item" in reason), None)
                raise _Refused(held) from None
            raise _unavailable(error, codes[0] if codes else error.code) from None


class _Refused(Exception):
    """A condition did not hold; `item` is the item that is stored, if the response has it."""

    def __init__(self, item: Item | None) -> None:
        super().__init__()
        self.item = item


def table_from_stack(stack: str, *, aws: Aws, endpoint_url: str | None = None) -> str:
    """Return the name of the table, from the output `KeysTable` of a CloudFormation stack.

    Raises: KeysUnavailable; with the text `OutputNotFound` where the stack has no such output.
    """
    service = aws.service("cloudformation", endpoint_url=endpoint_url)
    try:
        response = service.call("describe_stacks", StackName=stack)
    except AwsError as error:
        raise _unavailable(error) from None
    for output in response["Stacks"][0].get("Outputs", ()):
        if output["OutputKey"] == "KeysTable":
            return str(output["OutputValue"])
    raise KeysUnavailable("OutputNotFound")


def _unavailable(error: AwsError, code: str | None = None) -> KeysUnavailable:
    """Return what an error means: this key is throttled, the call is refused, or there is no response."""
    code = code or error.code
    logger.warning("AWS: %s", code)
    if code in _THROTTLED:
        return KeyThrottled(code)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return KeysRefused(code) if 400 <= status < 500 else KeysUnavailable(code)
