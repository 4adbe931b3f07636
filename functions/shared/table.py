"""The table of keys, limits and usage, in DynamoDB.

A call that got no response is retried once where that is safe: reads, writes under one name and conditional
writes are idempotent. A reservation that is made twice counts twice, which errs on the safe side; a
settlement is retried only if it certainly did not arrive.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

from . import items
from .aws import Aws, AwsError
from .items import Item, Parameters
from .keys import Key, KeysUnavailable, KeyTaken
from .limits import (
    Allowance,
    LimitReached,
    Reservation,
    allowance_of,
    counts_in,
    is_too_large,
    limit_reached,
    uncounted,
    window_of,
)
from .usage import UsageRecord

logger = logging.getLogger("table")

_RACES = 4
_BATCH = 100
_REMEMBERED = 1000
_CONDITION = "ConditionalCheckFailedException"


class Table:
    """Keys, counts and usage. The methods that are not async block; they are for the keys command."""

    def __init__(self, name: str, *, aws: Aws | None = None, endpoint_url: str | None = None) -> None:
        self._name = name
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

    async def reserve(self, key: Key, tokens: int, now: float) -> Reservation:
        """Count one request and reserve its tokens.

        Raises: LimitReached; KeysUnavailable.
        """
        if not key.limited:
            return uncounted(key, tokens, now)
        return await asyncio.to_thread(self._reserve, key, tokens, now)

    async def settle(self, reservation: Reservation, tokens: int) -> None:
        """Count what was used instead of what was reserved. To be called once: a second call counts again.

        Raises: KeysUnavailable.
        """
        difference = tokens - reservation.tokens
        if reservation.counted and difference:
            await asyncio.to_thread(self._settle, reservation, difference)

    async def peek(self, key: Key, now: float) -> Allowance:
        """Return what a key may do, and use nothing of it.

        Raises: KeysUnavailable.
        """
        if not key.limited:
            return uncounted(key, 0, now).allowance
        return await asyncio.to_thread(self._peek, key, now)

    async def put(self, record: UsageRecord) -> None:
        """Keep a record. It is safe to retry: the same record is kept once.

        Raises: KeysUnavailable.
        """
        await asyncio.to_thread(self.put_usage, record)

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
        found: list[Key] = []
        while places:
            batch = {self._name: {"Keys": places[:_BATCH], "ConsistentRead": True}}
            response = self._call("batch_get_item", RequestItems=batch)
            unread = response["UnprocessedKeys"].get(self._name, {}).get("Keys", [])
            found += map(items.key_of, response["Responses"][self._name])
            places = unread + places[_BATCH:]
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

    def spent(self, key_id: str) -> int:
        """Return the tokens that a key has used and reserved since it was created.

        Raises: KeysUnavailable.
        """
        counts = items.counts_of(self._get(items.limits_place(key_id)))
        return counts.spent if counts else 0

    def usage(self, key_id: str, since_ms: int, until_ms: int) -> Iterator[UsageRecord]:
        """Yield what a key used from one time, up to but without another, the oldest first.

        Raises: KeysUnavailable.
        """
        yield from map(items.usage_of, self._query(items.used(key_id, since_ms, until_ms)))

    def put_usage(self, record: UsageRecord) -> None:
        """Keep a record. It is safe to retry: the same record is kept once.

        Raises: KeysUnavailable.
        """
        self._call("put_item", TableName=self._name, Item=items.usage_item(record))

    def _key(self, digest: str) -> Key | None:
        item = self._get(items.key_place(digest))
        return items.key_of(item) if item else None

    def _reserve(self, key: Key, tokens: int, now: float) -> Reservation:
        """Reserve in the window that is stored, if it is ours or newer, else begin ours.

        Which of the two it is can only be guessed; if the guess is wrong, the refusal holds what is stored.
        Windows never go back, so a call that lost the race for a new one succeeds at the third try.
        """
        if is_too_large(key, tokens):
            raise LimitReached("too_large", self._peek(key, now))
        window = window_of(now)
        begun = self._windows.get(key.id, 0) >= window
        for _ in range(_RACES):
            reserve = items.reserve_in_window if begun else items.reserve_in_new_window
            try:
                stored = items.counts_of(self._update(reserve(key, tokens, window)))
            except _Refused as refused:
                stored = items.counts_of(refused.item)
                counts = counts_in(window, stored)
                reached = limit_reached(key, counts, tokens)
                if reached:
                    raise LimitReached(reached, allowance_of(key, counts, now)) from None
                begun = stored == counts
            else:
                counts = counts_in(window, stored)
                if len(self._windows) >= _REMEMBERED:
                    self._windows.clear()
                self._windows[key.id] = counts.window
                allowance = allowance_of(key, counts, now)
                return Reservation(key_id=key.id, window=counts.window, tokens=tokens, allowance=allowance)
        raise KeysUnavailable(_CONDITION)

    def _settle(self, reservation: Reservation, difference: int) -> None:
        try:
            self._update(items.settle_in_window(reservation, difference), idempotent=False)
        except _Refused:
            with suppress(_Refused):  # the counts are gone
                self._update(items.settle_after_window(reservation, difference), idempotent=False)

    def _peek(self, key: Key, now: float) -> Allowance:
        stored = items.counts_of(self._get(items.limits_place(key.id)))
        return allowance_of(key, counts_in(window_of(now), stored), now)

    def _get(self, place: Item) -> Item | None:
        response = self._call("get_item", TableName=self._name, Key=place, ConsistentRead=True)
        item: Item | None = response.get("Item")
        return item

    def _query(self, query: Parameters) -> Iterator[Item]:
        page: Parameters = {}
        while True:
            response = self._call("query", TableName=self._name, ConsistentRead=True, **query, **page)
            yield from response["Items"]
            if "LastEvaluatedKey" not in response:
                return
            page = {"ExclusiveStartKey": response["LastEvaluatedKey"]}

    def _update(self, update: Parameters, *, idempotent: bool = True) -> Item:
        response = self._call("update_item", idempotent=idempotent, TableName=self._name, **update)
        item: Item = response["Attributes"]
        return item

    def _write_together(self, writes: list[Parameters]) -> None:
        named = [
            {kind: {"TableName": self._name, **write} for kind, write in each.items()} for each in writes
        ]
        # With the same token, a retry is the same write.
        self._call("transact_write_items", TransactItems=named, ClientRequestToken=str(uuid.uuid4()))

    def _call(self, operation: str, *, idempotent: bool = True, **parameters: Any) -> Any:
        try:
            return self._service.call(operation, idempotent=idempotent, **parameters)
        except AwsError as error:
            reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", ())]
            if error.code == _CONDITION or "ConditionalCheckFailed" in reasons:
                raise _Refused(error.response.get("Item")) from None
            raise _unavailable(error) from None


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


def _unavailable(error: AwsError) -> KeysUnavailable:
    logger.warning("AWS: %s", error.code)
    return KeysUnavailable(error.code)
