"""The table of keys, limits and usage, as the commands use it. All methods block."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from threading import Thread

from functions.shared import usage_items
from functions.shared.aws import Aws, AwsError
from functions.shared.dynamodb import Refused, unavailable
from functions.shared.items import Item
from functions.shared.keys import KeysUnavailable
from functions.shared.limits import Counts, Running, died
from functions.shared.usage import UsageRecord

from .stored_keys import StoredKeys

_PAGE = 1000
# How long AWS is waited for to name the caller.
_CALLER_WITHIN_S = 1.0


class KeyTable(StoredKeys):
    """Keys, and what they have used."""

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

    def recount(self, key_id: str, until_ms: int) -> int:
        """Add the records that no sum has yet to the sums, and move the sums of 0.4; return how many records.

        Each is done once, however often this is called, whatever requests come meanwhile.
        Raises: KeysUnavailable.
        """
        counted = 0
        for item in self._query(usage_items.used(key_id, 0, until_ms)):
            if not usage_items.is_counted(item):
                record = usage_items.usage_of(item)
                with suppress(Refused):  # it was counted or deleted in between
                    self._write_apart(partial(usage_items.count_old, record, self._keep_days))
                    counted += 1
        while list(map(self._move, self._query(usage_items.summed_before(key_id, 0, until_ms)))):
            pass  # a function of 0.4 may have added to one meanwhile
        return counted

    def caller(self) -> str | None:
        """Return AWS's name of the caller, as `assumed-role/Admin/alice`; None if a second does not yield it.

        No permission is needed for that.
        """
        found: list[str] = []

        def identify() -> None:
            with suppress(AwsError):
                identity = self._aws.service("sts").call("get_caller_identity")
                found.append(identity["Arn"].split(":", 5)[-1])

        thread = Thread(target=identify, name="caller", daemon=True)
        thread.start()
        thread.join(_CALLER_WITHIN_S)
        return found[0] if found else None

    def _move(self, sums: Item) -> None:
        with suppress(Refused):
            self._write_apart(partial(usage_items.move, sums))


def table_from_stack(stack: str, *, aws: Aws, endpoint_url: str | None = None) -> str:
    """Return the name of the table, from the output `KeysTable` of a CloudFormation stack.

    Raises: KeysUnavailable; with the text `OutputNotFound` where the stack has no such output.
    """
    service = aws.service("cloudformation", endpoint_url=endpoint_url)
    try:
        response = service.call("describe_stacks", StackName=stack)
    except AwsError as error:
        raise unavailable(error) from None
    for output in response["Stacks"][0].get("Outputs", ()):
        if output["OutputKey"] == "KeysTable":
            return str(output["OutputValue"])
    raise KeysUnavailable("OutputNotFound")
