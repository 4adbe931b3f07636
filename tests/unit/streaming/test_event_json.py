"""A large event is what `json.loads` makes of it, whatever is cut out on the way."""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lambda_stream import _event_json

RUNS = st.sampled_from(["A" * 40, "Zürich " * 8, "a/b+" * 12, "x" * 17 + '"' + "y" * 30, "\\" * 3 + "z" * 33])
texts = st.lists(RUNS | st.text('ab"\\/\n\x7fé🙂\ud83d@ 0', max_size=6), max_size=4).map("".join)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4),
    max_leaves=8,
)


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Make large what is small enough for a search."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_event_json, "_LARGE", 0)
        patch.setattr(_event_json, "_STRIDE", 16)
        patch.setattr(_event_json, "_SHARE", 0)
        yield


def strict(encode: Callable[[str], bytes]) -> Callable[[str], bytes | None]:
    """Return an encoder that gives None for what cannot be encoded."""

    def encoded(text: str) -> bytes | None:
        try:
            return encode(text)
        except UnicodeEncodeError:
            return None

    return encoded


def outcome(load: Any, payload: bytes) -> Any:
    try:
        return repr(load(payload))
    except (ValueError, RecursionError) as error:
        return type(error), str(error)


def as_written(value: Any, ascii_only: bool, indent: int | None) -> bytes:
    return json.dumps({"body": value}, ensure_ascii=ascii_only, indent=indent).encode(
        "utf-8", "surrogatepass"
    )


@given(values, st.booleans(), st.sampled_from([None, 1]))
def test_an_event_is_what_the_standard_library_reads(
    value: Any, ascii_only: bool, indent: int | None
) -> None:
    payload = as_written(value, ascii_only, indent)
    assert outcome(_event_json.load, payload) == outcome(json.loads, payload)


@given(texts, st.booleans())
def test_the_bytes_of_its_body_are_those_of_the_text(text: str, ascii_only: bool) -> None:
    event = _event_json.load(as_written(text, ascii_only, None))
    first, again = (encoded(event["body"]) for encoded in (strict(_event_json.utf8_of), strict(str.encode)))
    assert first == again == strict(_event_json.utf8_of)(event["body"])


@given(values, st.data())
def test_a_broken_event_is_refused_with_the_same_words(value: Any, data: st.DataObject) -> None:
    payload = as_written(value, ascii_only=False, indent=None)
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(payload))] * 2)))
    broken = (
        payload[:begin] + data.draw(st.sampled_from([b"", b'"', b"\\", b"\xff", b"@", b"{"])) + payload[end:]
    )
    assert outcome(_event_json.load, broken) == outcome(json.loads, broken)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"])
def test_an_event_in_another_encoding_is_read_as_before(encoding: str) -> None:
    payload = json.dumps({"body": "A" * 100}).encode(encoding)
    assert outcome(_event_json.load, payload) == outcome(json.loads, payload)


@pytest.mark.parametrize("like", ["\x7f0\x7f", "\\u007f0\\u007f", "\\u007F0\x7f", "\x7f\\u0030\x7f", "\x7f"])
@pytest.mark.parametrize(
    "payload",
    [
        '{"a":"%s","b":"%s"}',
        '{"a":"%s","b":{"c":"%s"}}',
        '{"a":["%s"],"b":"%s"}',
        '{"b":"%s","b":"%s"}',
        '{"%s":1,"b":"%s"}',
    ],
)
def test_a_text_like_what_stands_for_a_run_is_a_text(payload: str, like: str) -> None:
    for texts in ((like, "A" * 100), ("A" * 100, like)):
        raw = (payload % texts).encode()
        assert outcome(_event_json.load, raw) == outcome(json.loads, raw)


def test_of_a_large_body_in_one_string_hardly_anything_is_read_character_by_character(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    parse = json.loads

    def watched(text: bytes) -> Any:
        seen.append(len(text))
        return parse(text)

    monkeypatch.setattr(json, "loads", watched)
    body = json.dumps({"url": "data:image/png;base64," + "A" * 5_000_000})
    assert _event_json.load(json.dumps({"body": body}).encode()) == {"body": body}
    assert sum(seen) < 200


@pytest.mark.parametrize("every", [300, 4200, 8300])
def test_no_text_makes_a_large_event_much_slower_than_the_standard_library(
    every: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A text of one string was searched from each of its escapes to its end."""
    for name, value in (("_LARGE", 64 * 1024), ("_STRIDE", 4 * 1024), ("_SHARE", 4)):
        monkeypatch.setattr(_event_json, name, value)
    text = ("x" * every + "\n") * (5_800_000 // every)
    payload = json.dumps({"body": json.dumps({"content": text})}).encode()

    def cpu_s(load: Callable[[bytes], Any]) -> float:
        took = []
        for _ in range(5):
            began = time.thread_time()
            load(payload)
            took.append(time.thread_time() - began)
        return min(took)

    assert cpu_s(_event_json.load) < 5 * cpu_s(json.loads)
