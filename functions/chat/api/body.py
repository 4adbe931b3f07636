"""A request body, from bytes to a JSON object and back to bytes.

Images make bodies of megabytes. Long strings are cut out before the rest, which is then short, is parsed
(`docs/decisions/0035-large-requests.md`).
"""

from __future__ import annotations

import asyncio
import codecs
import json
import re
from collections import Counter
from contextvars import ContextVar
from typing import Any, NamedTuple

import orjson
from starlette.requests import Request

from functions.chat.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType

MAX_DEPTH = 100
# Parameters other than `charset` mean nothing of JSON. What has matched is not tried in another way: white
# space within others would double the work with each of them.
_JSON_TYPE = re.compile(
    r"application/(json|[\w.-]+\+json)\s*+"
    r"""(;\s*+(charset="?utf-?8"?|(?!charset)[\w-]+=("[\w .+/-]*"|[\w.+/-]*))?+\s*+)*+$""",
    re.IGNORECASE,
)
# In a body of more bytes than the first, strings of twice the second are cut out, if they have no escape.
_LARGE, _STRIDE = 64 * 1024, 8 * 1024
# What stands in their place: no JSON, but parsed where a value is due.
_CUT = b"-Infinity"
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_CONTROLS = bytes(range(32))
_CONTAINERS = frozenset((dict, list))


class _Long(NamedTuple):
    """A string that was cut out, its bytes as they came, and those of them that are not base64's."""

    text: str
    utf8: bytes
    odd: bytes


# Of the request of this task, by the string's id; emptied by `forget`.
_long: ContextVar[dict[int, _Long]] = ContextVar("chat.long", default={})  # noqa: B039 - this one stays empty


async def read_json(request: Request, max_bytes: int) -> dict[str, Any]:
    """Read a request's body, a JSON object.

    Raises: UnsupportedMediaType, BodyTooLarge, InvalidRequest.
    """
    content_type = request.headers.get("content-type", "")
    if not content_type and "origin" in request.headers:
        # A page may send this to any origin, without a preflight.
        raise UnsupportedMediaType("Expected the header `Content-Type: application/json` from a web page.")
    check_media_type(content_type, request.headers.get("content-encoding", ""))
    # Of one piece `join` makes no copy; `request.body` joins it with an empty one.
    raw = b"".join([piece async for piece in request.stream() if piece])
    if len(raw) > max_bytes:
        raise BodyTooLarge(f"The body is too large: {len(raw)} bytes. Expected at most {max_bytes}.")
    if len(raw) <= _LARGE:
        return parse_json(raw)
    await asyncio.sleep(0)  # other requests have their turn before it, and after
    parsed = parse_json(raw)
    await asyncio.sleep(0)
    return parsed


def check_media_type(content_type: str, content_encoding: str) -> None:
    """Accept JSON in UTF-8, and a body without a declared type.

    Raises: UnsupportedMediaType.
    """
    if content_type and not _JSON_TYPE.match(content_type.strip()):
        raise UnsupportedMediaType(
            "Expected a JSON body in UTF-8, but got another Content-Type. "
            "Send the header `Content-Type: application/json`."
        )
    if content_encoding.lower() not in ("", "identity"):
        raise UnsupportedMediaType("Expected a body without Content-Encoding. Send it uncompressed.")


def parse_json(raw: bytes) -> dict[str, Any]:
    """Parse a JSON object, strictly: no NaN, no duplicate keys, at most 100 levels.

    Raises: InvalidRequest, with what to correct.
    """
    cut = _parse_cut(raw) if len(raw) > _LARGE else None
    try:
        value, rest = cut or (_STRICT.decode(_text(raw)), raw)
    except UnicodeDecodeError as error:
        raise InvalidRequest(
            f"Expected a body in UTF-8, but the byte at position {error.start} is not."
        ) from error
    except json.JSONDecodeError as error:
        raise InvalidRequest(
            "Expected a JSON body, but it could not be parsed "
            f"(line {error.lineno}, column {error.colno}). Check quotes, commas and brackets."
        ) from error
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:  # an integer of thousands of digits
        raise InvalidRequest("The body holds a number that is too long.") from error
    if not isinstance(value, dict):
        raise InvalidRequest(f"Expected the body to be a JSON object, but got {kind(value)}.")
    # Of a small body, counting takes less time than looking.
    is_flat = len(rest) < _LARGE and rest.count(b"[") + rest.count(b"{") <= MAX_DEPTH
    if not is_flat and _deeper(value, MAX_DEPTH):
        raise _too_deep()
    return value


def to_json(value: dict[str, Any]) -> bytes:
    """Serialise a parsed body again.

    Raises: InvalidRequest, for what JSON text can spell but no engine can read.
    """
    try:
        raw = orjson.dumps(value)
        if b"null" not in raw:  # which is what it makes of infinity, too
            return raw
    except TypeError:  # half of a surrogate pair, or an integer of more than 64 bits
        pass
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest(
            "The body holds half of a surrogate pair (such as \\ud800), which is not a character."
        ) from error
    except ValueError as error:
        raise InvalidRequest("The body holds a number that is too large.") from error


def utf8_of(text: str) -> bytes:
    """Return the bytes of a text: those that came, if it is a long one of this request."""
    known = _long.get().get(id(text))
    return known.utf8 if known and known.text is text else text.encode()


def forget() -> None:
    """Keep no long string any longer: kept connections have the context that they were made in."""
    _long.get().clear()


def not_base64(text: str) -> bytes:
    """Return those bytes of a text that are not in base64's alphabet, padding among them."""
    known = _long.get().get(id(text))
    return known.odd if known and known.text is text else text.encode().translate(None, _BASE64)


def _text(raw: bytes) -> str:
    return raw.removeprefix(codecs.BOM_UTF8).decode()


def _parse_cut(raw: bytes) -> tuple[Any, bytes] | None:
    """Parse JSON without its long strings, and put them back; None, where that fails, or there are none.

    A string is cut out with its quotes. What stands in its place is read only where a value is due: if all
    are read, each was one whole value, and the JSON around them is valid if, and only if, it is with them.

    Shape:  the value, and the JSON that was parsed for it.
    """
    pieces: list[bytes] = []
    found: list[_Long] = []
    kept = at = 0
    try:
        while at < len(raw) - _STRIDE:
            if raw.find(b'"', at, at + _STRIDE) >= 0:
                at += _STRIDE
                continue
            begin, end = raw.rfind(b'"', kept, at), raw.find(b'"', at + _STRIDE)
            if begin < 0 or end < 0:
                break
            if raw.find(b"\\", begin, end) < 0:
                text = raw[begin + 1 : end]
                odd = text.translate(None, _BASE64)
                if len(odd.translate(None, _CONTROLS)) == len(odd):
                    pieces += raw[kept:begin], _CUT
                    found.append(_Long(text.decode(), text, odd))
                    kept = end + 1
            at = end + 1
        rest = b"".join([*pieces, raw[kept:]])
        if found and rest.count(_CUT) == len(found):
            left = (each.text for each in found)
            value = json.loads(
                _text(rest),
                parse_constant=lambda name: next(left) if name == _CUT.decode() else _no_constant(name),
                object_pairs_hook=_object,
            )
            if next(left, None) is None:
                _long.set({id(each.text): each for each in found})
                return value, rest
    except (ValueError, RecursionError, InvalidRequest):
        pass  # the whole is parsed for the error
    return None


def _no_constant(name: str) -> Any:
    raise InvalidRequest(f"Expected a JSON body, but {name} is not JSON. Send a number or null.")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = Counter(name for name, _ in pairs)
        twice = next(name for name, count in names.items() if count > 1)
        raise InvalidRequest(f"The key {shown(twice)} is there twice in one object. Send it once.")
    return value


_STRICT = json.JSONDecoder(parse_constant=_no_constant, object_pairs_hook=_object)


def _deeper(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        layer = [
            child
            for node in layer
            for child in (node.values() if type(node) is dict else node)
            if type(child) in _CONTAINERS
        ]
        if not layer:
            return False
    return True


def _too_deep() -> InvalidRequest:
    return InvalidRequest(f"The body is nested too deeply. Expected at most {MAX_DEPTH} levels.")


def kind(value: Any) -> str:
    """Name the JSON type of a value, with its article."""
    if value is None:
        return "null"
    names = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "an array"}
    return names.get(type(value), "an object")


def shown(value: Any) -> str:
    """Quote a value for an error message, cut at 60 characters."""
    text = value if isinstance(value, str) else json.dumps(value)
    text = text.encode("utf-8", "backslashreplace").decode()
    return f"'{text[:60]}…'" if len(text) > 60 else f"'{text}'"
