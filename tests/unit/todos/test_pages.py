"""Cursor pages: every todo exactly once, whatever the order, the page size and the filter."""

import base64
import json
import zlib
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.todos.errors import BadUserInput
from functions.todos.pages import (
    INFINITIES,
    Order,
    OrderField,
    Page,
    Position,
    cursor_of,
    position_at,
    window_of,
)
from functions.todos.todos import Filter, Todo, Todos
from tests.unit.todos.stores import NO_OWNER, FakeStore, matches, todo

Answer = TypeVar("Answer")
ORDERS = [Order(field, descending) for field in OrderField for descending in (False, True)]
BY_TIME, BY_TITLE = Order(), Order(OrderField.TITLE)

# Few times and titles, so that many are equal.
COLLECTIONS = st.dictionaries(
    st.integers(0, 2**128 - 1) | st.integers(0, 50),
    st.tuples(
        st.sampled_from(["a", "A", "b", "ab", "é", "😀", "%", "\uffff"]), st.booleans(), st.integers(0, 4)
    ),
    max_size=25,
).map(
    lambda kept: [
        todo(number, title, completed=done, after_ms=ms) for number, (title, done, ms) in kept.items()
    ]
)
FILTERS = st.builds(
    Filter, completed=st.none() | st.booleans(), title=st.none() | st.sampled_from(["", "a", "B", "%"])
)
few = settings(max_examples=100, deadline=None)


def run(query: Coroutine[Any, Any, Answer]) -> Answer:
    """Run what waits for nothing."""
    try:
        query.send(None)
    except StopIteration as done:
        answer: Answer = done.value
        return answer
    raise AssertionError("expected the fake store not to wait")


def ordered(kept: list[Todo], where: Filter, order: Order) -> list[Todo]:
    """Return what all pages together must hold."""
    by_title = order.field is OrderField.TITLE
    found = [each for each in kept if matches(each, where)]
    found.sort(key=lambda each: (each.title if by_title else each.created_at, each.id))
    return found[::-1] if order.descending else found


def page(store: FakeStore, where: Filter, order: Order, **window: Any) -> Page[Todo]:
    return run(Todos(store, NO_OWNER).page(where, order, window_of(order, **window)))


def walk(store: FakeStore, where: Filter, order: Order, size: int, *, backward: bool) -> list[Page[Todo]]:
    """Return all pages, each requested with the cursor of the one before it."""
    size_name, cursor_name, edge = ("last", "before", 0) if backward else ("first", "after", -1)
    pages = [page(store, where, order, **{size_name: size})]
    while pages[-1].has_previous if backward else pages[-1].has_next:
        cursor = cursor_of(pages[-1].items[edge], order)
        pages.append(page(store, where, order, **{size_name: size, cursor_name: cursor}))
        assert len(pages) < 40, "expected an end"
    return pages


@given(COLLECTIONS, FILTERS, st.sampled_from(ORDERS), st.integers(1, 12))
@few
def test_forward_every_todo_comes_once_and_in_order(
    kept: list[Todo], where: Filter, order: Order, size: int
) -> None:
    pages = walk(FakeStore(kept), where, order, size, backward=False)
    assert [each for one in pages for each in one.items] == ordered(kept, where, order)
    assert all(len(one.items) == size for one in pages[:-1])
    assert [one.has_previous for one in pages] == [False] + [True] * (len(pages) - 1)


@given(COLLECTIONS, FILTERS, st.sampled_from(ORDERS), st.integers(1, 12))
@few
def test_backward_every_todo_comes_once_and_each_page_is_in_the_requested_order(
    kept: list[Todo], where: Filter, order: Order, size: int
) -> None:
    pages = walk(FakeStore(kept), where, order, size, backward=True)
    assert [each for one in pages[::-1] for each in one.items] == ordered(kept, where, order)
    assert all(len(one.items) == size for one in pages[:-1])
    assert [one.has_next for one in pages] == [False] + [True] * (len(pages) - 1)


@given(COLLECTIONS.filter(bool), FILTERS, st.sampled_from(ORDERS), st.integers(1, 12), st.data())
@few
def test_between_two_cursors_lies_what_lies_between_two_todos(
    kept: list[Todo], where: Filter, order: Order, size: int, data: st.DataObject
) -> None:
    every = ordered(kept, Filter(), order)
    first, last = (data.draw(st.integers(0, len(every) - 1)) for _ in range(2))
    between = [each for each in every[first + 1 : last] if matches(each, where)]
    cursors = {"after": cursor_of(every[first], order), "before": cursor_of(every[last], order)}
    start = page(FakeStore(kept), where, order, first=size, **cursors)
    end = page(FakeStore(kept), where, order, last=size, **cursors)
    assert list(start.items) == between[:size]
    assert list(end.items) == between[-size:]
    assert start.has_next is end.has_previous is (len(between) > size)
    assert start.has_previous is end.has_next is True


@given(COLLECTIONS.filter(bool), st.sampled_from(ORDERS), st.integers(1, 5), st.data())
@few
def test_a_cursor_survives_its_todo(kept: list[Todo], order: Order, size: int, data: st.DataObject) -> None:
    every = ordered(kept, Filter(), order)
    place = data.draw(st.integers(0, len(every) - 1))
    store = FakeStore(kept)
    del store.todos[NO_OWNER, every[place].id]
    cursor = cursor_of(every[place], order)
    assert list(page(store, Filter(), order, first=size, after=cursor).items) == every[place + 1 :][:size]
    assert list(page(store, Filter(), order, last=size, before=cursor).items) == every[:place][-size:]


@given(COLLECTIONS, st.sampled_from(ORDERS), st.integers(1, 5), st.data())
@few
def test_todos_that_come_and_go_between_pages_do_not_move_the_others(
    kept: list[Todo], order: Order, size: int, data: st.DataObject
) -> None:
    store = FakeStore(kept)
    stays = set(store.todos)
    seen = page(store, Filter(), order, first=size)
    met = list(seen.items)
    while seen.has_next:
        cursor = cursor_of(seen.items[-1], order)
        gone = data.draw(st.sampled_from(sorted(store.todos)))
        stays.discard(gone)
        del store.todos[gone]
        seen = page(store, Filter(), order, first=size, after=cursor)
        met += seen.items
    assert len({each.id for each in met}) == len(met)
    assert stays <= {(NO_OWNER, each.id) for each in met}


def test_an_empty_collection_has_one_empty_page() -> None:
    for order in ORDERS:
        assert page(FakeStore(), Filter(), order) == Page([], has_next=False, has_previous=False)
        assert page(FakeStore(), Filter(), order, last=1) == Page([], has_next=False, has_previous=False)


def test_a_page_behind_the_last_todo_is_empty_and_has_a_previous_page() -> None:
    order = Order()
    cursor = cursor_of(todo(1), order)
    assert page(FakeStore([todo(1)]), Filter(), order, after=cursor) == Page([], False, True)
    assert page(FakeStore([todo(1)]), Filter(), order, last=5, before=cursor) == Page([], True, False)


@pytest.mark.parametrize("name", ["first", "last"])
def test_a_page_has_0_to_100_todos(name: str) -> None:
    for size in (0, 1, 2, 99, 100):
        assert window_of(BY_TIME, **{name: size}).size == size  # type: ignore[arg-type]
    for size in (-1, 101, 2**31 - 1, -(2**31)):
        with pytest.raises(BadUserInput, match=f"^`{name}`: expected 0 to 100, but got {size}.$"):
            window_of(BY_TIME, **{name: size})  # type: ignore[arg-type]


def test_a_page_has_20_todos_by_default_and_one_direction() -> None:
    assert window_of(BY_TIME).size == 20
    assert not window_of(BY_TIME).backward
    assert window_of(BY_TIME, last=3).backward
    with pytest.raises(BadUserInput, match="Expected `first` or `last`, but got both"):
        window_of(BY_TIME, first=1, last=1)


TIMES = st.datetimes(timezones=st.just(UTC))


@given(st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=200), TIMES, st.uuids())
@few
def test_a_cursor_is_read_as_it_was_written_to_the_millisecond(title: str, at: datetime, uuid: UUID) -> None:
    one = Todo(id=uuid, title=title, created_at=at.replace(microsecond=at.microsecond // 1000 * 1000))
    for order in ORDERS:
        for reading in (order, order.reversed()):
            position = position_at(cursor_of(one, order), reading, "after")
            value = one.title if order.field is OrderField.TITLE else one.created_at
            assert position == Position(value, one.id)


BEYOND = [*INFINITIES, -211_813_488_000_000_000, 9_223_371_331_199_999_999, 252_455_616_000_000_000]


@pytest.mark.parametrize("beyond_us", BEYOND)
def test_a_cursor_holds_instants_that_a_datetime_cannot(beyond_us: int) -> None:
    one = replace(todo(), created_at=datetime(9999, 12, 31, tzinfo=UTC), beyond_us=beyond_us)
    assert position_at(cursor_of(one, BY_TIME), BY_TIME, "after") == Position(beyond_us, one.id)


def test_a_cursor_is_short_and_goes_into_an_address_as_it_is() -> None:
    cursors = [cursor_of(todo(2**128 - 1, text), BY_TITLE) for text in ("?>~" * 60, "\x01é😀" * 10_000)]
    for cursor in cursors:
        assert set(cursor) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=")
    assert len(cursor_of(todo(2**128 - 1), BY_TIME)) < 100
    assert max(map(len, cursors)) < 1000


def test_titles_of_any_length_have_a_cursor() -> None:
    for title in ("x" * 201, "é" * 10_000, "\x01" * 100_000, "x" * 1_000_000):
        position = position_at(cursor_of(todo(1, title), BY_TITLE), BY_TITLE, "after")
        assert position == Position(title, UUID(int=1))


def written(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


ID = UUID(int=1).hex
GARBAGE = {
    "empty": "",
    "no base64": "!",
    "base64 of nothing": "====",
    "cut": cursor_of(todo(), BY_TIME)[:-3],
    "spaces": f" {cursor_of(todo(), BY_TIME)} ",
    "beyond ASCII": "é",
    "NUL": "\0",
    "half a surrogate pair": "\ud800",
    "no JSON": base64.b64encode(b"hello").decode(),
    "no UTF-8": base64.b64encode(b'["TITLE","\xff","' + ID.encode() + b'"]').decode(),
    "deep": base64.b64encode(b"[" * 50_000).decode(),
    "huge": base64.b64encode(b'"' + b"x" * 80_000 + b'"').decode(),
    "huge number": base64.b64encode(b"1" * 10_000).decode(),
    "null": written(None),
    "a number": written(3),
    "a text of three": written("abc"),
    "an object of three": written({"a": 1, "b": 2, "c": 3}),
    "too few": written(["TITLE", "x"]),
    "too many": written(["TITLE", "x", ID, ID]),
    "no field": written(["nope", "x", ID]),
    "field of a wrong type": written([["TITLE"], "x", ID]),
    "field null": written([None, "x", ID]),
    "title a number": written(["TITLE", 3, ID]),
    "title null": written(["TITLE", None, ID]),
    "title with NUL": written(["TITLE", "a\0b", ID]),
    "title with half a surrogate pair": written(["TITLE", "a\ud800", ID]),
    "deflated garbage": base64.b64encode(zlib.compress(b"hello")).decode(),
    "deflated, cut": base64.b64encode(zlib.compress(b"x" * 9999)[:-9]).decode(),
    "a bomb": base64.b64encode(zlib.compress(b'["TITLE","' + b"x" * 50_000_000 + b'","1"]')).decode(),
    "time a number": written(["CREATED_AT", 3, ID]),
    "time NaN": written(["CREATED_AT", "NaN", ID]),
    "time too early": written(["CREATED_AT", "-62135596800001", ID]),
    "time too late": written(["CREATED_AT", "253402300800000", ID]),
    "time beyond all": written(["CREATED_AT", f"{2**63 - 2}us", ID]),
    "time before all": written(["CREATED_AT", f"{1 - 2**63}us", ID]),
    "time of a title": written(["CREATED_AT", "us", ID]),
    "time of 1000 digits": written(["CREATED_AT", "9" * 1000, ID]),
    "time a text": written(["CREATED_AT", "2026-11-22", ID]),
    "id a number": written(["TITLE", "x", 3]),
    "id null": written(["TITLE", "x", None]),
    "id short": written(["TITLE", "x", "3"]),
    "id a list": written(["TITLE", "x", [ID]]),
    "id with half a surrogate pair": written(["TITLE", "x", "\ud800" * 32]),
}


@pytest.mark.parametrize("cursor", GARBAGE.values(), ids=GARBAGE)
@pytest.mark.parametrize("name", ["after", "before"])
def test_what_is_no_cursor_is_refused_by_its_name(cursor: str, name: str) -> None:
    for order in ORDERS:
        with pytest.raises(BadUserInput) as refused:
            window_of(order, **{name: cursor})  # type: ignore[arg-type]
        assert refused.value.message == (
            f"`{name}`: expected a cursor that `todosConnection` returned, but got something else."
        )


@given(st.text() | st.binary().map(lambda data: base64.urlsafe_b64encode(data).decode()))
@few
def test_any_text_is_a_cursor_or_is_refused(text: str) -> None:
    with pytest.raises(BadUserInput):
        position_at(text, BY_TIME, "after")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists, max_leaves=5
)


@given(st.tuples(st.sampled_from(["TITLE", "CREATED_AT"]) | JSON, JSON, st.just(ID) | JSON).map(written))
@few
def test_any_json_is_a_cursor_or_is_refused(cursor: str) -> None:
    try:
        position = position_at(cursor, BY_TITLE, "after")
    except BadUserInput:
        return
    assert isinstance(position.value, str)


def test_the_error_for_a_cursor_of_another_field_names_both() -> None:
    with pytest.raises(BadUserInput) as refused:
        position_at(cursor_of(todo(), BY_TITLE), BY_TIME, "after")
    assert refused.value.message == (
        "`after`: expected a cursor of the order by CREATED_AT, but got one of the order by TITLE. "
        "Start again without it."
    )


def test_a_time_is_read_in_all_years_that_a_datetime_has() -> None:
    first, last = (
        position_at(written(["CREATED_AT", text, ID]), BY_TIME, "after")
        for text in ("-62135596800000", "253402300799999")
    )
    assert first.value == datetime(1, 1, 1, tzinfo=UTC)
    assert last.value == datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)
