"""Orders, positions and pages of cursor connections.

Source: GraphQL Cursor Connections Specification, read 2026-11-22.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from .errors import BadUserInput

MAX_PAGE = 100
DEFAULT_PAGE = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Postgres's instants in microseconds since 2000: the years 4714 BC to 294276, up to whose end it rounds, and
# its infinities.
_FIRST_US, LAST_US = -211_813_488_000_000_000, 9_223_371_331_200_000_000
INFINITIES = (-(2**63), 2**63 - 1)
_DEFLATED_FROM = 2000
_MAX_INFLATED = 2**21


class OrderField(Enum):
    """What todos can be ordered by."""

    CREATED_AT = "CREATED_AT"
    TITLE = "TITLE"


@dataclass(frozen=True, slots=True)
class Order:
    """An order by a field, then by id, both in the same direction."""

    field: OrderField = OrderField.CREATED_AT
    descending: bool = True

    def reversed(self) -> Order:
        return Order(self.field, not self.descending)


@dataclass(frozen=True, slots=True)
class Position:
    """The place of a todo in an order; the todo may have been deleted since.

    Shape:  `value`: its title, or when it was created: as `beyond_us` where a datetime cannot hold that.
    """

    value: datetime | int | str
    id: UUID


class Ordered(Protocol):
    """An item that has a position in an order."""

    @property
    def id(self) -> UUID: ...

    @property
    def title(self) -> str: ...

    @property
    def created_at(self) -> datetime: ...

    @property
    def beyond_us(self) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Window:
    """The bounds of a page: the first (`backward`: the last) `size` todos between two positions."""

    size: int
    backward: bool = False
    after: Position | None = None
    before: Position | None = None


Item = TypeVar("Item", bound=Ordered)


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """One page, in the requested order."""

    items: Sequence[Item]
    has_next: bool
    has_previous: bool


def page_of(found: Sequence[Item], window: Window) -> Page[Item]:
    """Return the page of a window.

    Shape:  `found` holds up to `size` + 1 items, from the window's start on (from its end, if backward).
    """
    items, more = found[: window.size], len(found) > window.size
    if window.backward:
        return Page(items[::-1], has_next=window.before is not None, has_previous=more)
    return Page(items, has_next=more, has_previous=window.after is not None)


def window_of(
    order: Order,
    *,
    first: int | None = None,
    after: str | None = None,
    last: int | None = None,
    before: str | None = None,
) -> Window:
    """Read the arguments of a connection.

    Raises: BadUserInput.
    """
    if first is not None and last is not None:
        raise BadUserInput("Expected `first` or `last`, but got both. Page in one direction at a time.")
    name, size = ("last", last) if last is not None else ("first", first)
    if size is None:
        size = DEFAULT_PAGE
    if not 0 <= size <= MAX_PAGE:
        raise BadUserInput(f"`{name}`: expected 0 to {MAX_PAGE}, but got {size}.")
    return Window(
        size=size,
        backward=last is not None,
        after=None if after is None else position_at(after, order, "after"),
        before=None if before is None else position_at(before, order, "before"),
    )


def cursor_of(item: Ordered, order: Order) -> str:
    """Return the cursor of an item in an order.

    Shape:  base64 of JSON: the field, its value, the id; deflated where others have written a long title, as
            what Postgres can index is short then.
    """
    value = item.title
    if order.field is OrderField.CREATED_AT:
        milliseconds = (item.created_at - _EPOCH) // timedelta(milliseconds=1)
        value = str(milliseconds) if item.beyond_us is None else f"{item.beyond_us}us"
    data = json.dumps([order.field.value, value, item.id.hex], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(zlib.compress(data) if len(data) > _DEFLATED_FROM else data).decode()


def position_at(cursor: str, order: Order, argument: str) -> Position:
    """Read a cursor of the same order, in either direction.

    Raises: BadUserInput.
    """
    try:
        data = base64.b64decode(cursor, altchars=b"-_", validate=True)
        if data[:1] != b"[":
            inflater = zlib.decompressobj()
            data = inflater.decompress(data, _MAX_INFLATED)
            if not inflater.eof:
                raise ValueError
        field, value, item_id = json.loads(data)
        if not isinstance(value, str):
            raise ValueError
        position = Position(_VALUES[OrderField(field)](value), UUID(hex=item_id))
    except (ValueError, TypeError, AttributeError, OverflowError, RecursionError, zlib.error):
        raise BadUserInput(
            f"`{argument}`: expected a cursor that `todosConnection` returned, but got something else."
        ) from None
    if OrderField(field) is not order.field:
        raise BadUserInput(
            f"`{argument}`: expected a cursor of the order by {order.field.value}, but got one of the order "
            f"by {field}. Start again without it."
        )
    return position


def _instant(text: str) -> datetime | int:
    number = int(text.removesuffix("us"))
    if not text.endswith("us"):
        return _EPOCH + timedelta(milliseconds=number)
    if number not in INFINITIES and not _FIRST_US <= number <= LAST_US:
        raise ValueError
    return number


def _title(text: str) -> str:
    text.encode()  # half a surrogate pair is an error
    if "\0" in text:
        raise ValueError
    return text


_VALUES: dict[OrderField, Callable[[str], datetime | int | str]] = {
    OrderField.CREATED_AT: _instant,
    OrderField.TITLE: _title,
}
