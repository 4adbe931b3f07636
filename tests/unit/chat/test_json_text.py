"""What orjson reads and writes is what the standard library would."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.chat import json_text

LONG = st.integers(-(2**70), 2**70) | st.sampled_from([2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1])
# Half a surrogate pair, and what some clients take for the end of a line.
texts = st.text(st.characters() | st.sampled_from('\ud83d\ude42\u0085\u2028\u2029\x00\x1f\x7f"\\/'))
values = st.recursive(
    st.none() | st.booleans() | LONG | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4),
    max_leaves=8,
)


def outcome(parse: Any, text: bytes) -> Any:
    try:
        value = parse(text)
    except (ValueError, RecursionError) as error:
        return "ValueError" if isinstance(error, ValueError) else "RecursionError"
    return repr(value)


def stock(text: bytes) -> Any:
    def finite(number: str) -> float:
        if float(number) in (float("inf"), float("-inf")) or number == "NaN":
            raise ValueError
        return float(number)

    return json.loads(text.decode(), parse_constant=finite, parse_float=finite)


@given(values, st.booleans())
def test_what_is_parsed_is_what_the_standard_library_parses(value: Any, ascii_only: bool) -> None:
    text = json.dumps([value], ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert outcome(json_text.parse, text) == outcome(stock, text)


@given(
    st.binary()
    | st.text('[]{}",:0123456789.eE-+\\u tfn\n').map(str.encode)
    | st.from_regex(rb"-?[0-9]{17,21}[],.]")
)
def test_what_is_no_json_is_refused_as_before(text: bytes) -> None:
    assert outcome(json_text.parse, b"[" + text) == outcome(stock, b"[" + text)


@pytest.mark.parametrize(
    "text",
    [
        b"1e999",
        b"-1e999",
        b"NaN",
        b"[Infinity]",
        b"1" * 5000,
        b"[-9223372036854775809]",
        b"[9223372036854775809]",
        b"[0,18446744073709551616]",
        b'{"a":18446744073709551616}',
        b"0.00012345678901234567890123",
        b"[ 12345678901234567890.5]",
        b"\xef\xbb\xbf{}",
        b'{"a":1,"a":2}',
        b"[" * 100_000,
    ],
    ids=range(14),
)
def test_odd_numbers_and_depths_are_read_as_before(text: bytes) -> None:
    assert outcome(json_text.parse, text) == outcome(stock, text)


@given(values)
def test_what_is_written_is_one_line_that_is_read_again_as_the_same(value: Any) -> None:
    written = json_text.dump(value)
    assert json.loads(written) == json.loads(json.dumps(value))
    assert len(written.decode().splitlines()) == 1
