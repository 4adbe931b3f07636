"""Frozen dataclasses that take a tenth of the time to define.

`dataclasses` writes and compiles six methods for each frozen class when a process starts. That takes a
millisecond for each of the two dozen classes that a first completion needs: these share their methods.
"""

from __future__ import annotations

from dataclasses import MISSING, FrozenInstanceError, dataclass, field, fields
from typing import Any, NoReturn, dataclass_transform


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Frozen:
    """A base whose subclasses are as `dataclass(frozen=True)` makes them; `kw_only` as there.

    Shape:  what is not given is the class's own attribute, so that an instance holds little.
    """

    def __init_subclass__(cls, *, kw_only: bool = False, **others: Any) -> None:
        super().__init_subclass__(**others)
        dataclass(init=False, repr=False, eq=False, match_args=False, kw_only=kw_only)(cls)

    def __init__(self, *args: Any, **values: Any) -> None:
        own = fields(self)  # type: ignore[arg-type]
        if args:
            names = [each.name for each in own if not each.kw_only]
            given = dict(zip(names, args, strict=False))
            if len(args) > len(names) or not values.keys().isdisjoint(given):
                raise TypeError(f"{type(self).__name__}: too many arguments, or one of them twice")
            values |= given
        for each in own:
            if each.name not in values:
                if each.default_factory is not MISSING:
                    values[each.name] = each.default_factory()
                elif each.default is MISSING:
                    raise TypeError(f"{type(self).__name__}: {each.name} is missing")
        if not values.keys() <= self.__dataclass_fields__.keys():  # type: ignore[attr-defined]
            raise TypeError(f"{type(self).__name__}: unknown arguments among {', '.join(values)}")
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
