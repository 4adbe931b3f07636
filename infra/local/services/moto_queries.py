"""Reads of moto's DynamoDB, without its search of the whole table and its conversion of each value.

Moto sorts all items of a table for every query, copies those it returns, and looks each of their values up in
the model of the service: 0.5 ms an item. Here a query reads its partition alone, and attributes are sent as
they are, for they are kept in the form in which they are sent. Nothing writes to them until then, for the
server handles one request at a time.
"""

from typing import Any

from moto.core.serialize import BaseJSONSerializer
from moto.dynamodb import responses
from moto.dynamodb.comparisons import get_comparison_func
from moto.dynamodb.models import DynamoDBBackend, utilities
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict
from moto.dynamodb.models.table import RESULT_SIZE_LIMIT

_query = DynamoDBBackend.query
_to_dict = utilities.dynamo_to_dict
_serialize_map = BaseJSONSerializer._serialize_type_map
# Binary values, lists and maps are left to moto.
_PLAIN = frozenset(("S", "N", "BOOL", "NULL", "SS", "NS"))
_Page = tuple[list[Item], int, dict[str, Any] | None]


class _Wire(dict[str, Any]):
    """The attributes of an item as they are sent."""


def install() -> None:
    """Use these reads in this process from now on."""
    setattr(DynamoDBBackend, "query", _query_partition)  # noqa: B010 - for its type, as below
    setattr(utilities, "dynamo_to_dict", _attributes)  # noqa: B010
    setattr(responses, "dynamo_to_dict", _attributes)  # noqa: B010
    setattr(BaseJSONSerializer, "_serialize_type_map", _send)  # noqa: B010


def _query_partition(
    self: DynamoDBBackend,
    table_name: str,
    hash_key_dict: dict[str, Any],
    range_comparison: str | None,
    range_value_dicts: list[dict[str, Any]],
    limit: int | None,
    exclusive_start_key: dict[str, Any] | None,
    scan_index_forward: bool,
    projection_expressions: Any,
    **more: Any,
) -> _Page:
    table = self.get_table(table_name)
    if (
        projection_expressions
        or more["index_name"]
        or more["filter_expression"]
        or table.range_key_attr != "sk"
    ):
        where = (hash_key_dict, range_comparison, range_value_dicts, limit, exclusive_start_key)
        return _query(self, table_name, *where, scan_index_forward, projection_expressions, **more)  # type: ignore[arg-type]
    partition: dict[Any, Item] = table.items.get(DynamoType(hash_key_dict), {})
    found = [(str(item.range_key.value), item) for item in partition.values() if item.range_key]
    if range_comparison:
        matches, wanted = get_comparison_func(range_comparison), [each["S"] for each in range_value_dicts]
        found = [each for each in found if matches(each[0], *wanted)]
    found.sort(key=lambda each: each[0], reverse=not scan_index_forward)
    if exclusive_start_key:
        last = exclusive_start_key["sk"]["S"]
        found = [each for each in found if (each[0] > last if scan_index_forward else each[0] < last)]
    return _page([item for _, item in found], limit)


def _page(items: list[Item], limit: int | None) -> _Page:
    """Return as many items as one response holds, and the key of the last one if there are more."""
    size = 0
    for at, item in enumerate(items):
        size += sum(map(len, item.attrs)) + sum([len(str(each.value)) for each in item.attrs.values()])
        if at == limit or (at and size > RESULT_SIZE_LIMIT):
            before = items[at - 1]
            last = {name: before.attrs[name] for name in ("pk", "sk")}
            return items[:at], at, last
    return items, len(items), None


def _attributes(value: Any) -> Any:
    if not isinstance(value, LimitedSizeDict):
        return _to_dict(value)
    wire = _Wire()
    for name, each in value.items():
        if each.type not in _PLAIN:
            return _to_dict(value)
        wire[name] = {each.type: each.value}
    return wire


def _send(self: BaseJSONSerializer, serialized: Any, value: Any, shape: Any, key: str) -> None:
    if type(value) is _Wire:
        self._default_serialize(serialized, value, shape, key)
    else:
        _serialize_map(self, serialized, value, shape, key)
