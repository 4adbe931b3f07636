"""What a generated client's pydantic models say of the schema's models."""

from __future__ import annotations

import datetime as dt
import sys
import types
from decimal import Decimal
from enum import Enum
from json.encoder import encode_basestring_ascii as quote
from typing import Any, ClassVar, NamedTuple, Protocol, Union, get_args, get_origin
from weakref import WeakKeyDictionary

Class = type[Any]


class Call(Protocol):
    """A call of a generated client: what is used of its `QueryBuilder`."""

    method: Any
    method_format: str
    model: Any
    arguments: dict[str, Any]
    include: dict[str, Any] | None
    root_selection: list[str] | None

    def get_default_fields(self, model: Class) -> list[str]: ...
    def get_relational_model(self, current_model: Class, field: str) -> Class: ...


class Field(NamedTuple):
    """Shape: `kind` is "Relation", "Enum", "DateTime", "Decimal", or empty for other scalars."""

    kind: str
    is_list: bool


class Model:
    """A model, with the fields that one pydantic model has of it."""

    _known: ClassVar[WeakKeyDictionary[Class, Model]] = WeakKeyDictionary()

    def __init__(self, call: Call, model: Class) -> None:
        client = sys.modules[type(call).__module__]
        self.name: str = model.__prisma_model__
        self.fields = {
            name: _field(client.model_field_type(each)) for name, each in client.model_fields(model).items()
        }
        # As the client does: it refuses models that it does not know, and references that are not resolved.
        self.selected = ",".join(f"{quote(name)}:true" for name in call.get_default_fields(model))
        self._class = model

    @classmethod
    def of(cls, call: Call, model: Class) -> Model:
        found = cls._known.get(model)
        if found is None:
            found = cls._known[model] = cls(call, model)
        return found

    def related(self, call: Call, field: str) -> Model:
        """Return the model that a relation leads to. Raises: the client's UnknownRelationalFieldError."""
        return self.of(call, call.get_relational_model(self._class, field))


def _field(annotation: Any) -> Field:
    if get_origin(annotation) in (Union, types.UnionType):
        annotation = next(each for each in get_args(annotation) if each is not type(None))
    is_list = get_origin(annotation) is list
    item = get_args(annotation)[0] if is_list else annotation
    if hasattr(item, "__prisma_model__"):
        return Field("Relation", is_list)
    if isinstance(item, type) and issubclass(item, Enum):
        return Field("Enum", is_list)
    return Field({dt.datetime: "DateTime", Decimal: "Decimal"}.get(item, ""), is_list)
