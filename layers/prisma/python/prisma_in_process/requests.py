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
from collections.abc import Iterable, Mapping
from copy import copy
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quote
from typing import Any, NamedTuple

from .errors import UserError
from .models import Call, Field, Model
from .values import Beyond

_ACTIONS = {
    "create": "createOne",
    "create_many": "createMany",
    "update": "updateOne",
    "update_many": "updateMany",
    "upsert": "upsertOne",
    "delete": "deleteOne",
    "delete_many": "deleteMany",
    "find_unique": "findUnique",
    "find_unique_or_raise": "findUniqueOrThrow",
    "find_first": "findFirst",
    "find_first_or_raise": "findFirstOrThrow",
    "find_many": "findMany",
    "count": "aggregate",
    "group_by": "groupBy",
}
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
_SELECTION = re.compile(r"(\w+) \{ ([^}]*) \}")
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
    text = writer.request()
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
        part = copy(call)
        part.arguments = {**call.arguments, "data": rows[start : start + size]}
        parts.append(part)
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
            for each in error.get("selectionPath", [])[1:]:
                selected = selected["selection"][each]
            found.update(_parameters(selected["arguments"], error["argumentPath"]))
    return frozenset(found)


def driver_value(value: Any, call: Call) -> Any:
    """Return what the driver takes for a raw query's value; it fits it to the type that Postgres names."""
    if isinstance(value, (list, tuple)):
        return [driver_value(each, call) for each in value]
    return value if isinstance(value, dict) else _Writer(call, None).typed(value, None)[1]


class _Writer:
    def __init__(self, call: Call, literal: frozenset[str] | None) -> None:
        self.values: dict[str, Any] = {}
        self.pages: dict[str, int] = {}
        self._call, self._literal, self._count = call, literal, 0
        # The compiler compares an upsert's values by their names, to choose a native one.
        self._names: dict[tuple[str, str], str] | None = {} if call.method == "upsert" else None

    def request(self) -> str:
        call = self._call
        if call.model is None:
            raise TypeError(f"expected a call of a model, but got {call.method}")
        model = Model.of(call, call.model)
        arguments = self._arguments(call.arguments, model)
        selection = self._selection(model, call.include, call.root_selection)
        return (
            f'{{"modelName":{quote(model.name)},"action":"{_ACTIONS[call.method]}",'
            f'"query":{{"arguments":{arguments},"selection":{selection}}}}}'
        )

    def _selection(
        self, model: Model, include: Mapping[str, Any] | None, root: list[str] | None = None
    ) -> str:
        selected = [model.selected] if root is None else [_selected(each) for each in root]
        for name, wanted in (include or {}).items():
            if wanted is False:
                continue
            if wanted is not True and not isinstance(wanted, dict):
                raise TypeError(f"Expected `bool` or `dict` include value but got {type(wanted)} instead.")
            arguments = {} if wanted is True else wanted
            related = model.related(self._call, name)
            selected.append(
                f'{_key(name)}{{"arguments":{self._arguments(arguments, related)},'
                f'"selection":{self._selection(related, arguments.get("include"))}}}'
            )
        return f"{{{','.join(selected)}}}"

    def _arguments(self, arguments: Mapping[str, Any], model: Model) -> str:
        written = []
        for name, value in arguments.items():
            if value is None or name == "include":
                continue
            if name in _PAGE:
                text = self._page(name, value)
            elif name in _LITERAL_ARGUMENTS:
                text = self._in_text(value)
            else:
                text = self._record(value, model, name)
            written.append(_key(name) + text)
        return f"{{{','.join(written)}}}"

    def _page(self, argument: str, value: Any) -> str:
        name = f"%{self._count}"
        number = _PAGE[argument] + _PAGE_STEP * self._count
        self._count += 1
        if self._literal is None or name in self._literal or type(value) is not int or value <= 0:
            return self._in_text(value)
        self.pages[name], self.values[name] = number, value
        return str(number)

    def _record(self, value: Any, model: Model, key: str) -> str:
        """Write what has a model's fields as keys, perhaps below operators: `where`, `data`, `create`."""
        if isinstance(value, dict):
            members = []
            for name, each in value.items():
                field = model.fields.get(name)
                if field is None:
                    text = self._record(each, model, name)
                elif field.kind == "Relation":
                    text = self._record(each, model.related(self._call, name), name)
                else:
                    text = self._field(each, field, "")
                members.append(_key(name) + text)
            return f"{{{','.join(members)}}}"
        if isinstance(value, list) and any(isinstance(each, dict) for each in value):
            return f"[{','.join([self._record(each, model, key) for each in value])}]"
        return self._field(value, None, key)

    def _field(self, value: Any, field: Field | None, operator: str) -> str:
        """Write what is compared with a field or put in it: a value, a list of them, or operators."""
        if isinstance(value, dict):
            members = [_key(name) + self._field(each, field, name) for name, each in value.items()]
            return f"{{{','.join(members)}}}"
        if value is None or operator in _LITERAL_OPERATORS:
            return self._in_text(value)
        if not isinstance(value, list):
            return self._parameter(*self.typed(value, field), value)
        short = not operator and field is not None and field.is_list
        if not value or not (short or operator in _LIST_OPERATORS):
            return self._in_text(value)
        kinds, values = zip(*[self.typed(each, field) for each in value], strict=True)
        kind = _widest(kinds)
        # A list of Json that is compared as a whole would be taken for one document.
        if kind is None or (kind == "Json" and operator == "equals"):
            return self._in_text(value)
        text = self._parameter(kind, list(values), value)
        return f'{{"set":{text}}}' if short else text

    def _parameter(self, kind: str, driver: Any, value: Any) -> str:
        name = f"%{self._count}"
        self._count += 1
        if self._names is not None:
            name = self._names.setdefault((kind, repr(driver)), name)
        if self._literal is None or kind == "Enum" or name in self._literal:
            return self._in_text(value)
        self.values[name] = driver
        if isinstance(value, list):
            return (
                f'{{"$type":"Param","value":{{"name":"{name}","type":"List","inner":{{"type":"{kind}"}}}}}}'
            )
        return f'{{"$type":"Param","value":{{"name":"{name}","type":"{kind}"}}}}'

    def typed(self, value: Any, field: Field | None) -> tuple[str, Any]:
        """Return the type that a value has for the compiler, and what the driver takes for it.

        Raises: TypeError, as the client does, for what it cannot write.
        """
        kind = "" if field is None else field.kind
        if kind == "Enum":
            return "Enum", value
        given = type(value)
        if given is str:
            return _FROM_TEXT[kind](value) if kind in _FROM_TEXT else ("String", value)
        if given is int:
            small = -_INT <= value < _INT
            return ("Float" if kind == "Decimal" else "Int" if small else "BigInt"), value
        if given in _KINDS:
            return _KINDS[given], value
        return self._typed_otherwise(value, field)

    def _typed_otherwise(self, value: Any, field: Field | None) -> tuple[str, Any]:
        client = sys.modules[type(self._call).__module__]
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
                return self.typed(plain(value), field)
        return self.typed(client.serializer(value), field)

    def _in_text(self, value: Any) -> str:
        if type(value) is str:
            return quote(value)
        if isinstance(value, dict):
            members = [_key(name) + self._in_text(each) for name, each in value.items()]
            return f"{{{','.join(members)}}}"
        if isinstance(value, list):
            return f"[{','.join([self._in_text(each) for each in value])}]"
        kind, driver = self.typed(value, None)
        if kind == "BigInt" and abs(driver) >= _SAFE_INTEGER:
            kind, driver = "BigInt", str(driver)
        elif isinstance(driver, Decimal) or (kind == "Float" and driver != float(f"{driver:.15g}")):
            # The compiler keeps 16 digits of a number; 17 may be needed.
            kind, driver = "Decimal", str(driver)
        elif kind == "DateTime":
            driver = driver.isoformat()
        elif kind not in ("Json", "Bytes"):
            return json.dumps(driver)
        return f'{{"$type":"{kind}","value":{json.dumps(driver)}}}'


_KINDS: dict[type, str] = {bool: "Boolean", float: "Float", Decimal: "Float", type(None): "Null"}


def _moment(text: str) -> tuple[str, Any]:
    try:
        moment = dt.datetime.fromisoformat(text)
    except ValueError:
        return "String", text
    return ("String", text) if moment.tzinfo is None else ("DateTime", moment)


def _decimal(text: str) -> tuple[str, Any]:
    try:
        return "Float", Decimal(text)
    except InvalidOperation:
        return "String", text


# What the compiler takes as text only where it stands in the request.
_FROM_TEXT = {"DateTime": _moment, "Decimal": _decimal}


def _widest(kinds: Iterable[str]) -> str | None:
    found = set(kinds)
    if found <= set(_WIDTHS):
        return max(found, key=_WIDTHS.index)
    return found.pop() if len(found) == 1 and found.isdisjoint({"Enum", "Null"}) else None


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


def _parameters(value: Any, path: list[str]) -> Iterable[str]:
    """Yield the names of the parameters below a path, which names no places in lists."""
    if isinstance(value, list):
        for each in value:
            yield from _parameters(each, path)
    elif isinstance(value, dict):
        if value.get("$type") == "Param":
            yield value["value"]["name"]
        elif path:
            yield from _parameters(value.get(path[0]), path[1:])
        else:
            for each in value.values():
                yield from _parameters(each, path)
