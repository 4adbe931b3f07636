"""The calls of Prisma Client Python as requests of Prisma's JSON protocol, with the values beside the text.

A request's text is what is compiled and what plans are kept by: fields, operators, orders, nulls. Values have
names in it (`%0`, in the order of writing), so that one plan serves all of them. In some places the compiler
refuses parameters: the request is then written again, with those values in its text.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import sys
from collections.abc import Mapping
from contextlib import suppress
from copy import copy
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quote
from typing import Any, NamedTuple

from .errors import UserError
from .generators import as_list
from .models import Call, Field, Model
from .values import Beyond

# What the compiler makes other SQL of: arguments of a call or of an include, and operators.
_LITERAL_ARGUMENTS = frozenset({"orderBy", "distinct", "by", "skipDuplicates"})
_LITERAL_OPERATORS = frozenset({"mode", "isEmpty", "isSet", "skipDuplicates", "disconnect", "delete"})
# A list of these is one parameter.
_LIST_OPERATORS = frozenset({"in", "notIn", "hasSome", "hasEvery", "equals", "set", "push"})
# A page's size and offset become parts of the plan as they are: numbers that no caller uses are compiled in
# their place, and `plans.with_pages` puts parameters where the plan has them.
_PAGE = {"take": 2_000_000_011, "skip": 2_000_000_029}
_PAGE_STEP = 64
_WIDTHS = ("Int", "BigInt", "Float")
_KINDS: dict[type, str] = {bool: "Boolean", float: "Float", Decimal: "Float", type(None): "Null"}
_SELECTION = re.compile(r"(\w+) \{ ([^}]*) \}")
_PARAMETER = re.compile(r'"\$type": "Param", "value": \{"name": "(%\d+)"')
# The compiler takes 2.5 ms for a row.
_MOST_ROWS = 64
_INT, _SAFE_INTEGER = 2**31, 2**53


class Request(NamedTuple):
    """A call. Shape: `values` by the names that `text` has for them; `pages` are numbers in it, by name."""

    text: str
    values: dict[str, Any]
    pages: dict[str, int]
    typed: bool  # the result becomes models, which take Python's own values


def request(call: Call, literal: frozenset[str] | None = frozenset()) -> Request:
    """Write a call's request. `literal` names the values that stay in its text; None, all of them.

    Raises: the client's errors, and TypeError, as its own `build` does.
    """
    writer = _Writer(call, literal)
    model = Model.of(call, call.model)
    query = writer.query(call.arguments, model, call.include, call.root_selection)
    action = call.method_format.replace("{model}", "")
    text = f'{{"modelName":{quote(model.name)},"action":"{action}","query":{query}}}'
    if any(text.count(str(number)) > 1 for number in writer.pages.values()):
        return request(call, None if literal is None else literal | writer.pages.keys())
    return Request(text, writer.values, writer.pages, call.root_selection is None)


def split(call: Call) -> list[Call]:
    """Return a `create_many` as parts of 64 rows, 32, 16 and so on: plans are for a number of rows."""
    rows = call.arguments.get("data")
    if call.method != "create_many" or not isinstance(rows, list):
        return [call]
    parts: list[Call] = []
    start = 0
    while start < len(rows):
        size = min(_MOST_ROWS, 1 << (len(rows) - start).bit_length() - 1)
        parts.append(copy(call))
        parts[-1].arguments = {**call.arguments, "data": rows[start : start + size]}
        start += size
    return parts or [call]


def refused(text: str, meta: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the parameters at the places that a compiler's error is about."""
    found: set[str] = set()
    for error in meta.get("errors", [meta]):
        if "errors" in error:
            found |= refused(text, error)
        elif "argumentPath" in error:
            selected = json.loads(text)["query"]
            for name in error.get("selectionPath", [])[1:]:
                selected = selected["selection"][name]
            places = [selected["arguments"]]
            for name in error["argumentPath"]:  # which has no places in lists
                below = [each for place in places for each in as_list(place) if isinstance(each, dict)]
                places = [each if "$type" in each else each.get(name) for each in below]
            found.update(_PARAMETER.findall(json.dumps(places)))
    return frozenset(found)


def driver_value(value: Any, call: Call) -> Any:
    """Return what the driver takes for a raw query's value; it fits it to the type that Postgres names."""
    if isinstance(value, (list, tuple)):
        return [driver_value(each, call) for each in value]
    return value if isinstance(value, dict) else _typed(value, "", call)[1]


class _Writer:
    def __init__(self, call: Call, literal: frozenset[str] | None) -> None:
        self.values: dict[str, Any] = {}
        self.pages: dict[str, int] = {}
        self._call, self._literal, self._count = call, literal, 0
        # The compiler compares an upsert's values by their names, to choose a native one.
        self._names: dict[tuple[str, str], str] | None = {} if call.method == "upsert" else None

    def query(
        self, arguments: Mapping[str, Any], model: Model, include: Any, root: list[str] | None = None
    ) -> str:
        """Write the arguments and the selection of a call, or of a relation in one."""
        written = []
        for name, value in arguments.items():
            if value is None or name == "include":
                continue
            if name in _PAGE:
                text = self._page(name, value)
            elif name in _LITERAL_ARGUMENTS:
                text = _in_text(value, self._call)
            else:
                text = self._value(value, model, None, name)
            written.append(_key(name) + text)
        selected = [model.selected] if root is None else [_selected(each) for each in root]
        for name, wanted in (include or {}).items():
            if wanted is True:
                wanted = {}
            elif wanted is False:
                continue
            elif not isinstance(wanted, dict):
                raise TypeError(f"Expected `bool` or `dict` include value but got {type(wanted)} instead.")
            related = model.related(self._call, name)
            selected.append(_key(name) + self.query(wanted, related, wanted.get("include")))
        return f'{{"arguments":{{{",".join(written)}}},"selection":{{{",".join(selected)}}}}}'

    def _page(self, argument: str, value: Any) -> str:
        name = f"%{self._count}"
        number = _PAGE[argument] + _PAGE_STEP * self._count
        self._count += 1
        if self._literal is None or name in self._literal or type(value) is not int or value <= 0:
            return _in_text(value, self._call)
        self.pages[name], self.values[name] = number, value
        return str(number)

    def _value(self, value: Any, model: Model | None, field: Field | None, operator: str) -> str:
        """Write what has a model's fields as keys, or what is compared with a field or put in it.

        Both may be below operators, and in lists.
        """
        if isinstance(value, dict):
            members = []
            for name, each in value.items():
                member = model.fields.get(name) if model else None
                if not model or not member:
                    text = self._value(each, model, field, name)
                elif member.kind == "Relation":
                    text = self._value(each, model.related(self._call, name), None, name)
                else:
                    text = self._value(each, None, member, "")
                members.append(_key(name) + text)
            return f"{{{','.join(members)}}}"
        if model and isinstance(value, list) and any(isinstance(each, dict) for each in value):
            return f"[{','.join([self._value(each, model, field, operator) for each in value])}]"
        if value is None or operator in _LITERAL_OPERATORS:
            return _in_text(value, self._call)
        if isinstance(value, list):
            return self._list(value, field, operator)
        return self._parameter(*_typed(value, field.kind if field else "", self._call), value)

    def _list(self, value: list[Any], field: Field | None, operator: str) -> str:
        short = not operator and field is not None and field.is_list
        if not value or not (short or operator in _LIST_OPERATORS):
            return _in_text(value, self._call)
        typed = [_typed(each, field.kind if field else "", self._call) for each in value]
        kinds = {kind for kind, _ in typed}
        if kinds <= set(_WIDTHS):
            kinds = {max(kinds, key=_WIDTHS.index)}
        kind = kinds.pop()
        # A list of Json that is compared as a whole would be taken for one document.
        if kinds or kind in ("Enum", "Null") or (kind == "Json" and operator == "equals"):
            return _in_text(value, self._call)
        text = self._parameter(kind, [driver for _, driver in typed], value)
        return f'{{"set":{text}}}' if short else text

    def _parameter(self, kind: str, driver: Any, value: Any) -> str:
        name = f"%{self._count}"
        self._count += 1
        if self._names is not None:
            name = self._names.setdefault((kind, repr(driver)), name)
        if self._literal is None or kind == "Enum" or name in self._literal:
            return _in_text(value, self._call)
        self.values[name] = driver
        if isinstance(value, list):
            inner = f'{{"type":"{kind}"}}'
            return f'{{"$type":"Param","value":{{"name":"{name}","type":"List","inner":{inner}}}}}'
        return f'{{"$type":"Param","value":{{"name":"{name}","type":"{kind}"}}}}'


@lru_cache(maxsize=4096)
def _key(name: str) -> str:
    if "$" in name:
        raise UserError("P2009", f"expected the name of a field or of an operator, but got {name!r}")
    return f"{quote(name)}:"


@lru_cache(maxsize=1024)
def _selected(text: str) -> str:
    """Return a selection of the client's, which is GraphQL's text: `count`, or `_count { _all }`."""
    nested = _SELECTION.fullmatch(text)
    if nested is None:
        return f"{quote(text)}:true"
    names = ",".join(f"{quote(name)}:true" for name in nested[2].split())
    return f'{quote(nested[1])}:{{"arguments":{{}},"selection":{{{names}}}}}'


def _in_text(value: Any, call: Call) -> str:
    if isinstance(value, dict):
        return f"{{{','.join([_key(name) + _in_text(each, call) for name, each in value.items()])}}}"
    if isinstance(value, list):
        return f"[{','.join([_in_text(each, call) for each in value])}]"
    if type(value) is str:
        return quote(value)
    kind, driver = _typed(value, "", call)
    if kind == "BigInt" and abs(driver) >= _SAFE_INTEGER:
        driver = str(driver)
    elif isinstance(driver, Decimal) or (kind == "Float" and driver != float(f"{driver:.15g}")):
        # The compiler keeps 16 digits of a number; 17 may be needed.
        kind, driver = "Decimal", str(driver)
    elif kind == "DateTime":
        driver = driver.isoformat()
    elif kind not in ("Json", "Bytes"):
        return json.dumps(driver)
    return f'{{"$type":"{kind}","value":{json.dumps(driver)}}}'


def _typed(value: Any, kind: str, call: Call) -> tuple[str, Any]:
    """Return the type that a field's value has for the compiler, and what the driver takes for it.

    Raises: TypeError, as the client does, for what it cannot write.
    """
    given = type(value)
    if given is str and not kind:
        return "String", value
    if kind == "Enum":
        return "Enum", value
    if given is str:
        # The compiler takes these as text only where they stand in the request.
        with suppress(ValueError, ArithmeticError):
            if kind == "Decimal":
                return "Float", Decimal(value)
            if kind == "DateTime" and (moment := dt.datetime.fromisoformat(value)).tzinfo:
                return "DateTime", moment
        return "String", value
    if given is int:
        small = -_INT <= value < _INT
        return ("Float" if kind == "Decimal" else "Int" if small else "BigInt"), value
    return (_KINDS[given], value) if given in _KINDS else _typed_otherwise(value, kind, call)


def _typed_otherwise(value: Any, kind: str, call: Call) -> tuple[str, Any]:
    client = sys.modules[type(call).__module__]
    if isinstance(value, Beyond):
        return "DateTime", value
    if isinstance(value, dt.datetime):
        utc = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
        return "DateTime", utc.replace(microsecond=utc.microsecond // 1000 * 1000)
    if isinstance(value, client.fields.Json):
        return "Json", client.dumps(value.data)
    if isinstance(value, client.fields.Base64):
        return "Bytes", str(value)
    if isinstance(value, Enum) and isinstance(value, (str, int)):
        return "Enum", value.value
    for plain in (str, int, float):
        if isinstance(value, plain):
            return _typed(plain(value), kind, call)
    return _typed(client.serializer(value), kind, call)
