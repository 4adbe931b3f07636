"""How values are stored in the table, and the layout of its items: each is read by its whole primary key.

pk                   sk                             holds
key#<digest>         key                            the key; of a replaced text, a copy with `moved_to`
keys                 <key id>                       its digest, name, replaced texts; keys are listed by these
history#<key id>     <UTC, to the ms>#<change id>   a change of the key: who, when, what; no text, no digest
id#<key id>          limits                         window, requests, tokens, requests_before, tokens_before,
                                                    spent, running; day, spent_day and so on, by kind of
                                                    period; used_at, if it is not counted; for each request
                                                    that is running run#<its id> and more#<its id>; outlives
                                                    a rotation
usage#<key id>       <UTC, to the ms>#<request id>  a usage record; `ttl` is when DynamoDB may delete it
sums#<UTC day>#<n>   <key id>#<model>#<part>        sums of a day's records; n: the key id's CRC-32, modulo 4
usage#<key id>#sums  <UTC day>#<part>#<model>       the same, as 0.4 stored them

The chat function reads `key#`, reads and writes `id#`, `usage#` and `sums#`; the todo function reads `key#`
and reads and writes `id#`. Only the keys command writes `key#` and uses `keys`.

A request reserves in one update, of `run#` and of what is counted. It is settled in two steps: its record is
written with the sums, in one transaction, if there is none yet; then its `run#` is removed and `spent`
corrected, in one update, if it is still there. So each step is done once, however often it is tried.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

from .keys import Key
from .usage import UsageRecord

Item = dict[str, dict[str, Any]]
Parameters = dict[str, Any]

# The arguments of create_table, without the name.
SCHEMA: dict[str, Any] = {
    "KeySchema": [
        {"AttributeName": "pk", "KeyType": "HASH"},
        {"AttributeName": "sk", "KeyType": "RANGE"},
    ],
    "AttributeDefinitions": [
        {"AttributeName": "pk", "AttributeType": "S"},
        {"AttributeName": "sk", "AttributeType": "S"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
_END_OF_9999 = 253402300799999


def instant(epoch_ms: int) -> str:
    """Return a time as text that sorts by time."""
    epoch_ms = min(max(epoch_ms, 0), _END_OF_9999)
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch_ms)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{epoch_ms % 1000:03d}Z"


def query(condition: str, values: dict[str, Any]) -> Parameters:
    """Return the query for the items that meet a condition."""
    return {"KeyConditionExpression": condition, "ExpressionAttributeValues": item_of(values)}


def members(record: Key | UsageRecord) -> dict[str, Any]:
    """Return the values of a record by their names."""
    return {each.name: getattr(record, each.name) for each in fields(record)}


def item_of(values: dict[str, Any]) -> Item:
    """Return the attributes of these values; None and what is empty are left out."""
    return {name: attribute_of(value) for name, value in values.items() if value not in (None, frozenset())}


def attribute_of(value: Any) -> dict[str, Any]:
    """Return the attribute of a value."""
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    return {"SS": sorted(value)} if isinstance(value, frozenset) else {"S": value}


def values_of(item: Item) -> dict[str, Any]:
    """Return the values of an item's attributes."""
    return {name: _value(*attribute.items()) for name, attribute in item.items()}


def _value(typed: tuple[str, Any]) -> Any:
    kind, value = typed
    if kind != "N":
        return value
    return int(value) if value.lstrip("-").isdecimal() else float(value)
