"""What a plan makes by itself: constants, parameters, ids, the time."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import time
import uuid
from collections.abc import Callable
from typing import Any

Scope = dict[str, Any]
NOW = "@now"
# What this package is made for; a test holds it to package.json.
COMPILER = "@prisma/query-compiler-wasm 7.10.0-4.0edf323efd1d98336f3f0a68684b56f689b900d3"


def argument(value: Any) -> Callable[[Scope], Any]:
    """Make a function of a value in a plan: a constant, a parameter, or a call of a generator."""
    if isinstance(value, dict) and value.get("prisma__type") == "param":
        name = value["prisma__value"]["name"]

        def parameter(scope: Scope) -> Any:
            return scope[name]

        return parameter
    if isinstance(value, dict) and value.get("prisma__type") == "generatorCall":
        generate = _GENERATORS[value["prisma__value"]["name"]]
        arguments = [argument(each) for each in value["prisma__value"]["args"]]
        return lambda scope: generate(scope, *[each(scope) for each in arguments])
    if isinstance(value, list):
        items = [argument(each) for each in value]
        return lambda scope: [each(scope) for each in items]
    return lambda scope: value


def _now(scope: Scope) -> dt.datetime:
    """Return one moment for all of a plan."""
    if not scope[NOW]:
        now = dt.datetime.now(dt.UTC)
        scope[NOW].append(now.replace(microsecond=now.microsecond // 1000 * 1000))
    return scope[NOW][0]


def _random(alphabet: str, length: int) -> str:
    size = len(alphabet)
    return "".join(alphabet[int.from_bytes(os.urandom(4)) % size] for _ in range(length))


_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_URL = "useandom-26T198340PX75pxJACKVERYMINDBUSHWOLF_GQZbfghjklqvwyzrict"
_counter = itertools.count()


def _digits(number: int, alphabet: str, length: int) -> str:
    text = ""
    for _ in range(length):
        number, rest = divmod(number, len(alphabet))
        text = alphabet[rest] + text
    return text


def _uuid(scope: Scope, version: int = 4) -> str:
    if version == 4:
        return str(uuid.uuid4())
    head = time.time_ns() // 1_000_000 << 80 | int.from_bytes(os.urandom(10))
    return str(uuid.UUID(int=head & ~(0xF << 76) & ~(0x3 << 62) | 0x7 << 76 | 0x2 << 62))


def _cuid(scope: Scope, version: int = 1) -> str:
    if version == 2:
        return _random(_BASE36[10:], 1) + _random(_BASE36, 23)
    return (
        "c"
        + _digits(int(time.time() * 1000), _BASE36, 8)
        + _digits(next(_counter) % 36**4, _BASE36, 4)
        + _digits(os.getpid() % 36**4, _BASE36, 4)
        + _random(_BASE36, 8)
    )


def _product(scope: Scope, left: Any, right: Any) -> list[Any]:
    return [
        [a, b]
        for a in (left if isinstance(left, list) else [left])
        for b in (right if isinstance(right, list) else [right])
    ]


_GENERATORS: dict[str, Any] = {
    "now": _now,
    "uuid": _uuid,
    "cuid": _cuid,
    "ulid": lambda scope: _digits(int(time.time() * 1000), _CROCKFORD, 10) + _random(_CROCKFORD, 16),
    "nanoid": lambda scope, length=21: _random(_URL, length),
    "product": _product,
}
