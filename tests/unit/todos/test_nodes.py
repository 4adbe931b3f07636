"""GraphQL's nodes, as graphql-core makes them and as a function does."""

import copy
import dataclasses
from importlib.util import module_from_spec, spec_from_file_location
from inspect import getmembers, isclass
from typing import Any

import pytest
from graphql.language import ast

from functions.todos.nodes import quick_nodes


def loaded() -> dict[str, type[Any]]:
    """Return the classes of graphql-core's syntax tree, defined again."""
    spec = spec_from_file_location(ast.__name__, ast.__file__)
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: each for name, each in getmembers(module, isclass) if issubclass(each, module.Node)}


@pytest.fixture(scope="module")
def both() -> tuple[dict[str, type[Any]], dict[str, type[Any]]]:
    theirs = loaded()
    with quick_nodes():
        ours = loaded()
    return theirs, ours


def made(of: type[Any], value: str) -> Any:
    return of(**{each.name: f"{value} {each.name}" for each in dataclasses.fields(of)})


def test_each_has_the_same_fields_and_defaults(
    both: tuple[dict[str, type[Any]], dict[str, type[Any]]],
) -> None:
    theirs, ours = both
    assert len(ours) == 64
    assert theirs.keys() == ours.keys()
    for name, of in ours.items():
        shapes = [
            [(each.name, each.default, each.init, each.kw_only) for each in dataclasses.fields(each_of)]
            for each_of in (theirs[name], of)
        ]
        assert shapes[0] == shapes[1], name
        assert of.__dict__["__init__"] is not theirs[name].__dict__["__init__"]
        assert (of.kind, of.keys, of.__match_args__) == (theirs[name].kind, theirs[name].keys, ())


def test_each_is_made_compared_hashed_and_copied_alike(
    both: tuple[dict[str, type[Any]], dict[str, type[Any]]],
) -> None:
    for of, their in zip(both[1].values(), both[0].values(), strict=True):
        one, same, other = made(of, "one"), made(of, "one"), made(of, "other")
        assert one == same != other
        assert hash(one) == hash(same) != hash(other)
        assert one != made(their, "one")
        assert (vars(one), of.__repr__.__qualname__) == (vars(made(their, "one")), "Node.__repr__")
        assert copy.copy(one) == copy.deepcopy(one) == dataclasses.replace(one) == one
        assert dataclasses.replace(one, loc=None) != one
        with pytest.raises(TypeError):
            of(unknown=1)
        with pytest.raises(TypeError):
            of("positional")
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'loc'"):
            one.loc = None
        with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'loc'"):
            del one.loc


def test_a_missing_value_is_named(both: tuple[dict[str, type[Any]], dict[str, type[Any]]]) -> None:
    with pytest.raises(TypeError, match=r"NameNode: missing or unknown arguments: value$"):
        both[1]["NameNode"]()


def test_other_dataclasses_are_python_s_own() -> None:
    with quick_nodes():

        @dataclasses.dataclass(frozen=True)
        class Own:
            value: int

    assert Own.__match_args__ == ("value",)
    assert dataclasses.dataclass.__module__ == "dataclasses"
