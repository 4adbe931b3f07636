"""Bytes → JSON object → bytes."""

import json
import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from functions.chat.api import body
from functions.chat.errors import BodyTooLarge, InvalidRequest, UnsupportedMediaType


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "application/json",
        "Application/JSON",
        "application/json;charset=utf-8",
        'application/json; charset="UTF-8"',
        "application/json; charset=utf8 ;",
        " application/json ",
        "application/vnd.api+json",
        "application/json; version=1",
        "application/json;odata=verbose;charset=utf-8",
        'application/json; charset=UTF-8; profile="a/b c"',
    ],
)
def test_json_is_accepted(content_type: str) -> None:
    body.check_media_type(content_type, "")
    body.check_media_type(content_type, "Identity")


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "application/jsonp",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=json",
        "application/json; charset=latin-1",
        "application/json; version=1; charset=utf-16",
        "application/json; charset=utf-8, text/plain",
        "application/json" + ";a=b" * 5000 + "/,",
        "application/json" + "; " * 5000 + "/",
        "application/json" + "; a=b " * 5000 + "/",
        'application/json; a="b',
        "application/json, text/plain",
        "application/json\napplication/json",
        "json",
        "\xff",
    ],
)
def test_other_media_types_are_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="Content-Type: application/json"):
        body.check_media_type(content_type, "")


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd", "gzip, identity"])
def test_encoded_bodies_are_refused(encoding: str) -> None:
    with pytest.raises(UnsupportedMediaType, match="uncompressed"):
        body.check_media_type("application/json", encoding)


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b"{}", {}),
        (b' {"a": [1, 2.5, null, true, "\xc3\xa9"]} ', {"a": [1, 2.5, None, True, "é"]}),
        (b'{"a":{"a":1},"b":{"a":1}}', {"a": {"a": 1}, "b": {"a": 1}}),
        (b'{"a":"\\ud83d\\ude42"}', {"a": "🙂"}),
        (b"\xef\xbb\xbf\r\n{}", {}),
        (b'{"a":' + b"[" * 98 + b"]" * 98 + b"}", None),
        (b'{"a":"' + b"[{" * 500 + b'"}', {"a": "[{" * 500}),
        (b'{"a":[' + b"[]," * 500 + b"[]]}", {"a": [[]] * 501}),
    ],
    ids=range(8),
)
def test_parses_objects(raw: bytes, value: dict[str, Any] | None) -> None:
    parsed = body.parse_json(raw)
    assert value is None or parsed == value


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"", "could not be parsed"),
        (b" ", "could not be parsed"),
        (b"{", "line 1, column 2"),
        (b'{"a":\n1,}', "line 2"),
        (b"{'a': 1}", "could not be parsed"),
        (b"{} {}", "could not be parsed"),
        (b'{"a":"\x01"}', "could not be parsed"),
        (b"[]", "an array"),
        (b'"x"', "a string"),
        (b"1", "an integer"),
        (b"1.5", "a number"),
        (b"true", "a boolean"),
        (b"null", "null"),
        (b'{"a":NaN}', "NaN is not JSON"),
        (b'{"a":[-Infinity]}', "-Infinity is not JSON"),
        (b'{"a":1,"b":2,"a":3}', "'a' is there twice"),
        (b'{"a":{"b":1,"b":1}}', "'b' is there twice"),
        (b'{"\\ud800":1,"\\ud800":1}', r"'\\ud800' is there twice"),
        (b'{"a":"\xff"}', "the byte at position 6"),
        ('{"a":1}'.encode("utf-16"), "the byte at position 0"),
        ('{"a":1}'.encode("utf-16-le"), "could not be parsed"),
        (b'{"a":' + b"9" * 5000 + b"}", "too long"),
        (b"[" * 500_000, "nested too deeply"),
        (b'{"a":' * 500_000, "nested too deeply"),
        (b'{"a":' + b"[" * 200 + b"]" * 200 + b"}", "nested too deeply"),
        (b'{"a":' * 101 + b"1" + b"}" * 101, "nested too deeply"),
    ],
    ids=lambda each: repr(each[:30]),
)
def test_refuses_other_bodies_and_says_why(raw: bytes, text: str) -> None:
    with pytest.raises(InvalidRequest, match=text) as raised:
        body.parse_json(raw)
    assert (raised.value.param, raised.value.code) == (None, None)
    assert len(raised.value.message) < 300


def test_exactly_a_hundred_levels_are_allowed() -> None:
    body.parse_json(b'{"a":' * 100 + b"1" + b"}" * 100)


def test_a_duplicate_among_many_keys_is_found_quickly() -> None:
    many = {f"k{number}": 1 for number in range(60_000)}
    raw = json.dumps(many).encode()[:-1] + b',"k59999":1}'
    began = time.process_time()
    with pytest.raises(InvalidRequest, match="'k59999' is there twice"):
        body.parse_json(raw)
    assert time.process_time() - began < 1


def test_serialises_compactly_and_without_escapes() -> None:
    assert body.to_json({"a": ["é", None, 1.5]}) == '{"a":["é",null,1.5]}'.encode()


@pytest.mark.parametrize(
    ("raw", "text"), [(b'{"a":"\\ud800"}', "surrogate"), (b'{"a":1e999}', "too large")], ids=str
)
def test_refuses_what_no_engine_can_read(raw: bytes, text: str) -> None:
    with pytest.raises(InvalidRequest, match=text):
        body.to_json(body.parse_json(raw))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None, database=None, derandomize=True)
@given(st.dictionaries(st.text(), JSON, max_size=4))
def test_what_is_parsed_is_serialised_to_the_same(value: dict[str, Any]) -> None:
    assert body.parse_json(body.to_json(value)) == value


@settings(max_examples=200, deadline=None, database=None, derandomize=True)
@given(st.binary(max_size=60) | st.text(alphabet='{}[]",:\\u0d8eNaN1.-+ \n', max_size=40).map(str.encode))
def test_no_bytes_raise_anything_else(raw: bytes) -> None:
    with suppress(InvalidRequest):
        body.to_json(body.parse_json(raw))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a", "'a'"),
        (1, "'1'"),
        (None, "'null'"),
        ("x" * 61, f"'{'x' * 60}…'"),
        ({"a": "é"}, '\'{"a": "\\u00e9"}\''),
    ],
)
def test_values_are_quoted_and_cut(value: Any, shown: str) -> None:
    assert body.shown(value) == shown


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("headers", "refused"),
    [
        ({}, False),
        ({"content-type": "application/json", "origin": "https://chat.example"}, False),
        ({"origin": "https://evil.example"}, True),
        ({"content-type": "text/plain", "origin": "https://evil.example"}, True),
    ],
    ids=str,
)
async def test_a_web_page_has_to_declare_json(headers: dict[str, str], refused: bool) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"{}", "more_body": False}

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "http", "method": "POST", "headers": raw}
    if refused:
        with pytest.raises(UnsupportedMediaType, match="Content-Type: application/json"):
            await body.read_json(Request(scope, receive), 100)
    else:
        assert await body.read_json(Request(scope, receive), 100) == {}
        with pytest.raises(BodyTooLarge, match="at most 1"):
            await body.read_json(Request(scope, receive), 1)
