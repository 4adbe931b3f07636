"""Calls of one DynamoDB table, with our errors in place of AWS's.

A call that got no response is retried once, for every write has a condition that keeps it from being done
twice. Three exceptions err on the safe side: a request that counts without reserving, as a todo's, the sum
of refused requests, and the peek at them.
"""

from __future__ import annotations

import logging
import random
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import chain
from typing import Any, TypeVar

from .aws import THROTTLED, Aws, AwsError
from .boto import Boto
from .items import Item, Parameters
from .keys import KeysRefused, KeysUnavailable, KeyThrottled

logger = logging.getLogger("table")

CONDITION = "ConditionalCheckFailedException"
_CONFLICTS = 7
_BATCH = 100
# How many calls are made at a time where many are needed.
_AT_ONCE = 8
# Into so many parts sums are divided by conflicts, at most.
_PARTS = 32
# How long the second conflict with another transaction is waited for, at most; each further one longer.
_CONFLICT_S = 0.02
_IN_PROGRESS = "TransactionInProgressException"
_CONFLICT = ("TransactionConflict", "TransactionConflictException", _IN_PROGRESS)
_THROTTLED = (*THROTTLED, *_CONFLICT, "ThrottlingError", "ProvisionedThroughputExceeded", CONDITION)

Input = TypeVar("Input")
Output = TypeVar("Output")


class Refused(Exception):
    """A condition did not hold; `item` is the item that is stored, if the response has it."""

    def __init__(self, item: Item | None) -> None:
        super().__init__()
        self.item = item


class DynamoDb:
    """One table. Its calls block.

    Shape:  `aws`: None for boto3, with the settings of the environment.
    Raises: Refused; KeysUnavailable and its kinds.
    """

    def __init__(self, name: str, *, aws: Aws | None = None, endpoint_url: str | None = None) -> None:
        self._name, self._aws = name, aws or Aws(Boto())
        self._service = self._aws.service("dynamodb", endpoint_url=endpoint_url)

    def warm(self) -> None:
        """Open a connection, in a thread."""
        self._service.warm()

    def close(self) -> None:
        """Close all connections."""
        self._service.close()

    def _get(self, place: Item) -> Item | None:
        response = self._call("get_item", TableName=self._name, Key=place, ConsistentRead=True)
        item: Item | None = response.get("Item")
        return item

    def _get_all(self, places: list[Item]) -> Iterator[Item]:
        """Yield the items of these places that there are, in any order."""
        batches = [places[at : at + _BATCH] for at in range(0, len(places), _BATCH)]
        for items in in_parallel(self._get_batch, batches):
            yield from items

    def _get_batch(self, places: list[Item]) -> list[Item]:
        items: list[Item] = []
        while places:
            batch = {self._name: {"Keys": places, "ConsistentRead": True}}
            response = self._call("batch_get_item", RequestItems=batch)
            items += response["Responses"][self._name]
            places = response["UnprocessedKeys"].get(self._name, {}).get("Keys", [])
        return items

    def _query(self, query: Parameters) -> Iterator[Item]:
        return chain.from_iterable(self._pages(query))

    def _pages(self, query: Parameters) -> Iterator[list[Item]]:
        """Yield what each response to a query holds; some may be empty."""
        page: Parameters = {}
        while True:
            response = self._call("query", TableName=self._name, ConsistentRead=True, **query, **page)
            yield response["Items"]
            if "LastEvaluatedKey" not in response:
                return
            page = {"ExclusiveStartKey": response["LastEvaluatedKey"]}

    def _update(self, update: Parameters) -> Item:
        item: Item = self._call("update_item", TableName=self._name, **update)["Attributes"]
        return item

    def _write_together(self, writes: list[Parameters]) -> None:
        """Do all writes or none; a conflict with another transaction is waited for."""
        self._write_apart(lambda _: writes)

    def _write_apart(self, writes: Callable[[int], list[Parameters]]) -> None:
        """Do all writes of a part or none; those of another part after a conflict, as `_apart` has it."""
        # With the same token, a retry is the same write.
        tokens: dict[int, str] = {}

        def write(part: int) -> None:
            named = [
                {kind: {"TableName": self._name, **write} for kind, write in each.items()}
                for each in writes(part)
            ]
            token = tokens.setdefault(part, str(uuid.uuid4()))
            self._call("transact_write_items", TransactItems=named, ClientRequestToken=token)

        self._apart(write)

    def _apart(self, write: Callable[[int], object]) -> None:
        """Write part 0, and after a conflict with another transaction any other part, which is free."""
        part = 0
        for conflicts in range(_CONFLICTS):
            try:
                write(part)
            except KeyThrottled as error:
                if str(error) not in _CONFLICT or conflicts == _CONFLICTS - 1:
                    raise
                if str(error) != _IN_PROGRESS:
                    part = random.randrange(1, _PARTS)
                time.sleep(random.uniform(0, _CONFLICT_S * (2**conflicts - 1)))
            else:
                return

    def _call(self, operation: str, *, idempotent: bool = True, **parameters: Any) -> Any:
        try:
            return self._service.call(operation, idempotent=idempotent, **parameters)
        except AwsError as error:
            reasons = error.response.get("CancellationReasons", ())
            codes = [reason.get("Code") for reason in reasons if reason.get("Code") not in (None, "None")]
            if error.code == CONDITION:
                raise Refused(error.response.get("Item")) from None
            if "ConditionalCheckFailed" in codes:
                held = next((reason["Item"] for reason in reasons if "Item" in reason), None)
                raise Refused(held) from None
            raise unavailable(error, codes[0] if codes else error.code) from None


def in_parallel(work: Callable[[Input], Output], inputs: Iterable[Input]) -> Iterator[Output]:
    """Yield what some work makes of each input, in order; a few are worked on ahead, at a time."""
    ahead: deque[Future[Output]] = deque()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        try:
            for each in inputs:
                ahead.append(pool.submit(work, each))
                if len(ahead) > 2 * _AT_ONCE:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for left in ahead:
                left.cancel()


def unavailable(error: AwsError, code: str | None = None) -> KeysUnavailable:
    """Return what AWS's error means: this key is throttled, the call is refused, or nothing responds."""
    code = code or error.code
    logger.warning("AWS: %s", code)
    if code in _THROTTLED:
        return KeyThrottled(code)
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return KeysRefused(code) if 400 <= status < 500 else KeysUnavailable(code)
