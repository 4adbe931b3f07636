"""The file of plans that set-up makes holds one for every call of the store, whatever its arguments."""

import asyncio
import inspect
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

import prisma_in_process
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prisma.client import PACKAGED_SCHEMA_PATH
from prisma_in_process.cache import Plans

from functions.todos import plans
from functions.todos.pages import INFINITIES, Order, OrderField, Position
from functions.todos.store import PrismaStore
from functions.todos.todos import Changes, Filter, Todo
from infra.install.plans import PLANS

_MOMENTS = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31), timezones=st.just(UTC))
_BEYOND = st.sampled_from(INFINITIES) | st.integers(-(10**17), 10**17)
_WHERE = st.builds(Filter, completed=st.none() | st.booleans(), title=st.none() | st.text())
_CHANGES = st.builds(Changes, completed=st.none() | st.booleans(), title=st.none() | st.text())
_TODOS = st.builds(Todo, id=st.uuids(), title=st.text(), completed=st.booleans(), created_at=_MOMENTS)


@st.composite
def searches(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of `find`: positions hold a value of the field that is ordered by."""
    order = draw(st.builds(Order, field=st.sampled_from(OrderField), descending=st.booleans()))
    values: st.SearchStrategy[Any] = st.text() if order.field is OrderField.TITLE else _MOMENTS | _BEYOND
    places = st.none() | st.builds(Position, values, st.uuids())
    limit = draw(st.integers(1, 101))
    return {
        "where": draw(_WHERE),
        "order": order,
        "after": draw(places),
        "before": draw(places),
        "limit": limit,
    }


ARGUMENTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "create": st.fixed_dictionaries({"todo": _TODOS}),
    "get": st.fixed_dictionaries({"todo_id": st.uuids()}),
    "update": st.fixed_dictionaries({"todo_id": st.uuids(), "changes": _CHANGES}),
    "delete": st.fixed_dictionaries({"todo_id": st.uuids()}),
    "find": searches(),
    "count": st.fixed_dictionaries({"where": _WHERE}),
}


class NoCompiler(plans.DryEngine):
    """Refuses a call whose plan is not in the file."""

    async def run(self, call: Any, tx_id: str | None) -> dict[str, Any]:
        assert self.plans.find(call), f"expected the plan of {call.method} with {call.arguments}"
        return await super().run(call, tx_id)


@pytest.fixture(scope="module")
def engine() -> NoCompiler:
    prisma_in_process.install()
    return NoCompiler(Plans(PACKAGED_SCHEMA_PATH.read_text(), "public", PLANS))


@pytest.mark.parametrize("method", ARGUMENTS)
def test_every_call_has_its_plan(engine: NoCompiler, method: str) -> None:
    store = PrismaStore(plans.DryDatabase(engine))

    @settings(max_examples=150, deadline=None)
    @given(owner=st.text(), arguments=ARGUMENTS[method], case=st.sampled_from(plans.CASES))
    def call(owner: str, arguments: dict[str, Any], case: plans.Case) -> None:
        engine.case = case
        asyncio.run(getattr(store, method)(owner, **arguments))

    call()
    assert engine.plans.compiled == 0


def test_every_method_and_argument_of_the_store_is_among_them() -> None:
    methods = {name for name, _ in inspect.getmembers(PrismaStore, inspect.iscoroutinefunction)}
    assert methods - {"open", "aclose"} == ARGUMENTS.keys()
    for kind in (Filter, Changes):
        assert {field.name for field in fields(kind)} == {"title", "completed"}


def test_what_is_made_is_what_the_file_holds(engine: NoCompiler) -> None:
    engine.case = "found"
    for call in plans.calls(PrismaStore(plans.DryDatabase(engine))):
        asyncio.run(call)  # type: ignore[arg-type]
    assert engine.plans.compiled == 0
