"""How large an operation is, measured without executing it."""

import time
from typing import Any

import pytest
from graphql import get_introspection_query, get_operation_ast, parse

from functions.todos.errors import ValidationFailed
from functions.todos.limits import Limits, check_limits

WIDE = Limits(max_depth=10**6, max_aliases=10**6, max_root_fields=10**6, max_cost=10**12)


def check(query: str, limits: Limits = WIDE, **variables: Any) -> None:
    document = parse(query)
    operation = get_operation_ast(document)
    assert operation
    check_limits(document, operation, variables, limits)


def least(what: str, query: str, **variables: Any) -> int:
    """Return the least limit under which the operation passes."""
    for limit in range(110):
        try:
            check(query, Limits(**{**_without_limits(), what: limit}), **variables)
        except ValidationFailed:
            continue
        return limit
    raise AssertionError("expected a smaller operation")


def _without_limits() -> dict[str, int]:
    return dict.fromkeys(("max_depth", "max_aliases", "max_root_fields", "max_cost"), 10**12)


@pytest.mark.parametrize(
    ("query", "depth"),
    [
        ("{ todos { id } }", 2),
        ("{ __typename }", 1),
        ("{ todosConnection { edges { node { id } } } }", 4),
        ("{ todosConnection { pageInfo { hasNextPage } edges { node { id } } } }", 4),
        ("{ ... { ... on Query { todos { ... { id } } } } }", 2),
        ("{ ...a } fragment a on Query { todos { ...b } } fragment b on Todo { id }", 2),
        ("mutation { createTodo(title: 1) { id } }", 2),
        ("{ a { b { c { d { e { f { g { h { i } } } } } } } } }", 9),
        ("{ __schema { types { fields { type { name } } } } }", 1),
    ],
)
def test_depth_counts_levels_of_fields(query: str, depth: int) -> None:
    assert least("max_depth", query) == depth


@pytest.mark.parametrize(
    ("query", "aliases"),
    [
        ("{ todos { id } }", 0),
        ("{ a: todos { b: id id } }", 2),
        ("{ todos { ...f } a: todos { ...f } } fragment f on Todo { x: id y: id }", 5),
        ("{ x: __schema { y: types { z: name } } }", 3),
    ],
)
def test_aliases_are_counted_wherever_they_are(query: str, aliases: int) -> None:
    assert least("max_aliases", query) == aliases


@pytest.mark.parametrize(
    ("query", "fields"),
    [
        ("{ todos { id title completed } }", 1),
        ("{ a: todos { id } b: todos { id } todo(id: 1) { id } }", 3),
        ("{ todos { id } ... { todos { id } ...f } } fragment f on Query { __typename }", 3),
        ("{ ...f ...f ...f } fragment f on Query { a: __typename b: __typename }", 6),
    ],
)
def test_fields_at_the_root_are_counted_through_fragments(query: str, fields: int) -> None:
    assert least("max_root_fields", query) == fields


NODES = "edges { node { id title } }"
COSTS: list[tuple[str, dict[str, Any], int]] = [
    ("{ __typename }", {}, 1),
    ("{ todo(id: 1) { id title } }", {}, 3),
    ("{ todos(first: 3) { id } }", {}, 4),
    ("{ todos { id } }", {}, 101),
    ("{ todos(first: null) { id } }", {}, 101),
    ("{ todosConnection { totalCount } }", {}, 21),
    ("{ todosConnection(first: 100) { totalCount } }", {}, 101),
    ("{ todosConnection(last: 3) { totalCount } }", {}, 4),
    ("{ todosConnection(last: null, first: 3) { totalCount } }", {}, 4),
    ("{ todosConnection(first: 2, last: 3) { totalCount } }", {}, 4),
    ("query($n: Int) { todos(first: $n) { id } }", {"n": 3}, 4),
    ("query($n: Int) { todos(first: $n) { id } }", {"n": None}, 101),
    ("query($n: Int) { todosConnection(first: $n) { totalCount } }", {"n": None}, 21),
    # A variable that is not given may have any default.
    ("query($n: Int) { todosConnection(first: $n) { totalCount } }", {}, 101),
    ("query($n: Int = 100) { todosConnection(first: $n) { totalCount } }", {}, 101),
    # GraphQL takes 100.0 for the integer that it is.
    ("query($n: Int) { todosConnection(first: $n) { totalCount } }", {"n": 100.0}, 101),
    # What execution will refuse costs no less than the least and no more than the most.
    ("{ todos(first: 0) { id } }", {}, 2),
    ("{ todos(first: -5) { id } }", {}, 2),
    ("{ todos(first: 101) { id } }", {}, 101),
    ("{ todos(first: 99999999999999999999999) { id } }", {}, 101),
    ('{ todosConnection(first: "1") { totalCount } }', {}, 21),
    ("query($n: Int) { todos(first: $n) { id } }", {"n": 10**30}, 101),
    ("query($n: Int) { todos(first: $n) { id } }", {"n": True}, 2),
    ("query($n: Int) { todos(first: $n) { id } }", {"n": float("inf")}, 101),
    ("query($n: Int) { todosConnection(first: $n) { totalCount } }", {"n": "1"}, 21),
    ("query($n: Int) { todosConnection(first: $n) { totalCount } }", {"n": [1]}, 21),
    (f"{{ todosConnection(first: 5) {{ {NODES} }} }}", {}, 21),
    (f"{{ a: todosConnection(first: 5) {{ {NODES} }} b: todosConnection(first: 4) {{ {NODES} }} }}", {}, 38),
    ("{ todos(first: 3) { ...f ...f } } fragment f on Todo { id title }", {}, 13),
    ("{ todos(first: 2) { id @skip(if: true) ... @include(if: false) { title } } }", {}, 5),
    ("{ __schema { types { name fields { name } } } }", {}, 1),
    ("mutation { a: createTodo(title: 1) { id } b: createTodo(title: 1) { id } }", {}, 4),
]


@pytest.mark.parametrize(("query", "variables", "cost"), COSTS, ids=str)
def test_the_cost_is_the_number_of_fields_in_the_largest_reply(
    query: str, variables: dict[str, Any], cost: int
) -> None:
    assert least("max_cost", query, **variables) == cost


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (Limits(max_depth=1), "expected at most 1 levels deep, but got 2."),
        (Limits(max_root_fields=1), "expected at most 1 fields at its root, but got 2."),
        (Limits(max_aliases=1), "expected at most 1 aliases, but got 2."),
        (Limits(max_cost=7), "expected at most 7 fields in the reply, but got 8."),
    ],
)
def test_an_operation_that_is_too_large_is_refused_with_the_limit(limits: Limits, message: str) -> None:
    query = "{ a: todos(first: 3) { id } b: todos(first: 3) { id } }"
    check(query)
    with pytest.raises(ValidationFailed) as refused:
        check(query, limits)
    assert refused.value.message == f"The operation is too large: {message} Request less at once."


def test_only_the_requested_operation_is_measured() -> None:
    document = parse("query a { __typename } query b { a: __typename b: __typename }")
    limits = Limits(max_aliases=1)
    check_limits(document, get_operation_ast(document, "a"), {}, limits)  # type: ignore[arg-type]
    with pytest.raises(ValidationFailed):
        check_limits(document, get_operation_ast(document, "b"), {}, limits)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "query",
    [
        "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
        "{ ...a } fragment a on Query { ...a todos { ...a } }",
        "{ ...a ...b } fragment a on Query { todos { ...b } } fragment b on Query { todos { ...a } }",
        "{ ...nope todos { ...nope } }",
    ],
)
def test_fragments_in_a_circle_or_unknown_are_left_to_validation(query: str) -> None:
    check(query, Limits())


SPREADS = ("...f{0} ...f{0}", "...f{0} todos {{ ...f{0} }}", "a: x ...f{0} b: x ...f{0} ...f{0}")


@pytest.mark.parametrize("spread", SPREADS)
def test_exploding_fragments_are_measured_in_linear_time(spread: str) -> None:
    count = 60
    fragments = (f"fragment f{number} on Query {{ {spread.format(number + 1)} }}" for number in range(count))
    query = f"{{ ...f0 }} {' '.join(fragments)} fragment f{count} on Query {{ x: __typename }}"
    document = parse(query)
    operation = get_operation_ast(document)
    assert operation
    began = time.process_time()
    with pytest.raises(ValidationFailed, match="The operation is too large: expected at most"):
        check_limits(document, operation, {}, Limits(max_depth=10**6))
    assert time.process_time() - began < 0.1


def test_fields_too_deep_for_the_interpreter_are_too_deep() -> None:
    """190 levels in each of five fragments: fewer than the parser refuses, more than Python's stack holds."""
    fragments = " ".join(
        f"fragment f{number} on Query {{ {'a { ' * 180} ...f{number + 1} {'}' * 180} }}"
        for number in range(5)
    )
    with pytest.raises(ValidationFailed, match="The operation is too large: it is nested"):
        check(f"{{ ...f0 }} {fragments} fragment f5 on Query {{ id }}")


FLAGS = (
    "descriptions",
    "specified_by_url",
    "directive_is_repeatable",
    "schema_description",
    "input_value_deprecation",
)


@pytest.mark.parametrize("flags", [{}, dict.fromkeys(FLAGS, True), dict.fromkeys(FLAGS, False)], ids=len)
def test_the_introspection_of_tools_is_within_the_limits(flags: dict[str, bool]) -> None:
    check(get_introspection_query(**flags), Limits())
