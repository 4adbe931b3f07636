"""Frozen dataclasses that take a tenth of the time to define.

`dataclasses` writes and compiles six methods for each frozen class when a process starts. That takes a
millisecond for each of the two dozen classes that a first completion needs: these share their methods.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from typing import Any, ClassVar, NoReturn, dataclass_transform


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Frozen:
    """A base whose subclasses are as `dataclass(frozen=True)` makes them; `kw_only` as there.

    Shape:  what is not given is the class's own attribute, so that an instance holds little.
    """

    _names: ClassVar[frozenset[str]]
    _in_order: ClassVar[tuple[str, ...]]
    _required: ClassVar[frozenset[str]]
    _factories: ClassVar[tuple[tuple[str, Callable[[], Any]], ...]]

    def __init_subclass__(cls, *, kw_only: bool = False, **others: Any) -> None:
        super().__init_subclass__(**others)
        dataclass(init=False, repr=False, eq=False, match_args=False, kw_only=kw_only)(cls)
        own = fields(cls)  # type: ignore[arg-type]
        made = [each for each in own if each.default_factory is not MISSING]
        cls._names = frozenset(each.name for each in own)
        cls._in_order = tuple(each.name for each in own if not each.kw_only)
        cls._required = frozenset(each.name for each in own if each.default is MISSING and each not in made)
        cls._factories = tuple((each.name, each.default_factory) for each in made)  # type: ignore[misc]

    def __init__(self, *args: Any, **values: Any) -> None:
        if args:
            given = dict(zip(self._in_order, args, strict=False))
            if len(args) > len(self._in_order) or not values.keys().isdisjoint(given):
                raise TypeError(f"{type(self).__name__}: too many arguments, or one of them twice")
            values |= given
        for name, make in self._factories:
            if name not in values:
                values[name] = make()
        if not self._required <= values.keys() <= self._names:
            wrong = (self._required - values.keys()) | (values.keys() - self._names)
            raise TypeError(f"{type(self).__name__}: missing or unknown: {', '.join(sorted(wrong))}")
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise FrozenInstanceError(f"cannot assign to field {name!r}")

    def __delattr__(self, name: str) -> NoReturn:
        raise FrozenInstanceError(f"cannot delete field {name!r}")

    def __repr__(self) -> str:
        shown = (f"{each.name}={getattr(self, each.name)!r}" for each in fields(self) if each.repr)  # type: ignore[arg-type]
        return f"{type(self).__qualname__}({', '.join(shown)})"

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and _values(other) == _values(self)

    def __hash__(self) -> int:
        return hash(_values(self))


def _values(of: Any) -> tuple[Any, ...]:
    return tuple(getattr(of, each.name) for each in fields(of))
