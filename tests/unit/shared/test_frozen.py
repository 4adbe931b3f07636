"""What `Frozen` makes of a class is what `dataclass(frozen=True)` makes of it."""

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, fields, replace
from functools import cached_property
from typing import Any

import pytest

from functions.shared.frozen import Frozen


class Point(Frozen):
    """A point."""

    x: int
    y: int = 0
    tags: list[str] = field(default_factory=list)
    secret: str = field(default="s", repr=False)

    @cached_property
    def double(self) -> int:
        return 2 * self.x


class Named(Point, kw_only=True):
    """A point with a name."""

    name: str


@dataclass(frozen=True)
class Model:
    """What `Point` is to be."""

    x: int
    y: int = 0
    tags: list[str] = field(default_factory=list)
    secret: str = field(default="s", repr=False)


@pytest.mark.parametrize(
    ("arguments", "values"),
    [((1,), {}), ((1, 2), {"secret": "t"}), ((), {"x": 1, "tags": ["a"]}), ((1, 2, [], "u"), {})],
)
def test_what_is_given_and_what_is_not_are_its_fields(
    arguments: tuple[Any, ...], values: dict[str, Any]
) -> None:
    ours, model = Point(*arguments, **values), Model(*arguments, **values)
    assert asdict(ours) == asdict(model)
    assert repr(ours) == repr(model).replace("Model", "Point")
    assert [each.name for each in fields(ours)] == ["x", "y", "tags", "secret"]


@pytest.mark.parametrize(
    ("arguments", "values"),
    [((), {}), ((1, 2, [], "s", 5), {}), ((1,), {"x": 1}), ((1,), {"z": 1}), ((), {"y": 1})],
    ids=["none", "too many", "one twice", "an unknown one", "one missing"],
)
@pytest.mark.parametrize("kind", [Point, Model])
def test_other_arguments_are_refused(
    kind: type[Any], arguments: tuple[Any, ...], values: dict[str, Any]
) -> None:
    with pytest.raises(TypeError):
        kind(*arguments, **values)


def test_a_default_that_is_made_belongs_to_one_instance() -> None:
    assert Point(1).tags is not Point(1).tags


def test_nothing_is_assigned_or_deleted() -> None:
    point = Point(1)
    with pytest.raises(FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del point.x
    assert (point.x, point.double, point.double) == (1, 2, 2)


def test_equal_values_of_one_class_are_equal() -> None:
    point, named = Point(1, tags=[]), Named(1, name="n")
    assert point == Point(1, 0) != Point(2)
    assert point != named
    assert point != Model(1)
    assert hash(Pair("a")) == hash(Pair("a", 1))
    assert {Pair("a"), Pair("a", 1), Pair("b")} == {Pair("b"), Pair("a")}


class Pair(Frozen):
    """Two values that can be hashed."""

    first: str
    second: int = 1


def test_a_class_has_the_fields_of_its_base() -> None:
    named = Named(1, name="n")
    assert replace(named, y=3) == Named(1, 3, name="n")
    with pytest.raises(TypeError):
        Named(1, 2, [], "s", "n")  # type: ignore[call-arg]


def test_instances_are_copied_and_pickled() -> None:
    point = Point(1, tags=["a"])
    assert copy.copy(point) == copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == point
