"""SQL from the fragments of a plan's query, whose lists have as many parameters as they have values."""

from __future__ import annotations

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
    fragments = query.get("fragments", ())
    unknown = {each["type"] for each in fragments} - _FRAGMENTS
    if query["type"] != "templateSql" or unknown:
        raise unsupported(f"the query {query['type']!r} of {sorted(unknown)}")
    arguments = argument(query["args"])
    kinds = [each["type"] for each in fragments if each["type"] != "stringChunk"]
    lists = [index for index, kind in enumerate(kinds) if kind != "parameter"]
    if not lists and len(kinds) <= MAX_PARAMETERS:
        sql, _ = _render(fragments, kinds)
        return lambda scope: [(sql, arguments(scope))]

    def render(scope: Scope) -> list[Statement]:
        values = arguments(scope)
        chunks = _chunks(values, lists) if lists and query["chunkable"] else [values]
        rendered = [_render(fragments, each) for each in chunks]
        if any(len(parameters) > MAX_PARAMETERS for _, parameters in rendered):
            raise UserError("P2029", "The query parameter limit supported by your database is exceeded.")
        return rendered

    return render


def _chunks(values: list[Any], lists: list[int]) -> list[list[Any]]:
    """Split the list with the most parameters, so that each part fits with all other values."""
    sizes = {index: sum(len(as_list(each)) for each in as_list(values[index])) for index in lists}
    longest = max(lists, key=sizes.__getitem__)
    room = MAX_PARAMETERS - (len(values) - len(lists) + sum(sizes.values()) - sizes[longest])
    if sizes[longest] <= room or room <= 0:
        return [values]
    items = values[longest]
    step = max(1, room // len(as_list(items[0])))
    return [
        [*values[:longest], items[start : start + step], *values[longest + 1 :]]
        for start in range(0, len(items), step)
    ]


def _render(fragments: list[dict[str, str]], values: list[Any]) -> Statement:
    parameters: list[Any] = []
    given = iter(values)

    def place(value: Any) -> str:
        parameters.append(value)
        return f"${len(parameters)}"

    sql = []
    for fragment in fragments:
        around = fragment.get("itemPrefix", ""), fragment.get("itemSuffix", "")
        match fragment["type"]:
            case "stringChunk":
                sql.append(fragment["chunk"])
            case "parameter":
                sql.append(place(next(given)))
            case "parameterTuple":
                items = [place(each).join(around) for each in as_list(next(given))]
                sql.append(f"({fragment['itemSeparator'].join(items) or 'NULL'})")
            case "parameterTupleList":
                rows = [fragment["itemSeparator"].join(map(place, row)).join(around) for row in next(given)]
                sql.append(fragment["groupSeparator"].join(rows))
    return "".join(sql), parameters
