"""One GraphQL request against the fake store: what is answered, with which code."""

import asyncio
import inspect
import logging
import re
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from graphql import get_introspection_query, parse, validate
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.todos import execution
from functions.todos.errors import DatabaseUnavailable, MethodNotAllowed
from functions.todos.execution import Executor, Outcome, Request
from functions.todos.limits import Limits
from functions.todos.resolvers import create_schema
from functions.todos.todos import Todos
from tests.unit.todos.stores import NO_OWNER, FakeStore, todo

pytestmark = pytest.mark.anyio

SCHEMA = create_schema()
ONE = "00000000-0000-0000-0000-000000000001"
TWO = "00000000-0000-0000-0000-000000000002"


def executor(
    store: FakeStore | None = None, *, introspection: bool = True, **limits: int
) -> Callable[[Request], Awaitable[Outcome]]:
    """Return what executes requests on the todos of a store."""
    todos = Todos(store or FakeStore(), NO_OWNER)
    made = Executor(SCHEMA, Limits(**limits), introspection=introspection)
    return lambda request: made.execute(request, todos)


async def answered(query: str, **options: Any) -> Outcome:
    given = executor(options.pop("store", None), introspection=options.pop("introspection", True))
    return await given(Request(query=query, **options))


def code_of(outcome: Outcome) -> str:
    """Return the one code of a request that was not executed: it has no `data`."""
    assert outcome.body.keys() == {"errors"}
    codes = {error["extensions"]["code"] for error in outcome.body["errors"]}
    assert len(codes) == 1
    return str(codes.pop())


async def test_a_query_is_answered() -> None:
    outcome = await answered("{ todos { id title completed createdAt } }", store=FakeStore([todo(1)]))
    one = {"id": ONE, "title": "Test Todo", "completed": False, "createdAt": "2026-11-22T10:15:30.123Z"}
    assert outcome == Outcome({"data": {"todos": [one]}})


NOT_EXECUTED: list[tuple[str, dict[str, Any], str, str]] = [
    ("", {}, "GRAPHQL_PARSE_FAILED", "Syntax Error: Unexpected <EOF>."),
    ("{", {}, "GRAPHQL_PARSE_FAILED", "Syntax Error: Expected Name, found <EOF>."),
    ("\0", {}, "GRAPHQL_PARSE_FAILED", "Syntax Error: Unexpected character: U+0000."),
    ('{ todo(id: "\ud800") { id } }', {}, "GRAPHQL_PARSE_FAILED", "Syntax Error: Invalid character"),
    ("{a" * 500 + "}" * 500, {}, "GRAPHQL_PARSE_FAILED", "Syntax Error: Document is nested too deeply."),
    (
        "{ " + "__typename " * 2000 + "}",
        {},
        "GRAPHQL_PARSE_FAILED",
        "Syntax Error: Document contains more than 2000",
    ),
    ("{ nope }", {}, "GRAPHQL_VALIDATION_FAILED", "Cannot query field 'nope' on type 'Query'."),
    ("{ todos }", {}, "GRAPHQL_VALIDATION_FAILED", "Field 'todos' of type '[Todo!]!' must have"),
    ("{ todos(first: 1.5) { id } }", {}, "GRAPHQL_VALIDATION_FAILED", "Int cannot represent non-integer"),
    (
        "mutation { createTodo { id } }",
        {},
        "GRAPHQL_VALIDATION_FAILED",
        "Argument 'Mutation.createTodo",
    ),
    ("{ ...f } fragment f on Query { ...f }", {}, "GRAPHQL_VALIDATION_FAILED", "Cannot spread fragment 'f'"),
    ("{ ...nope }", {}, "GRAPHQL_VALIDATION_FAILED", "Unknown fragment 'nope'."),
    ("subscription { a }", {}, "GRAPHQL_VALIDATION_FAILED", "The subscription operation is not supported"),
    ("{ a: todos " * 40 + "{ id }" + "}" * 40, {}, "GRAPHQL_VALIDATION_FAILED", "The operation is too large"),
    (
        "{ todos(first: 1) { " + "id " * 1900 + "} }",
        {},
        "GRAPHQL_VALIDATION_FAILED",
        "The operation is too large: it rep",
    ),
    ("query($n: Int!) { todos(first: $n) { id } }", {}, "BAD_USER_INPUT", "Variable '$n' has invalid value"),
    (
        "query($n: Int) { todos(first: $n) { id } }",
        {"variables": {"n": "1"}},
        "BAD_USER_INPUT",
        "Variable '$n' has invalid value: Int cannot represent non-integer value: \"1\"",
    ),
    (
        "type A { b: Int }",
        {},
        "BAD_REQUEST",
        "`operationName`: expected the name of one operation. The document has: none",
    ),
    (
        "query a { __typename } query b { __typename }",
        {},
        "BAD_REQUEST",
        "`operationName`: expected the name of one operation. The document has: a, b.",
    ),
    (
        "query a { __typename } query b { __typename }",
        {"operation_name": "c" * 1000},
        "BAD_REQUEST",
        f'`operationName`: expected one that the document has (a, b), but got "{"c" * 50}".',
    ),
    (
        "{ __typename }",
        {"operation_name": ""},
        "BAD_REQUEST",
        '`operationName`: expected one that the document has ((anonymous)), but got "".',
    ),
    (
        "query a { __typename }",
        {"operation_name": "\ud800"},
        "BAD_REQUEST",
        '`operationName`: expected one that the document has (a), but got "\\ud800".',
    ),
]


@pytest.mark.parametrize(
    ("query", "options", "code", "message"), NOT_EXECUTED, ids=lambda value: ascii(value)[:60]
)
async def test_what_cannot_be_executed_has_a_code_and_no_data(
    query: str, options: dict[str, Any], code: str, message: str
) -> None:
    store = FakeStore()
    outcome = await answered(query, store=store, **options)
    assert code_of(outcome) == code
    assert outcome.body["errors"][0]["message"].startswith(message)
    assert (outcome.status, outcome.read) == (400, True)
    assert store.queries == 0


DIGITS, WORD = "9" * 5000, "x" * 5000
_BY_N = "query($n: %s) { todos(%s) { id } }"
# A document and its variables: each has a value, or a name, far longer than a reply should quote.
LONG: dict[str, tuple[str, dict[str, Any]]] = {
    "Int, digits": (f"{{ todos(first: {DIGITS}) {{ id }} }}", {}),
    "Int, negative digits": (f"{{ todos(first: -{DIGITS}) {{ id }} }}", {}),
    "Int, list of digits": (f"{{ todos(first: [{DIGITS}, {DIGITS}]) {{ id }} }}", {}),
    "Int, fraction": (f"{{ todos(first: 1.{DIGITS}) {{ id }} }}", {}),
    "Int, text": (f'{{ todos(first: "{WORD}") {{ id }} }}', {}),
    "Int, short words": (f'{{ todos(first: "{"x " * 2500}") {{ id }} }}', {}),
    "Int, block text": (f'{{ todos(first: """{WORD}""") {{ id }} }}', {}),
    "Int, name": (f"{{ todos(first: {WORD}) {{ id }} }}", {}),
    "Int, default": (f"query($n: Int = {DIGITS}) {{ todos(first: $n) {{ id }} }}", {}),
    "Int, variable": (_BY_N % ("Int", "first: $n"), {"n": int("9" * 4000)}),
    "Int, variable of text": (_BY_N % ("Int", "first: $n"), {"n": WORD}),
    "Int, variable of lists": (_BY_N % ("Int", "first: $n"), {"n": [[WORD]] * 50}),
    "Int, variable of objects": (_BY_N % ("Int", "first: $n"), {"n": {WORD: {WORD: WORD}}}),
    "Int, float": (_BY_N % ("Int", "first: $n"), {"n": 1e308}),
    "Int, infinity": (_BY_N % ("Int", "first: $n"), {"n": float("inf")}),
    "Boolean, digits": (f"{{ todos(filter: {{completed: {DIGITS}}}) {{ id }} }}", {}),
    "Boolean, text": (f'{{ todos(filter: {{completed: "{WORD}"}}) {{ id }} }}', {}),
    "Boolean, variable": (_BY_N % ("Boolean", "filter: {completed: $n}"), {"n": WORD}),
    "String, digits": (f"{{ todos(filter: {{title: {DIGITS}}}) {{ id }} }}", {}),
    "String, variable": (_BY_N % ("String", "filter: {title: $n}"), {"n": int("9" * 4000)}),
    "String, too long": (_BY_N % ("String", "filter: {title: $n}"), {"n": WORD}),
    "ID, digits": (f"{{ todo(id: {DIGITS}) {{ id }} }}", {}),
    "ID, text": (f'{{ todo(id: "{WORD}") {{ id }} }}', {}),
    "ID, variable": ("query($n: ID!) { todo(id: $n) { id } }", {"n": int("9" * 4299)}),
    "ID, variable of a fraction": ("query($n: ID!) { todo(id: $n) { id } }", {"n": 1.5e300}),
    "enum, name": (f"{{ todos(orderBy: {{field: {WORD}}}) {{ id }} }}", {}),
    "enum, digits": (f"{{ todos(orderBy: {{field: {DIGITS}}}) {{ id }} }}", {}),
    "enum, variable": (_BY_N % ("TodoOrderField!", "orderBy: {field: $n}"), {"n": WORD}),
    "input, field": (f"{{ todos(filter: {{{WORD}: 1}}) {{ id }} }}", {}),
    "input, variable": (_BY_N % ("TodoFilter", "filter: $n"), {"n": {WORD: WORD}}),
    "input, text": (_BY_N % ("TodoFilter", "filter: $n"), {"n": WORD}),
    "cursor": ("query($n: String) { todosConnection(after: $n) { totalCount } }", {"n": WORD}),
    "variable's name": (f"query(${WORD}: Int!) {{ todos(first: ${WORD}) {{ id }} }}", {}),
    "variable's type": (f"query($n: {WORD}) {{ todos {{ id }} }}", {}),
    "field": (f"{{ {WORD} }}", {}),
    "argument": (f"{{ todos({WORD}: 1) {{ id }} }}", {}),
    "alias": (f"{{ {WORD}: todos {WORD}: todo(id: 1) }}", {}),
    "directive": (f"{{ todos {{ id @{WORD} }} }}", {}),
    "fragment": (f"{{ todos {{ ...{WORD} }} }}", {}),
    "fragment's type": (f"{{ ...f }} fragment f on {WORD} {{ id }}", {}),
    "operations": (f"query {WORD} {{ todos {{ id }} }} query {WORD}2 {{ todos {{ id }} }}", {}),
    "keyword": (f"{WORD} {{ todos {{ id }} }}", {}),
    "number": (f"{{ todos(first: {DIGITS}x) {{ id }} }}", {}),
}
PYTHONS = (
    "sys.",
    "Exceeds",
    "conversion",
    "Error(",
    "Traceback",
    "object at 0x",
    "argument must be",
    "codec",
)


@pytest.mark.parametrize("what", LONG)
async def test_no_long_value_and_nothing_of_python_is_in_a_reply(what: str) -> None:
    query, variables = LONG[what]
    outcome = await answered(query, variables=variables)
    assert outcome.body["errors"]
    for error in outcome.body["errors"]:
        assert error["extensions"]["code"] != "INTERNAL_SERVER_ERROR"
        assert len(error["message"]) <= 501
        assert "9" * 100 not in error["message"]
        assert "x" * 100 not in error["message"]
        assert not [text for text in PYTHONS if text in error["message"]]


BY_TITLE = "query($n: String) { todos(filter: {title: $n}) { id } }"


@pytest.mark.parametrize(
    ("query", "value", "message"),
    [
        (_BY_N % ("Int!", "first: $n"), None, "Expected value of non-null type 'Int!' not to be null."),
        (_BY_N % ("Int", "first: $n"), True, "Int cannot represent non-integer value: true"),
        (
            _BY_N % ("Int", "first: $n"),
            [None, False, {"None": "it's None"}, "None"],
            'Int cannot represent non-integer value: [null, false, {"None": "it\'s None"}, "None"]',
        ),
        (BY_TITLE, False, "String cannot represent a non string value: false"),
        ("query($n: ID!) { todo(id: $n) { id } }", True, "ID cannot represent value: true"),
    ],
)
async def test_values_are_quoted_as_json_has_them(query: str, value: object, message: str) -> None:
    outcome = await answered(query, variables={"n": value})
    assert outcome.body["errors"][0]["message"] == f"Variable '$n' has invalid value: {message}"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            "query($n: OrderDirection) { todos(orderBy: {direction: $n}) { id } }",
            "'OrderDirection!' not to be null.",
        ),
        (
            "query($n: TodoOrderField) { todosConnection(orderBy: {field: $n}) { totalCount } }",
            "not to be null.",
        ),
        ('query($n: ID = "x") { todo(id: $n) { id } }', "'ID!' not to be null."),
        ('mutation($n: String = "x") { createTodo(title: $n) { id } }', "'String!' not to be null."),
        ("query($n: Boolean = true) { todos { id @include(if: $n) } }", "'Boolean!' not to be null."),
    ],
)
async def test_null_where_validation_relies_on_a_default_is_the_callers_fault(
    query: str, expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    outcome = await answered(query, variables={"n": None}, store=FakeStore([todo(1)]))
    (error,) = outcome.body["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert error["message"].endswith(expected)
    assert not caplog.records


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=12,
)
TYPED = {
    "Int": _BY_N % ("Int!", "first: $n"),
    "Boolean": _BY_N % ("Boolean", "filter: {completed: $n}"),
    "String": BY_TITLE,
    "ID": "query($n: ID!) { todo(id: $n) { id } }",
    "enum": _BY_N % ("TodoOrderField!", "orderBy: {field: $n}"),
    "input": _BY_N % ("TodoFilter", "filter: $n"),
    "field": _BY_N % ("TodoOrder!", "orderBy: $n"),
}


@pytest.mark.parametrize("name", TYPED)
@given(value=VALUES)
@settings(max_examples=25, deadline=None, derandomize=True, database=None)
def test_a_variables_value_is_quoted_as_json(name: str, value: object) -> None:
    outcome = asyncio.run(answered(TYPED[name], variables={"n": value}))
    for error in outcome.body.get("errors", ()):
        _, *quoted = re.split(
            "value: |ound: ", error["message"].partition("has invalid value")[2], maxsplit=1
        )
        bare = re.sub(r'"(?:[^"\\]|\\.)*"', "", "".join(quoted))
        assert not re.sub(r"null|true|false|-?Infinity|[-+\d.e,:\s\[\]{}]", "", bare), error["message"]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        (
            "{ todosConnection(first: null, filter: null) { nope } }",
            "Cannot query field 'nope' on type 'TodoConnection'.",
        ),
        (
            "mutation { createTodo(title: null) { id } }",
            "Expected value of non-null type 'String!' not to be null.",
        ),
        (
            "{ todos(orderBy: {field: null}) { id } }",
            "Expected value of non-null type 'TodoOrderField!' not to be null.",
        ),
        ("{ todos(first: None) { id } }", "Int cannot represent non-integer value: None"),
        ("{ todos @skip(if: null) { id } }", "Expected value of non-null type 'Boolean!' not to be null."),
        ("{ todos @include(if: 1) { id } }", "Boolean cannot represent a non boolean value: 1"),
        (
            "query ($n: Boolean) { todos @include(if: $n) { id } }",
            "Variable '$n' of type 'Boolean' used in position expecting type 'Boolean!'.",
        ),
        ("query ($n: Int! = null) { todos(first: $n) { id } }", "Expected value of non-null type"),
    ],
)
async def test_null_is_called_null(query: str, message: str) -> None:
    outcome = await answered(query)
    assert outcome.body["errors"][0]["message"].startswith(message)


async def test_what_is_quoted_keeps_its_beginning_and_what_was_expected() -> None:
    outcome = await answered(f"{{ {WORD} }}")
    expected = f"Cannot query field '{'x' * 59}… on type 'Query'."
    assert outcome.body["errors"][0]["message"] == expected
    outcome = await answered(f"{{ todos(first: {DIGITS}) {{ id }} }}")
    assert outcome.body["errors"][0]["message"] == (
        "Expected a value of the type that is declared here, but got one that cannot be read as such."
    )
    assert outcome.body["errors"][0]["locations"] == [{"line": 1, "column": 16}]


async def test_a_fault_in_the_document_is_reported_with_its_place() -> None:
    outcome = await answered("{\n  todos { nope }\n}")
    assert outcome.body["errors"][0]["locations"] == [{"line": 2, "column": 11}]


async def test_at_most_ten_faults_are_reported() -> None:
    outcome = await answered("{ " + " ".join(f"nope{number}" for number in range(25)) + " }")
    assert code_of(outcome) == "GRAPHQL_VALIDATION_FAILED"
    assert len(outcome.body["errors"]) == 11
    assert outcome.body["errors"][-1]["message"].startswith("Too many validation errors")


@pytest.mark.parametrize(("name", "field"), [("a", "x"), ("b", "y")])
async def test_the_operation_that_is_named_is_executed(name: str, field: str) -> None:
    query = "query a { x: __typename } query b { y: __typename }"
    assert (await answered(query, operation_name=name)).body == {"data": {field: "Query"}}


async def test_a_query_only_request_cannot_change_anything() -> None:
    store = FakeStore()
    mutation = 'mutation a { createTodo(title: "x") { id } } query b { __typename }'
    with pytest.raises(MethodNotAllowed) as refused:
        await answered(mutation, store=store, operation_name="a", only_query=True)
    assert refused.value.message == "Expected a query, but got a mutation. Send it with POST."
    assert refused.value.headers == {"allow": "POST"}
    subscription = await answered("subscription a { a }", store=store, only_query=True)
    assert code_of(subscription) == "GRAPHQL_VALIDATION_FAILED"
    assert store.queries == 0
    outcome = await answered(mutation, operation_name="b", only_query=True)
    assert outcome.body == {"data": {"__typename": "Query"}}


async def test_what_is_not_found_leaves_its_siblings_alone() -> None:
    query = f'{{ a: todo(id: "{TWO}") {{ id }} b: todo(id: "{ONE}") {{ id }} todos {{ id }} }}'
    outcome = await answered(query, store=FakeStore([todo(1)]))
    assert outcome.status == 200
    assert outcome.body["data"] == {"a": None, "b": {"id": ONE}, "todos": [{"id": ONE}]}
    assert outcome.body["errors"] == [
        {
            "message": f"There is no todo `{TWO}`. Was it deleted? `todos {{ id }}` lists those there are.",
            "locations": [{"line": 1, "column": 3}],
            "path": ["a"],
            "extensions": {"code": "NOT_FOUND"},
        }
    ]


async def test_a_value_that_the_rules_refuse_is_the_callers_fault() -> None:
    outcome = await answered('mutation { createTodo(title: " ") { id } }')
    assert outcome.body["data"] is None
    error = outcome.body["errors"][0]
    assert error["path"] == ["createTodo"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT"}
    assert error["message"].startswith("`title`: expected 1 to 200 characters")


async def test_mutations_are_executed_one_after_the_other() -> None:
    store = FakeStore()
    fields = " ".join(f'a{number}: createTodo(title: "{number}") {{ title }}' for number in range(30))
    await answered(f"mutation {{ {fields} }}", store=store)
    assert [each.title for each in store.todos.values()] == [str(number) for number in range(30)]


async def test_a_mutation_that_fails_leaves_those_before_it() -> None:
    store = FakeStore()
    query = 'mutation { a: createTodo(title: "x") { id } b: createTodo(title: "") { id } }'
    outcome = await answered(query, store=store)
    assert outcome.body["data"] is None
    assert len(store.todos) == 1


SECRET = "the-password-and-the-title"


@pytest.mark.parametrize("query", ["{ todos { id } }", "{ todosConnection { totalCount } }"])
async def test_nothing_of_an_unexpected_error_reaches_the_caller_or_the_log(
    query: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    outcome = await answered(query, store=FakeStore(failure=RuntimeError(SECRET)))
    assert outcome.status == 200
    assert outcome.body["data"] is None
    (error,) = outcome.body["errors"]
    assert error["message"] == "Something went wrong here. Try again; if it persists, tell the operator."
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR"}
    assert SECRET not in str(outcome.body) + caplog.text + "".join(capfd.readouterr())
    assert caplog.records[-1].message.startswith("unexpected RuntimeError at ")
    assert "tests/unit/todos/stores.py:" in caplog.records[-1].message


async def test_a_database_that_does_not_answer_is_reported_as_such() -> None:
    outcome = await answered("{ todos { id } }", store=FakeStore(failure=DatabaseUnavailable()))
    (error,) = outcome.body["errors"]
    assert error["message"] == ("The database cannot be reached right now. Send the same again in a moment.")
    assert error["extensions"] == {"code": "INTERNAL_SERVER_ERROR"}


FLAGS = [name for name in inspect.signature(get_introspection_query).parameters if name != "type_depth"]


@pytest.mark.parametrize("on", [True, False], ids=["all", "none"])
async def test_introspection_is_answered_where_it_is_on(on: bool) -> None:
    """Generators of code request all that there is, or what there was in 2015."""
    outcome = await answered(get_introspection_query(**dict.fromkeys(FLAGS, on)))
    assert outcome.body.keys() == {"data"}


@pytest.mark.parametrize("query", ["{ __schema { types { name } } }", '{ __type(name: "Todo") { name } }'])
async def test_introspection_is_refused_where_it_is_off(query: str) -> None:
    outcome = await answered(query, introspection=False)
    assert code_of(outcome) == "GRAPHQL_VALIDATION_FAILED"
    typename = await answered("{ __typename todos { __typename } }", introspection=False)
    assert typename.body == {"data": {"__typename": "Query", "todos": []}}


SUGGESTED = [
    ("{ todoz { id } }", {}),
    ("{ todos { titel } }", {}),
    ("{ todos(frist: 1) { id } }", {}),
    ("{ todos(orderBy: {field: TITEL}) { id } }", {}),
    ("{ todos(filter: {titel: 1}) { id } }", {}),
    ("{ ... on Tod { id } }", {}),
    ("query($o: TodoOrder) { todos(orderBy: $o) { id } }", {"o": {"field": "TITEL"}}),
    ("query($f: TodoFilter) { todos(filter: $f) { id } }", {"f": {"titel": "x"}}),
]


@pytest.mark.parametrize(("query", "variables"), SUGGESTED, ids=str)
async def test_names_are_suggested_only_where_introspection_is_on(query: str, variables: Any) -> None:
    outcome = await answered(query, variables=variables)
    assert "Did you mean" in outcome.body["errors"][0]["message"]
    hidden = await answered(query, variables=variables, introspection=False)
    assert "Did you mean" not in hidden.body["errors"][0]["message"]


class Counting:
    """Counts the calls of graphql-core."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.parsed = self.validated = 0

        def counted_parse(*given: Any, **options: Any) -> Any:
            self.parsed += 1
            return parse(*given, **options)

        def counted_validate(*given: Any, **options: Any) -> Any:
            self.validated += 1
            return validate(*given, **options)

        monkeypatch.setattr(execution, "parse", counted_parse)
        monkeypatch.setattr(execution, "validate", counted_validate)

    @property
    def counts(self) -> tuple[int, int]:
        return self.parsed, self.validated


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> Counting:
    return Counting(monkeypatch)


async def test_a_document_is_parsed_and_validated_once(counting: Counting) -> None:
    execute = executor(FakeStore([todo(1)]))
    for number in (1, 2, 3):
        variables = {"id": ONE if number == 2 else TWO}
        outcome = await execute(
            Request(query="query($id: ID!) { todo(id: $id) { id } }", variables=variables)
        )
        assert (outcome.body["data"]["todo"] is not None) == (number == 2)
    assert counting.counts == (1, 1)


async def test_a_hundred_documents_are_remembered_those_used_last(counting: Counting) -> None:
    execute = executor()

    async def send(number: int) -> None:
        outcome = await execute(Request(query=f"{{ a{number}: __typename }}"))
        assert outcome.body == {"data": {f"a{number}": "Query"}}

    for number in range(100):
        await send(number)
    await send(0)
    assert counting.counts == (100, 100)
    await send(100)
    await send(0)
    assert counting.counts == (101, 101)
    await send(1)
    assert counting.counts == (102, 102)


@pytest.mark.parametrize("query", ["{ nope }", "{ a: __typename b: __typename }", "{"])
async def test_what_is_refused_is_not_remembered(query: str, counting: Counting) -> None:
    execute = executor(max_aliases=1)
    for _ in range(2):
        code_of(await execute(Request(query=query)))
    assert counting.parsed == 2


async def test_a_remembered_document_is_still_measured_and_held_to_be_a_query() -> None:
    execute = executor(max_cost=10)
    query = 'query a($n: Int) { todos(first: $n) { id } } mutation b { createTodo(title: "x") { id } }'
    small = await execute(Request(query=query, operation_name="a", variables={"n": 1}))
    assert small.body == {"data": {"todos": []}}
    large = await execute(Request(query=query, operation_name="a", variables={"n": 100}))
    assert code_of(large) == "GRAPHQL_VALIDATION_FAILED"
    with pytest.raises(MethodNotAllowed):
        await execute(Request(query=query, operation_name="b", only_query=True))
