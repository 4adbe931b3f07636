"""SQL from the fragments of a plan's query, whose lists have as many parameters as they have values."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from .errors import UserError
from .generators import Scope, argument, as_list, unsupported

# Of one statement, as Prisma's engines have it for Postgres.
MAX_PARAMETERS = 32_766
# SQL and its values.
Statement = tuple[str, list[Any]]
_FRAGMENTS = frozenset({"stringChunk", "parameter", "parameterTuple", "parameterTupleList"})


def statements(query: dict[str, Any]) -> Callable[[Scope], list[Statement]]:
    """Return a function of the scope for a query: one statement, more where it has too many parameters.

    Raises: UserError (P2029) from that function, where the query may not be split or that does not help.
    """
    fragments, chunkable = query.get("fragments", ()), query.get("chunkable")
    unknown = {each["type"] for each in fragments} - _FRAGMENTS
    if query["type"] != "templateSql" or unknown:
        raise unsupported(f"the query {query['type']!r} of {sorted(unknown)}")
    arguments = [argument(each) for each in query["args"]]
    kinds = [each["type"] for each in fragments if each["type"] != "stringChunk"]
    lists = [index for index, kind in enumerate(kinds) if kind != "parameter"]
    if not lists and len(arguments) <= MAX_PARAMETERS:
        sql, _ = _render(fragments, arguments)
        return lambda scope: [(sql, [each(scope) for each in arguments])]

    def render(scope: Scope) -> list[Statement]:
        values = [each(scope) for each in arguments]
        rendered = [
            _render(fragments, chunk) for chunk in (_chunks(values, lists) if chunkable else [values])
        ]
        if any(len(parameters) > MAX_PARAMETERS for _, parameters in rendered):
            raise UserError("P2029", "The query parameter limit supported by your database is exceeded.")
        return rendered

    return render


def _chunks(values: list[Any], lists: list[int]) -> list[list[Any]]:
    """Split the list with the most parameters, so that each part fits with all other values."""
    sizes = {index: sum(len(as_list(each)) for each in as_list(values[index])) for index in lists}
    longest = max(sizes, key=sizes.__getitem__, default=0)
    room = MAX_PARAMETERS - (len(values) - len(lists) + sum(sizes.values()) - sizes.get(longest, 0))
    if not lists or sizes[longest] <= room or room <= 0:
        return [values]
    items = values[longest]
    step = max(1, room // len(as_list(items[0])))
    return [
        [*values[:longest], items[start : start + step], *values[longest + 1 :]]
        for start in range(0, len(items), step)
    ]


def _render(fragments: list[dict[str, str]], values: list[Any]) -> Statement:
    parameters: list[Any] = []
    given, numbers = iter(values), itertools.count(1)

    def place(value: Any) -> str:
        parameters.append(value)
        return f"${next(numbers)}"

    def tuple_of(fragment: dict[str, str], items: list[Any]) -> str:
        around = fragment["itemPrefix"], fragment["itemSuffix"]
        return fragment["itemSeparator"].join([place(each).join(around) for each in items])

    sql = []
    for fragment in fragments:
        kind = fragment["type"]
        if kind == "stringChunk":
            sql.append(fragment["chunk"])
        elif kind == "parameter":
            sql.append(place(next(given)))
        elif kind == "parameterTuple":
            sql.append(f"({tuple_of(fragment, as_list(next(given))) or 'NULL'})")
        else:
            rows = [fragment["itemSeparator"].join(map(place, row)) for row in next(given)]
            around = fragment["itemPrefix"], fragment["itemSuffix"]
            sql.append(fragment["groupSeparator"].join([row.join(around) for row in rows]))
    return "".join(sql), parameters
