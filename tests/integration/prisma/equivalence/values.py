"""Values for fields, in the notation of a recording: so few that calls meet."""

from __future__ import annotations

import base64
import datetime as dt
from collections.abc import Callable
from random import Random
from typing import Any

from tests.integration.prisma.equivalence.notation import decimal, time
from tests.integration.prisma.equivalence.schema import Field, Schema

UUIDS = [f"00000000-0000-4000-8000-00000000000{n}" for n in range(8)]
TEXTS = ["a", "b", "ab", "A", "%", "_", "é", "x y", "", "it's", 'q"\\', "b1", "b2"]
_TIMES = [dt.datetime(2024, 2, day, 10, 20, 30, 456000, tzinfo=dt.UTC) for day in (27, 28, 29)]
_EARLY = [
    dt.datetime(1600, 1, 1, tzinfo=dt.UTC),
    dt.datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=dt.UTC),
]
_JSON = [{"a": 1}, [1, "x"], {"a": {"b": [True, None]}}, {}, [], {"n": 1.5, "é": "\"'\\"}]


class Values:
    """Draws values."""

    def __init__(self, random: Random, schema: Schema) -> None:
        self.random = random
        self._schema = schema

    def one(self, each: Field) -> Any:
        """Draw a value that a field may have; lists are lists of these."""
        choice = self.random.choice
        if each.type in self._schema.enums:
            return choice(self._schema.enums[each.type])
        draw: dict[str, Callable[[], Any]] = {
            "String": lambda: self._text(each),
            "Int": lambda: choice([0, 1, 2, 3, 4, 5, 6, 7, -1, 12]),
            "BigInt": lambda: choice([0, 1, 2, 3, 4, 2**60, -(2**53) - 1, 9007199254740993]),
            "Float": lambda: choice([0.0, 1, 1.5, 2.0, -0.25, 1e20, 1e-7, 3]),
            "Decimal": lambda: decimal(choice(["0", "1", "1.5", "1.50", "12.34", "-2.25", "99.9", "7"])),
            "Boolean": lambda: choice([True, False]),
            "Json": lambda: {"$json": choice(_JSON)},
            "Bytes": lambda: {"$bytes": base64.b64encode(choice([b"", b"\x00\xff", b"abc"])).decode()},
            "DateTime": lambda: time(choice(_TIMES + _EARLY if self.random.random() < 0.1 else _TIMES)),
        }
        return draw[each.type]()

    def some(self, each: Field, most: int = 3) -> list[Any]:
        """Draw a list of values."""
        return [self.one(each) for _ in range(self.random.randint(0, most))]

    def whole(self, each: Field) -> Any:
        """Draw what a field holds: a value, a list where it is one."""
        return self.some(each) if each.many else self.one(each)

    def _text(self, each: Field) -> str:
        if each.native == "Uuid":
            return self.random.choice(UUIDS)
        if each.native == "Char":
            return self.random.choice(["12345", "00000", "abcde"])
        return self.random.choice(TEXTS)
