"""GraphQL's syntax tree, whose 64 classes are made in less than half the time.

graphql-core makes each a frozen dataclass, for which Python writes and compiles six methods when a process
starts: a tenth of a cold start. Here they share their methods, and are otherwise what they were.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from operator import attrgetter
from typing import Any, NoReturn

# Those of `graphql.language.ast.node_class`, and of nothing else there.
_OPTIONS = {"frozen": True, "kw_only": True, "repr": False}


@contextmanager
def quick_nodes() -> Iterator[None]:
    """Have `graphql`, which is imported here for the first time, make its nodes so."""
    original = dataclasses.dataclass

    def dataclass(cls: Any = None, /, **options: Any) -> Any:
        return _node if options == _OPTIONS else original(cls, **options)

    dataclasses.dataclass = dataclass
    try:
        yield
    finally:
        dataclasses.dataclass = original


def _node(cls: Any) -> Any:
    """Make a class what `dataclass(frozen=True, kw_only=True, repr=False)` makes it."""
    dataclasses.dataclass(init=False, repr=False, eq=False, match_args=False, kw_only=True)(cls)
    defaults = {each.name: each.default for each in dataclasses.fields(cls)}
    names = frozenset(defaults)
    required = {name for name, default in defaults.items() if default is dataclasses.MISSING}

    values_of = attrgetter(*defaults)  # each has `loc`

    def init(self: Any, **values: Any) -> None:
        if not required <= values.keys() <= names:
            wrong = sorted(required - values.keys()) or sorted(values.keys() - names)
            raise TypeError(f"{cls.__name__}: missing or unknown arguments: {', '.join(wrong)}")
        self.__dict__.update(defaults | values)

    def equal(self: Any, other: object) -> Any:
        return values_of(self) == values_of(other) if other.__class__ is cls else NotImplemented

    def hashed(self: Any) -> int:
        return hash(values_of(self))

    cls.__init__, cls.__eq__, cls.__hash__ = init, equal, hashed
    cls.__match_args__ = ()  # type: ignore[misc]
    cls.__setattr__, cls.__delattr__ = _set, _delete
    return cls


def _set(_: Any, name: str, __: Any) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")


def _delete(_: Any, name: str) -> NoReturn:
    raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
