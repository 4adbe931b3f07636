"""Faster reads of moto's DynamoDB in the process of a test, which gets moto's own back."""

from typing import Any

import pytest
from moto.core.serialize import (
    AttributePickerContext,
    BaseJSONSerializer,
    ResponseSerializer,
    XFormedAttributePicker,
)
from moto.dynamodb import responses
from moto.dynamodb.models import DynamoDBBackend, utilities

from infra.local.services import moto_queries

_get_value_of_moto = ResponseSerializer.get_value


def keep_reads_of_moto(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have what `moto_queries.install` replaces put back after the test."""
    for owner, name in (
        (DynamoDBBackend, "query"),
        (utilities, "dynamo_to_dict"),
        (responses, "dynamo_to_dict"),
        (BaseJSONSerializer, "_serialize_type_map"),
    ):
        monkeypatch.setattr(owner, name, getattr(owner, name))


def read_moto_fast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as `make run` does, and find the members of a response by names that are found out once.

    Moto works out for each member of each response by which names it might be called: a third of its time.
    """
    keep_reads_of_moto(monkeypatch)
    moto_queries.install()
    monkeypatch.setattr(ResponseSerializer, "get_value", _get_value)


def _get_value(self: ResponseSerializer, value: Any, key: str, shape: Any) -> Any:
    """Return what moto's own does; in a dict, the names to try depend on the member's shape alone."""
    pick = self._value_picker
    if type(value) is not dict or not isinstance(pick, XFormedAttributePicker) or pick.response_transformers:
        return _get_value_of_moto(self, value, key, shape)
    if key in value:
        return value[key]
    names: dict[str, tuple[str, ...]] = shape.__dict__.setdefault("possible_names", {})
    if key not in names:
        names[key] = tuple(pick.get_possible_keys(AttributePickerContext(obj=value, key=key, shape=shape)))
    return next((value[name] for name in names[key] if name in value), None)
