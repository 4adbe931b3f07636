"""A large body is parsed, checked and sent on as a small one, though its long strings are cut out."""

import asyncio
import binascii
import json
from collections.abc import Iterator
from contextvars import Context, copy_context
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.chat.api import body, chat_completions, chat_schema, media
from functions.chat.engines.engine import EngineRequest, joined
from functions.chat.errors import InvalidRequest
from tests.unit.chat.api.endpoint import post
from tests.unit.chat.fakes import FakeEngine, model, settings

OF = model(max_tokens_limit=4096)
# Long ones, with what may stand in a string, what may not, and what stands for one that is cut out.
RUNS = st.sampled_from(
    [
        "A" * 40,
        "Zürich, 東京 " * 8,
        "1,2,3,[4]," * 9,
        "x" * 20 + '"' + "y" * 40,
        "\\" * 3 + "z" * 33,
        "\0" * 30,
    ]
)
PIECES = st.sampled_from(
    ["-Infinity", "NaN", '"', "\\", "\n", "\x7f", "é", "🙂", "\ud83d", "\udc00", " ", ",", ":"]
)
texts = st.lists(RUNS | PIECES, max_size=4).map("".join)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(texts, children, max_size=4),
    max_leaves=8,
)


@pytest.fixture(scope="module", autouse=True)
def small() -> Iterator[None]:
    """Make long what is short enough for a search."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body, "_STRIDE", 16)
        yield


def outcome(raw: bytes, large: int) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(body, "_LARGE", large)
        try:
            return repr(body.parse_json(raw))
        except InvalidRequest as error:
            return error.body()


def check_equal(raw: bytes) -> None:
    assert outcome(raw, 0) == outcome(raw, 10**9)


@given(values, st.booleans(), st.sampled_from([None, 1]))
def test_what_is_parsed_is_the_same(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps({"a": value}, ensure_ascii=ascii_only, indent=indent)
    check_equal(text.encode("utf-8", "surrogatepass"))


@given(values, st.data())
def test_what_is_broken_is_refused_with_the_same_words(value: Any, data: st.DataObject) -> None:
    raw = json.dumps({"a": value}, ensure_ascii=False).encode("utf-8", "surrogatepass")
    begin, end = sorted(data.draw(st.tuples(*[st.integers(0, len(raw))] * 2)))
    odd = st.sampled_from(
        [b"", b'"', b"\\", b"\xff", b"\n", b"\x01", b"-Infinity", b"NaN", b"{", b'"a":1,"a":2']
    )
    check_equal(raw[:begin] + data.draw(odd) + raw[end:])


@pytest.mark.parametrize(
    "raw",
    [
        b'{"%b":1,"%b":2}' % (b"k" * 50, b"k" * 50),
        b'{"a":"%b","a":1}' % (b"A" * 50),
        b'"%b"' % (b"A" * 50),
        b'["%b"]' % (b"A" * 50),
        b'\xef\xbb\xbf{"a":"%b"}' % (b"A" * 50),
        b'{"a":"%b\xff"}' % (b"A" * 50),
        b'{"a":"%b\x1f"}' % (b"A" * 50),
        b'{"a":"%b","b":-Infinity}' % (b"A" * 50),
        b'{"a":NaN,"b":"\\"%b\\""}' % (b"A" * 50),
        b'{"a":%b,"b":1}' % (b"1" * 50),
        b'{"a":NaN,"b":%b,"c":1}' % (b"1" * 50),
        b'{"a":"%b","b":%b}' % (b"A" * 50, b"[" * 200 + b"]" * 200),
        b'{"a":"' + b"[" * 200 + b'"}',
        json.dumps({"a": "A" * 50}).encode("utf-16"),
    ],
    ids=range(14),
)
def test_odd_bodies_are_parsed_and_refused_the_same(raw: bytes) -> None:
    check_equal(raw)


def test_of_a_large_body_in_long_strings_hardly_anything_is_read_character_by_character(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[int] = []
    parse = json.loads

    def watched(text: str, **how: Any) -> Any:
        seen.append(len(text))
        return parse(text, **how)

    monkeypatch.setattr(json, "loads", watched)
    value = {"a": ["A" * 2_000_000, "Zürich " * 200_000], "b": "B" * 2_000_000}
    assert body.parse_json(json.dumps(value, ensure_ascii=False).encode()) == value
    assert sum(seen) < 100


# media

PNG = "data:image/png;base64,"


@given(
    st.text("AZaz09+/=-_ \n\0é", max_size=9)
    | st.binary(max_size=9).map(lambda raw: binascii.b2a_base64(raw, newline=False).decode())
)
def test_base64_is_what_can_be_decoded(data: str) -> None:
    try:
        binascii.a2b_base64(data, strict_mode=True)
        # Some versions of Python let padding stand that completes nothing.
        is_base64 = len(data) % 4 == 0 and data.count("=") < 3
    except ValueError:
        is_base64 = False
    part = {"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}
    parts = media.media_of([{"role": "user", "content": [part]}])
    try:
        asyncio.run(media.check(parts, OF))
        assert is_base64
    except InvalidRequest:
        assert not is_base64


URLS = st.sampled_from(
    [PNG + "AAAA" * 9, 'HTTPS://example.com/","a":"', PNG + '"', "\\", "\0\0", "\n", "data:é;base64,AAAA"]
)
parts = st.lists(
    st.fixed_dictionaries({"type": st.just("text"), "text": texts | st.just("\0\0")})
    | st.fixed_dictionaries(
        {"type": st.just("image_url"), "image_url": st.fixed_dictionaries({"url": URLS})}
    ),
    min_size=1,
    max_size=6,
)


@given(parts)
def test_what_is_sent_has_the_media_as_they_came(content: Any) -> None:
    parsed = {"model": "tiny", "messages": [{"role": "user", "content": content}], "temperature": 0.5}
    checked = chat_schema.check(parsed)
    texts = "".join(part.get("text", "") for part in content)
    if "\ud83d" in texts or "\udc00" in texts:
        with pytest.raises(InvalidRequest, match="surrogate"):
            chat_completions.engine_request(parsed, checked, OF, settings(OF), "abc")
        return
    call = chat_completions.engine_request(parsed, checked, OF, settings(OF), "abc")
    sent = json.loads(joined(call.body))
    assert sent["messages"] == parsed["messages"] == checked.messages
    assert joined(call.body) == body.to_json(sent)


@pytest.mark.parametrize("text", ["\0\0", "\\u0000\\u0000", "\\\0", ':"data:image'])
def test_no_text_makes_the_estimate_count_the_bytes_of_an_image(text: str) -> None:
    def estimate(size: int) -> int:
        parts = [
            {"type": "text", "text": text},
            {"type": "image_url", "image_url": {"url": PNG + "AAAA" * size}},
        ]
        parsed = {"model": "tiny", "messages": [{"role": "user", "content": parts}]}
        checked = chat_schema.check(parsed)
        return chat_completions.engine_request(parsed, checked, OF, settings(OF), "abc").prompt_tokens

    assert estimate(1) == estimate(100_000)


def test_an_address_cannot_end_the_string_that_holds_it() -> None:
    url = 'HTTPS://images.example.com/","detail":"high'
    image = {"type": "image_url", "image_url": {"url": url}}
    parsed = {"model": "tiny", "messages": [{"role": "user", "content": [image]}]}
    call = chat_completions.engine_request(parsed, chat_schema.check(parsed), OF, settings(OF), "abc")
    assert json.loads(joined(call.body))["messages"] == parsed["messages"]


def test_large_data_are_sent_on_in_a_piece_of_their_own() -> None:
    url = PNG + "A" * 5_000_000
    image = {"type": "image_url", "image_url": {"url": url}}
    parsed = {"model": "tiny", "messages": [{"role": "user", "content": [image, image]}]}
    call = chat_completions.engine_request(parsed, chat_schema.check(parsed), OF, settings(OF), "abc")
    assert isinstance(call.body, list)
    assert [each for each in call.body if len(each) > 1000] == [url.encode()] * 2


@pytest.mark.anyio
async def test_the_context_in_which_connections_are_made_holds_nothing_of_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    contexts: list[Context] = []
    check = media.check

    async def checked(*parts: Any) -> None:
        contexts.append(copy_context())
        assert contexts[0].get(body._long)
        await check(*parts)

    class Engine(FakeEngine):
        def open(self, request: EngineRequest) -> Any:
            contexts.append(copy_context())
            return super().open(request)

    monkeypatch.setattr(media, "check", checked)
    image = {"type": "image_url", "image_url": {"url": PNG + "A" * 200_000}}
    await post(
        "/v1/chat/completions",
        {"model": "tiny", "messages": [{"role": "user", "content": [image]}]},
        OF,
        engine=Engine(),
    )
    assert [context.get(body._long) for context in contexts] == [{}, {}]


def test_what_no_engine_can_read_is_refused_as_before() -> None:
    for raw, part in ((b'{"a":"\\ud800"}', "half of a surrogate pair"), (b'{"a":[1e999]}', "too large")):
        with pytest.raises(InvalidRequest, match=part):
            body.to_json(body.parse_json(raw))
    assert body.to_json({"a": [None, 2**70]}) == b'{"a":[null,%d]}' % 2**70
