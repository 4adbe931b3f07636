"""SQL from fragments: tuples, lists of tuples, and how they are split."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prisma_in_process import sql
from prisma_in_process.errors import UserError

TUPLE = {"type": "parameterTuple", "itemPrefix": "CAST(", "itemSeparator": ",", "itemSuffix": ")"}
ROWS = {
    "type": "parameterTupleList",
    "itemPrefix": "(",
    "itemSeparator": ",",
    "itemSuffix": ")",
    "groupSeparator": ", ",
}
VALUE = {"type": "parameter"}


def statements(fragments: list[dict[str, str]], *values: Any, chunkable: bool = True) -> list[sql.Statement]:
    query = {"type": "templateSql", "fragments": fragments, "args": list(values), "chunkable": chunkable}
    return sql.statements(query)({})


def chunk(text: str) -> dict[str, str]:
    return {"type": "stringChunk", "chunk": text}


@pytest.mark.parametrize(
    ("fragments", "values", "text", "parameters"),
    [
        ([chunk("A "), VALUE, chunk(" B "), VALUE], [1, [2, 3]], "A $1 B $2", [1, [2, 3]]),
        ([TUPLE], [[]], "(NULL)", []),
        ([TUPLE], [5], "(CAST($1))", [5]),
        ([TUPLE, VALUE, TUPLE], [[1, 2], 3, [4]], "(CAST($1),CAST($2))$3(CAST($4))", [1, 2, 3, 4]),
        ([ROWS], [[[1, 2], [3, 4]]], "($1,$2), ($3,$4)", [1, 2, 3, 4]),
        ([ROWS], [[[1, [2, 3]]]], "($1,$2)", [1, [2, 3]]),
    ],
)
def test_fragments_are_rendered(fragments: Any, values: list[Any], text: str, parameters: list[Any]) -> None:
    assert statements(fragments, *values) == [(text, parameters)]


@settings(max_examples=200, deadline=None)
@given(
    singles=st.integers(0, 4),
    first=st.integers(0, 40),
    rows=st.integers(1, 20),
    width=st.integers(1, 4),
    limit=st.integers(3, 30),
)
def test_no_statement_has_too_many_parameters_and_none_is_lost(
    singles: int, first: int, rows: int, width: int, limit: int
) -> None:
    values: list[Any] = [list(range(first)), [[(row, i) for i in range(width)] for row in range(rows)]]
    fragments = [TUPLE, ROWS, *[VALUE] * singles]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sql, "MAX_PARAMETERS", limit)
        # What cannot fit: one of the longest list's values beside all the others.
        smallest = singles + min(first, rows * width) + (width if rows * width > first else 1)
        if smallest > limit and singles + first + rows * width > limit:
            with pytest.raises(UserError, match="parameter limit"):
                statements(fragments, *values, *["x"] * singles)
            return
        parts = statements(fragments, *values, *["x"] * singles)
    assert all(len(parameters) <= limit for _, parameters in parts)
    everything = [each for _, parameters in parts for each in parameters]
    assert set(everything) >= {*range(first), *[each for row in values[1] for each in row]}
    if len(parts) > 1:
        split = (
            [each for each in everything if isinstance(each, tuple)]
            if rows * width > first
            else [each for each in everything if isinstance(each, int)]
        )
        assert len(split) == max(first, rows * width)
