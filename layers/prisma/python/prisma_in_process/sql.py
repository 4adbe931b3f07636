"""SQL from the fragments of a plan."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from .errors import UserError
from .generators import Scope, argument

MAX_PARAMETERS = 32_766
Rendered = list[tuple[str, list[Any]]]


def statement(query: dict[str, Any]) -> Callable[[Scope], Rendered]:
    """Make a function of a query: its SQL, whole where no list is in it, and its values."""
    arguments = [argument(each) for each in query["args"]]
    if query["type"] == "rawSql":
        return lambda scope: [(query["sql"], [each(scope) for each in arguments])]
    fragments = query["fragments"]
    if all(each["type"] in ("stringChunk", "parameter") for each in fragments):
        numbers = itertools.count(1)
        sql = "".join(f["chunk"] if f["type"] == "stringChunk" else f"${next(numbers)}" for f in fragments)
        return lambda scope: [(sql, [each(scope) for each in arguments])]

    def render(scope: Scope) -> Rendered:
        values = [each(scope) for each in arguments]
        chunks = _chunks(values) if query["chunkable"] else [values]
        rendered = [_render(fragments, chunk) for chunk in chunks]
        if any(len(each) > MAX_PARAMETERS for _, each in rendered):
            raise UserError("P2029", "The query parameter limit supported by your database is exceeded.")
        return rendered

    return render


def _chunks(values: list[Any]) -> list[list[Any]]:
    sizes = [
        sum(len(i) if isinstance(i, list) else 1 for i in v) if isinstance(v, list) else 1 for v in values
    ]
    total, longest = sum(sizes), max(range(len(sizes)), key=sizes.__getitem__)
    room = MAX_PARAMETERS - (total - sizes[longest])
    if total <= MAX_PARAMETERS or room <= 0:
        return [values]
    items = values[longest]
    each = max(1, room // (len(items[0]) if isinstance(items[0], list) else 1))
    return [
        [*values[:longest], items[at : at + each], *values[longest + 1 :]]
        for at in range(0, len(items), each)
    ]


def _render(fragments: list[dict[str, Any]], values: list[Any]) -> tuple[str, list[Any]]:
    sql: list[str] = []
    flat: list[Any] = []
    given = iter(values)

    def place(value: Any) -> str:
        flat.append(value)
        return f"${len(flat)}"

    for fragment in fragments:
        kind = fragment["type"]
        if kind == "stringChunk":
            sql.append(fragment["chunk"])
        elif kind == "parameter":
            sql.append(place(next(given)))
        elif kind == "parameterTuple":
            items = [fragment["itemPrefix"] + place(v) + fragment["itemSuffix"] for v in as_list(next(given))]
            sql.append(f"({fragment['itemSeparator'].join(items) or 'NULL'})")
        elif kind == "parameterTupleList":
            sql.append(
                fragment["groupSeparator"].join(
                    fragment["itemPrefix"]
                    + fragment["itemSeparator"].join(map(place, row))
                    + fragment["itemSuffix"]
                    for row in next(given)
                )
            )
        else:
            raise NotImplementedError(f"the query compiler uses the fragment {kind!r}")
    return "".join(sql), flat


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
