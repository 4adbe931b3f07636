"""From the arguments of Prisma Client Python's calls to Prisma's JSON protocol, values apart from the shape.

A request's shape is what the compiler has to see: fields, operators, orders, nulls, and how long lists of records
are. The values are put in its place by name (`%1`), so that one plan does for all of them.
"""

from __future__ import annotations

import datetime as dt
import json
import re
from decimal import Decimal
from enum import Enum
from typing import Any, NamedTuple

from .instants import Beyond

# What the compiler must see itself: it makes other SQL of each.
_STRUCTURE = frozenset(
    {"orderBy", "distinct", "by", "mode", "sort", "nulls", "skipDuplicates", "isEmpty", "isSet"}
)
# Whose lists of values may be parameters; a list that a new record gets may not.
_LISTS = frozenset({"in", "notIn", "hasSome", "hasEvery", "set", "push", "equals"})
_MAX_INT = 2**31
# A page's size and offset become parts of the plan as they are. Numbers that nobody asks for are compiled in
# their stead, and looked for in the plan.
_PAGE = {"take": 2_000_000_011, "skip": 2_000_000_029}
_NESTED = re.compile(r"(\w+)\s*\{([^}]*)\}")
_ACTION = re.compile(
    r"(createMany|updateMany|deleteMany|createOne|updateOne|deleteOne|upsertOne|findUnique|findFirst"
    r"|findMany|aggregate|groupBy)\{model\}(OrThrow)?"
)

Path = tuple[str | int, ...]


class Request(NamedTuple):
    """Shape: `body` is the request in Prisma's JSON protocol; `values` are its values by name."""

    body: dict[str, Any]
    values: dict[str, Any]
    pages: dict[str, int]  # the numbers in the body that stand for pages' sizes and offsets
    typed: bool  # whether the result becomes models, which parse Python's own values

    @property
    def key(self) -> str:
        return json.dumps(self.body, separators=(",", ":"))


def enum_fields(datamodel: str) -> frozenset[str]:
    """Return the names of fields whose values the compiler must see: those of enums."""
    enums = "|".join(re.findall(r"^\s*enum\s+(\w+)", datamodel, re.MULTILINE))
    found = re.findall(rf"^\s*(\w+)\s+(?:{enums})\b", datamodel, re.MULTILINE) if enums else []
    return frozenset(found) - {"enum"}


def request(
    builder: Any, literal: frozenset[Path] | None = frozenset(), enums: frozenset[str] = frozenset()
) -> Request:
    """Shape a call. `literal` names the values that stay in the request; None, all of them."""
    shaper = _Shaper(literal, _STRUCTURE | enums, reuse=builder.method == "upsert")
    model = builder.model
    match = _ACTION.fullmatch(builder.method_format)
    assert match, builder.method_format
    selection = _selection(builder, model, builder.include, builder.root_selection, shaper)
    body = {
        "modelName": model.__prisma_model__,
        "action": match[1] + (match[2] or ""),
        "query": {"arguments": shaper.arguments(builder.arguments), "selection": selection},
    }
    return Request(body, shaper.values, shaper.pages, builder.root_selection is None)


def _selection(
    builder: Any, model: Any, include: Any, root: list[str] | None, shaper: _Shaper
) -> dict[str, Any]:
    selected: dict[str, Any] = {}
    if root is not None:
        for text in root:
            nested = _NESTED.fullmatch(text.strip())
            if nested:
                selected[nested[1]] = {"arguments": {}, "selection": dict.fromkeys(nested[2].split(), True)}
            else:
                selected[text] = True
    else:
        selected = dict.fromkeys(_default_fields(builder, model), True)
    for name, wanted in (include or {}).items():
        if wanted is False:
            continue
        arguments = {} if wanted is True else dict(wanted)
        nested_include = arguments.pop("include", None)
        related = builder.get_relational_model(current_model=model, field=name)
        inner = _selection(builder, related, nested_include, None, shaper)
        selected[name] = {"arguments": shaper.arguments(arguments, (name,)), "selection": inner}
    return selected


_FIELDS: dict[Any, list[str]] = {}


def _default_fields(builder: Any, model: Any) -> list[str]:
    found = _FIELDS.get(model)
    if found is None:
        found = _FIELDS[model] = builder.get_default_fields(model)
    return found


class _Shaper:
    def __init__(self, literal: frozenset[Path] | None, structure: frozenset[str], *, reuse: bool) -> None:
        self.values: dict[str, Any] = {}
        self.pages: dict[str, int] = {}
        self._literal, self._structure, self._names = literal, structure, {} if reuse else None

    def arguments(self, arguments: dict[str, Any], path: Path = ()) -> dict[str, Any]:
        shaped = {}
        for key, value in arguments.items():
            if value is None:
                continue
            if key in _PAGE and self._literal is not None and type(value) is int and value > 0:
                name = f"%{key}{len(self.pages)}"
                self.values[name] = value
                self.pages[name] = shaped[key] = _PAGE[key] + 64 * len(self.pages)
            else:
                shaped[key] = self._value(value, (*path, key), key in self._structure)
        return shaped

    def _value(self, value: Any, path: Path, literal: bool) -> Any:
        if isinstance(value, dict):
            return {k: self._value(v, (*path, k), literal or k in self._structure) for k, v in value.items()}
        if isinstance(value, (list, tuple, set)):
            items = list(value)
            if (
                items
                and not literal
                and path[-1] in _LISTS
                and not self._stays(path)
                and not any(isinstance(each, (dict, list, tuple, Enum)) or each is None for each in items)
            ):
                kinds = {_kind(each) for each in items}
                # A parameter of type Json is one document, whatever it is compared with.
                if len(kinds) == 1 and "Json" not in kinds:
                    return self._parameter(
                        {"type": "List", "inner": {"type": kinds.pop()}}, [_raw(i) for i in items]
                    )
            return [
                self._value(each, (*path, index), literal or not isinstance(each, dict))
                for index, each in enumerate(items)
            ]
        if value is None or literal or isinstance(value, Enum) or self._stays(path):
            return _tagged(value)
        return self._parameter({"type": _kind(value)}, _raw(value))

    def _stays(self, path: Path) -> bool:
        return self._literal is None or path in self._literal

    def _parameter(self, kind: dict[str, Any], value: Any) -> dict[str, Any]:
        name = f"%{len(self.values)}"
        if self._names is not None:
            name = self._names.setdefault((str(kind), repr(value)), name)
        self.values[name] = value
        return {"$type": "Param", "value": {"name": name, **kind}}


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "Boolean"
    if isinstance(value, int):
        return "Int" if -_MAX_INT <= value < _MAX_INT else "BigInt"
    if isinstance(value, (float, Decimal)):
        return "Float"
    if isinstance(value, dt.datetime):
        return "DateTime"
    name = type(value).__name__
    return {"Json": "Json", "Base64": "Bytes"}.get(name, "String")


def _raw(value: Any) -> Any:
    """Return what the driver is given, which knows the column's type."""
    if isinstance(value, dt.datetime) and not isinstance(value, Beyond):
        utc = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
        return utc.replace(microsecond=utc.microsecond // 1000 * 1000)
    name = type(value).__name__
    if name == "Json":
        return _json(value)
    return str(value) if name == "Base64" else value


def _tagged(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, (str, bool)) or value is None:
        return value
    if isinstance(value, float):
        # The compiler keeps 16 digits of a number; 17 may be needed.
        return {"$type": "Decimal", "value": repr(value)} if value != float(f"{value:.15g}") else value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else {"$type": "BigInt", "value": str(value)}
    raw, kind = _raw(value), _kind(value)
    if isinstance(value, Decimal):
        return {"$type": "Decimal", "value": str(value)}
    return (
        {"$type": kind, "value": raw.isoformat() if kind == "DateTime" else raw}
        if kind != "String"
        else str(value)
    )


def _json(value: Any) -> str:
    from prisma._builder import dumps

    return dumps(value.data)
