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
# The name of the moment in a scope: a list, empty until it is needed.
NOW = "@now"
_BASE36 = string.digits + string.ascii_lowercase
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
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
    if kind == "param":
        name = value["prisma__value"]["name"]
        return lambda scope: scope[name]
    if kind == "generatorCall":
        name = value["prisma__value"]["name"]
        arguments = [argument(each) for each in value["prisma__value"]["args"]]
        if name == "now":
            return _now
        if name not in _GENERATORS:
            raise unsupported(f"the generator {name!r}")
        generate = _GENERATORS[name]
        return lambda scope: generate(*[each(scope) for each in arguments])
    return lambda _: value


def _now(scope: Scope) -> dt.datetime:
    """Return one moment for all of a plan, in milliseconds."""
    if not scope[NOW]:
        now = dt.datetime.now(dt.UTC)
        scope[NOW].append(now.replace(microsecond=now.microsecond // 1000 * 1000))
    moment: dt.datetime = scope[NOW][0]
    return moment


def new_scope(values: dict[str, Any]) -> Scope:
    """Return the scope of one run of a plan, with the moment of `now` that its nested scopes share."""
    return {NOW: [], **values}


def _digits(number: int, alphabet: str, length: int) -> str:
    """Write a number's last digits."""
    text = ""
    for _ in range(length):
        number, digit = divmod(number, len(alphabet))
        text = alphabet[digit] + text
    return text


def _random(alphabet: str, length: int) -> str:
    return _digits(secrets.randbelow(len(alphabet) ** length), alphabet, length)


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000


def _uuid(version: int = 4) -> str:
    if version == 4:
        return str(uuid.uuid4())
    if version == 7:
        number = _milliseconds() << 80 | secrets.randbits(80)
        return str(uuid.UUID(int=number & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62))
    raise unsupported(f"uuid({version})")


def _cuid(version: int = 1) -> str:
    if version == 2:
        return _random(string.ascii_lowercase, 1) + _random(_BASE36, 23)
    if version != 1:
        raise unsupported(f"cuid({version})")
    parts = (
        (_milliseconds(), 8),
        (next(_calls), 4),
        (os.getpid(), 2),
        (sum(map(ord, _HOST)) + len(_HOST) + 36, 2),
    )
    return "c" + "".join(_digits(number, _BASE36, length) for number, length in parts) + _random(_BASE36, 8)


def _ulid() -> str:
    return _digits(_milliseconds(), _CROCKFORD, 10) + _random(_CROCKFORD, 16)


def _nanoid(length: int = 21) -> str:
    return _random(_URL_SAFE, length)


def _product(left: Any, right: Any) -> list[list[Any]]:
    return [list(pair) for pair in itertools.product(as_list(left), as_list(right))]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


_GENERATORS: dict[str, Callable[..., Any]] = {
    "uuid": _uuid,
    "cuid": _cuid,
    "ulid": _ulid,
    "nanoid": _nanoid,
    "product": _product,
}
