"""Transactions of moto's DynamoDB, without its copies of the whole table, one for each write.

Moto keeps a copy to go back to: at 5,000 items, that took 0.7 s. Here every condition is checked before
anything is written. Nothing comes in between, for the server handles one request at a time.
"""

import copy
from types import SimpleNamespace
from typing import Any

from moto.dynamodb import models
from moto.dynamodb.comparisons import get_filter_expression
from moto.dynamodb.exceptions import ConditionalCheckFailed, TransactionCanceledException
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.table import Table

_write = DynamoDBBackend.transact_write_items


def install() -> None:
    """Use these transactions in this process from now on."""
    setattr(DynamoDBBackend, "transact_write_items", _check_and_write)  # noqa: B010 - for its type
    setattr(models, "copy", SimpleNamespace(copy=copy.copy, deepcopy=_copy))  # noqa: B010 - as above


def _check_and_write(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    refusals: list[Any] = []
    for item in transact_items:
        (write,) = item.values()
        key = write.get("Key") or {name: write["Item"][name] for name in ("pk", "sk")}
        stored = self.get_item(write["TableName"], key)
        condition = get_filter_expression(
            write.get("ConditionExpression"),
            write.get("ExpressionAttributeNames"),
            write.get("ExpressionAttributeValues"),
        )
        if "ConditionExpression" not in write or condition.expr(stored):
            refusals.append((None, None, None))
            continue
        shown = stored if write.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" else None
        message = str(ConditionalCheckFailed().message)
        refusals.append(("ConditionalCheckFailed", message, shown and shown.to_json()["Attributes"]))
    if any(code for code, _, _ in refusals):
        raise TransactionCanceledException(refusals)
    _write(self, transact_items)


def _copy(value: Any) -> Any:
    """Return a table itself: nothing of a transaction is refused once it is written."""
    return value if isinstance(value, Table) else copy.deepcopy(value)
