"""The table of keys, limits and usage, in DynamoDB.

A question that got no answer is asked once more where that does no harm: what is read, kept under one name,
or only done on a condition comes to the same. A reservation that was made twice counts twice, which is to the
safe side; a settlement is never repeated unless it surely did not arrive.
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
from .items import Item, Question
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

# Arguments of create_table, but for the name.
TABLE = items.SCHEMA

_RACES = 4
_BATCH = 100
_REMEMBERED = 1000
_CONDITION = "ConditionalCheckFailedException"


class Table:
    """Keeps keys, counts and usage. Methods that are not async block: they are for the command line."""

    def __init__(self, name: str, *, aws: Aws | None = None, endpoint_url: str | None = None) -> None:
        self._name = name
        self._service = (aws or Aws()).service("dynamodb", endpoint_url=endpoint_url)
        # The newest window that was seen of each key: which of two questions to ask first.
        self._windows: dict[str, int] = {}

    def warm(self) -> None:
        """Begin to import boto3 and to make the client, in a thread."""
        self._service.warm()

    def close(self) -> None:
        """Close every connection."""
        self._service.close()

    async def key(self, digest: str) -> Key | None:
        """Return the key of this digest, or None.

        Raises: KeysUnavailable.
        """
        return await asyncio.to_thread(self._key, digest)

    async def reserve(self, key: Key, tokens: int, now: float) -> Reservation:
        """Let one request through and keep its tokens.

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
        """Keep a record; the same one twice is kept once.

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
            asked = {self._name: {"Keys": places[:_BATCH], "ConsistentRead": True}}
            answer = self._ask("batch_get_item", RequestItems=asked)
            left = answer["UnprocessedKeys"].get(self._name, {}).get("Keys", [])
            found += map(items.key_of, answer["Responses"][self._name])
            places = left + places[_BATCH:]
        return sorted(found, key=lambda key: (key.created_at, key.id))

    def find(self, key_id: str) -> Key | None:
        """Return the key of this id, or None.

        Raises: KeysUnavailable.
        """
        entry = self._get(items.listed_place(key_id))
        return self._key(items.digest_of(entry)) if entry else None

    def set_disabled(self, key_id: str, disabled: bool) -> Key | None:
        """Disable a key or let it in again; return it, or None.

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
        """Let a key in by another text only; return it, or None. What it used and may use stays.

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
        """Keep a record; the same one twice is kept once.

        Raises: KeysUnavailable.
        """
        self._ask("put_item", TableName=self._name, Item=items.usage_item(record))

    def _key(self, digest: str) -> Key | None:
        item = self._get(items.key_place(digest))
        return items.key_of(item) if item else None

    def _reserve(self, key: Key, tokens: int, now: float) -> Reservation:
        """Reserve in the window that is stored, if it is ours or newer, else begin ours.

        Which of the two is a guess beforehand, and a refusal tells. Windows never go back, so whoever lost
        the race about their turn has an answer at the third question.
        """
        if is_too_large(key, tokens):
            raise LimitReached("too_large", self._peek(key, now))
        window = window_of(now)
        begun = self._windows.get(key.id, 0) >= window
        for _ in range(_RACES):
            question = items.reserve_in_window if begun else items.reserve_in_new_window
            try:
                stored = items.counts_of(self._update(question(key, tokens, window)))
            except _Refused as refused:
                stored = items.counts_of(refused.item)
                counts = counts_in(window, stored)
                reached = limit_reached(key, counts, tokens)
                if reached:
                    raise LimitReached(reached, allowance_of(key, counts, now)) from None
                begun = stored == counts
            else:
                counts = counts_in(window, stored)
                self._remember(key.id, counts.window)
                allowance = allowance_of(key, counts, now)
                return Reservation(key_id=key.id, window=counts.window, tokens=tokens, allowance=allowance)
        raise KeysUnavailable(_CONDITION)

    def _remember(self, key_id: str, window: int) -> None:
        if len(self._windows) >= _REMEMBERED:
            self._windows.clear()
        self._windows[key_id] = window

    def _settle(self, reservation: Reservation, difference: int) -> None:
        try:
            self._update(items.settle_in_window(reservation, difference), idempotent=False)
        except _Refused:
            with suppress(_Refused):  # nothing is counted any more
                self._update(items.settle_after_window(reservation, difference), idempotent=False)

    def _peek(self, key: Key, now: float) -> Allowance:
        stored = items.counts_of(self._get(items.limits_place(key.id)))
        return allowance_of(key, counts_in(window_of(now), stored), now)

    def _get(self, place: Item) -> Item | None:
        answer = self._ask("get_item", TableName=self._name, Key=place, ConsistentRead=True)
        item: Item | None = answer.get("Item")
        return item

    def _query(self, question: Question) -> Iterator[Item]:
        page: Question = {}
        while True:
            answer = self._ask("query", TableName=self._name, ConsistentRead=True, **question, **page)
            yield from answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _update(self, question: Question, *, idempotent: bool = True) -> Item:
        answer = self._ask("update_item", idempotent=idempotent, TableName=self._name, **question)
        item: Item = answer["Attributes"]
        return item

    def _write_together(self, writes: list[Question]) -> None:
        named = [
            {kind: {"TableName": self._name, **write} for kind, write in each.items()} for each in writes
        ]
        # The token makes a repeated question the same one.
        self._ask("transact_write_items", TransactItems=named, ClientRequestToken=str(uuid.uuid4()))

    def _ask(self, operation: str, *, idempotent: bool = True, **question: Any) -> Any:
        try:
            return self._service.call(operation, idempotent=idempotent, **question)
        except AwsError as error:
            reasons = [reason.get("Code") for reason in error.response.get("CancellationReasons", ())]
            if error.code == _CONDITION or "ConditionalCheckFailed" in reasons:
                raise _Refused(error.response.get("Item")) from None
            raise _unavailable(error) from None


class _Refused(Exception):
    """A condition did not hold; `item` is what it was asked of, where that was told."""

    def __init__(self, item: Item | None) -> None:
        super().__init__()
        self.item = item


def table_from_stack(stack: str, *, aws: Aws, endpoint_url: str | None = None) -> str:
    """Return the name of the table, from the output `KeysTable` of a CloudFormation stack.

    Raises: KeysUnavailable; with the text `OutputNotFound` where the stack has no such output.
    """
    service = aws.service("cloudformation", endpoint_url=endpoint_url)
    try:
        answer = service.call("describe_stacks", StackName=stack)
    except AwsError as error:
        raise _unavailable(error) from None
    for output in answer["Stacks"][0].get("Outputs", ()):
        if output["OutputKey"] == "KeysTable":
            return str(output["OutputValue"])
    raise KeysUnavailable("OutputNotFound")


def _unavailable(error: AwsError) -> KeysUnavailable:
    logger.warning("AWS: %s", error.code)
    return KeysUnavailable(error.code)
