"""The values that a plan has or makes: constants, parameters, ids, the time."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import secrets
import socket
import string
import time
import uuid
from collections.abc import Callable
from typing import Any

# What this package is made for. A test compares it with package.json.
COMPILER = "@prisma/query-compiler-wasm 7.10.0-4.0edf323efd1d98336f3f0a68684b56f689b900d3"

Scope = dict[str, Any]
# The name of the moment in a scope, one for all of a plan: nanoseconds since 1970.
NOW = "@now"
_BASE36 = string.digits + string.ascii_lowercase
_URL_SAFE = string.ascii_letters + string.digits + "_-"
_HOST = socket.gethostname()
_calls = itertools.count()


def unsupported(what: str) -> NotImplementedError:
    """Return the error for a part of a plan that this package does not know."""
    return NotImplementedError(f"expected a plan of {COMPILER}, but got {what}")


def argument(value: Any) -> Callable[[Scope], Any]:
    """Return a plan's value as a function of the scope: a constant, a parameter, a generator's call."""
    if isinstance(value, list):
        items = [argument(each) for each in value]
        return lambda scope: [each(scope) for each in items]
    kind = value.get("prisma__type") if isinstance(value, dict) else None
    if kind not in ("param", "generatorCall"):
        return lambda _: value
    name = value["prisma__value"]["name"]
    if kind == "param":
        return lambda scope: scope[name]
    if name == "now":
        return lambda scope: dt.datetime.fromtimestamp(scope[NOW] // 1_000_000 / 1000, dt.UTC)
    if name not in _GENERATORS:
        raise unsupported(f"the generator {name!r}")
    generate, arguments = _GENERATORS[name], argument(value["prisma__value"]["args"])
    return lambda scope: generate(*arguments(scope))


def _digits(number: int, alphabet: str, length: int) -> str:
    """Write a number's last digits."""
    text = ""
    for _ in range(length):
        number, digit = divmod(number, len(alphabet))
        text = alphabet[digit] + text
    return text


def _uuid(version: int) -> str:
    if version != 4:
        raise unsupported(f"uuid({version})")
    return str(uuid.uuid4())


def _cuid(version: int) -> str:
    if version != 1:
        raise unsupported(f"cuid({version})")
    parts = (
        (time.time_ns() // 1_000_000, 8),
        (next(_calls), 4),
        (os.getpid(), 2),
        (sum(map(ord, _HOST)) + len(_HOST) + 36, 2),
        (secrets.randbelow(36**8), 8),
    )
    return "c" + "".join([_digits(number, _BASE36, length) for number, length in parts])


def _nanoid(length: int = 21) -> str:
    return "".join([secrets.choice(_URL_SAFE) for _ in range(length)])


def _product(left: Any, right: Any) -> list[list[Any]]:
    return [list(pair) for pair in itertools.product(as_list(left), as_list(right))]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


_GENERATORS: dict[str, Callable[..., Any]] = {
    "uuid": _uuid,
    "cuid": _cuid,
    "nanoid": _nanoid,
    "product": _product,
}
