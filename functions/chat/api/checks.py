"""Rules for a parsed JSON body: an endpoint's schema is a table of them, nested like the body.

A check returns what of the value may be sent on: members without a rule and those that are null are left out,
at every level that has rules; what lies inside a map without rules is as it came. Nothing is converted, and
types are exact. Faults are found in the order of the table, and the first is raised. `json_schema.py` writes
the same table for `/openapi.json`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Protocol

from functions.chat.api import faults
from functions.chat.api.faults import Path


class Rule(Protocol):
    """What a value must be."""

    def check(self, value: Any, path: Path) -> Any:
        """Check a value and all within it; return what of it may be sent on.

        Raises: InvalidRequest for the first fault.
        """


class Boolean:
    """`true` or `false`."""

    def check(self, value: Any, path: Path) -> Any:
        if type(value) is not bool:
            raise faults.wrong_type("a boolean", value, path)
        return value


class Integer:
    """An integer within limits; 1.0 is not one."""

    def __init__(self, *, minimum: int, maximum: int | None = None) -> None:
        self.minimum, self.maximum = minimum, maximum

    def check(self, value: Any, path: Path) -> Any:
        if type(value) is not int:
            raise faults.wrong_type("an integer", value, path)
        if value < self.minimum:
            raise faults.below_minimum("integer", value, self.minimum, path)
        if self.maximum is not None and value > self.maximum:
            raise faults.above_maximum("integer", value, self.maximum, path)
        return value


class Number:
    """A finite number within limits."""

    def __init__(self, *, minimum: float, maximum: float) -> None:
        self.minimum, self.maximum = minimum, maximum

    def check(self, value: Any, path: Path) -> Any:
        if type(value) is not float and type(value) is not int:
            raise faults.wrong_type("a number", value, path)
        if type(value) is float and not math.isfinite(value):
            raise faults.wrong_type("a finite number", value, path)
        if value < self.minimum:
            raise faults.below_minimum("decimal", value, self.minimum, path)
        if value > self.maximum:
            raise faults.above_maximum("decimal", value, self.maximum, path)
        return value


class Enum:
    """One of a few strings."""

    def __init__(self, *values: str) -> None:
        self.values = values

    def check(self, value: Any, path: Path) -> Any:
        if type(value) is not str or value not in self.values:
            raise faults.unsupported(value, self.values, path)
        return value


class String:
    """A string; its length counts characters, and a pattern must match all of it."""

    def __init__(
        self, *, not_empty: bool = False, max_length: int | None = None, pattern: str | None = None
    ) -> None:
        self.not_empty, self.max_length, self.pattern = not_empty, max_length, pattern
        self._regex = re.compile(pattern) if pattern else None
        self._is_limited = not_empty or max_length is not None or pattern is not None

    def check(self, value: Any, path: Path) -> Any:
        if type(value) is not str:
            raise faults.wrong_type("a string", value, path)
        if not self._is_limited:
            return value
        try:
            value.encode()
        except UnicodeEncodeError:  # half of a surrogate pair
            raise faults.invalid(path) from None
        if self.not_empty and not value:
            raise faults.empty("string", path)
        if self.max_length is not None and len(value) > self.max_length:
            raise faults.too_long("string", self.max_length, path)
        if self._regex and not self._regex.fullmatch(value):
            raise faults.unmatched(value, self._regex.pattern, path)
        return value


class Array:
    """An array of one item or more, all under one rule."""

    def __init__(self, items: Rule, *, max_length: int | None = None) -> None:
        self.items, self.max_length = items, max_length

    def check(self, value: Any, path: Path) -> Any:
        if type(value) is not list:
            raise faults.wrong_type("an array", value, path)
        if not value:
            raise faults.empty("array", path)
        if self.max_length is not None and len(value) > self.max_length:
            raise faults.too_long("array", self.max_length, path)
        check = self.items.check
        return [check(item, (path, index)) for index, item in enumerate(value)]


class OneKind:
    """An array of items that are all of one kind: the type of the first says which rule holds for it."""

    def __init__(self, arrays: Mapping[type, Array], expected: str) -> None:
        self.arrays, self.expected = arrays, expected

    def check(self, value: Any, path: Path) -> Any:
        if type(value) is not list:
            raise faults.wrong_type("an array", value, path)
        if not value:
            raise faults.empty("array", path)
        if type(value[0]) not in self.arrays:
            raise faults.wrong_type(self.expected, value[0], (path, 0))
        return self.arrays[type(value[0])].check(value, path)


class Map:
    """An object whose members have names of the caller's choice; it is sent on as it came."""

    def __init__(
        self,
        values: Rule | None = None,
        *,
        keys: String | None = None,
        refused: frozenset[str] = frozenset(),
        max_length: int | None = None,
    ) -> None:
        self.values, self.keys, self.refused, self.max_length = values, keys, refused, max_length

    def check(self, value: Any, path: Path) -> Any:
        if type(value) is not dict:
            raise faults.wrong_type("an object", value, path)
        if self.max_length is not None and len(value) > self.max_length:
            raise faults.too_long("object", self.max_length, path)
        for name, member in value.items():
            if self.keys:
                self.keys.check(name, (path, name))
            if self.values:
                self.values.check(member, (path, name))
            if name in self.refused:
                raise faults.unknown(path, name, "It is not for callers to set. Leave it out.")
        return value


class Refused:
    """Nothing but null: what is not served here. `why` is a sentence or more, with what to do instead."""

    def __init__(self, why: str, *, code: str = "unsupported_parameter") -> None:
        self.why, self.code = why, code

    def check(self, _: Any, path: Path) -> Any:
        raise faults.not_served(path, self.why, self.code)


class Member:
    """A member of an object: its rule, and what is said of it. Its default is described, not set.

    Shape:  `is_required`: it must be there. `is_nullable`: null is the same as absent. `empty`: so is this
            empty array or object.
    """

    def __init__(
        self,
        rule: Rule,
        description: str,
        default: Any,
        *,
        is_required: bool,
        is_nullable: bool,
        may_be_empty: bool,
    ) -> None:
        self.rule, self.description, self.default = rule, description, default
        self.is_required, self.is_nullable = is_required, is_nullable
        self.empty: Any = ({} if isinstance(rule, Map) else []) if may_be_empty else None


def required(
    rule: Rule, description: str = "", *, nullable: bool = False, may_be_empty: bool = False
) -> Member:
    """Return a member that must be there; it is left out where it may be null or empty, and is."""
    return Member(rule, description, None, is_required=True, is_nullable=nullable, may_be_empty=may_be_empty)


def optional(rule: Rule, description: str = "", *, default: Any = None, may_be_empty: bool = False) -> Member:
    """Return a member that may be absent or null; where it `may_be_empty`, empty is the same."""
    return Member(rule, description, default, is_required=False, is_nullable=True, may_be_empty=may_be_empty)


class Object:
    """An object with known members; any others are left out."""

    def __init__(self, name: str, members: Mapping[str, Member], description: str = "") -> None:
        self.name, self.members, self.description = name, members, description
        self._checks = [
            (key, member.rule.check, member.is_required, member.is_nullable, member.empty)
            for key, member in members.items()
        ]

    def check(self, value: Any, path: Path) -> Any:
        if type(value) is not dict:
            raise faults.wrong_type("an object", value, path)
        kept = {}
        for key, check, is_required, is_nullable, empty in self._checks:
            if key not in value:
                if is_required:
                    raise faults.missing((path, key))
                continue
            member = value[key]
            if member is None:
                if is_nullable:
                    continue
            elif empty is not None and member == empty:
                continue
            kept[key] = check(member, (path, key))
        return kept


class TaggedUnion:
    """One of several objects: the string in the member `tag` says which, else the `otherwise`.

    Shape:  `refused`: known tags that are not served → what to do instead, a sentence or more.
    """

    def __init__(
        self,
        tag: str,
        objects: Mapping[str, Object],
        *,
        otherwise: str | None = None,
        refused: Mapping[str, str] | None = None,
    ) -> None:
        self.tag, self.objects, self.otherwise = tag, objects, otherwise
        self.refused = refused or {}

    def check(self, value: Any, path: Path) -> Any:
        if type(value) is not dict:
            raise faults.wrong_type("an object", value, path)
        if self.otherwise and value.get(self.tag) in (None, ""):
            value = {**value, self.tag: self.otherwise}
        if self.tag not in value:
            raise faults.missing((path, self.tag))
        tag = value[self.tag]
        if type(tag) is not str:
            raise faults.wrong_type("a string", tag, (path, self.tag))
        if why := self.refused.get(tag):
            raise faults.value_not_served(tag, (path, self.tag), why)
        if tag not in self.objects:
            raise faults.unsupported(tag, self.objects, (path, self.tag))
        return self.objects[tag].check(value, path)


class StringOr:
    """A string, or what else may stand in its place: an array or an object.

    Shape:  `member`: the string becomes an object, with it as this member.
    """

    def __init__(
        self, other: Rule, *, string: String | Enum | None = None, member: str | None = None
    ) -> None:
        self.other, self.string, self.member = other, string or String(), member

    def check(self, value: Any, path: Path) -> Any:
        is_array = isinstance(self.other, Array | OneKind)
        if type(value) is list or (type(value) is dict and not is_array):
            return self.other.check(value, path)
        if type(value) is not str and isinstance(self.string, String):
            other = "an array" if is_array else "an object"
            raise faults.wrong_type(f"a string or {other}", value, path)
        if self.member and type(value) is str:
            return self.other.check({self.member: value}, path)
        return self.string.check(value, path)
