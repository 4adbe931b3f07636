import json
from typing import Any

import pytest

from infra.local.lambda_service import decoders
from infra.local.lambda_service.decoders import BufferedDecoder, PreludeDecoder, RawDecoder, ReplyHead
from infra.local.lambda_service.failures import FunctionFailed, ReplyTooLong

NULS = bytes(8)


def buffered(document: Any) -> tuple[ReplyHead, bytes]:
    reply = BufferedDecoder()
    encoded = document if isinstance(document, bytes) else json.dumps(document).encode()
    assert reply.feed(encoded) == b""
    body = reply.flush()
    assert reply.head
    return reply.head, body


def streamed(prelude: Any) -> ReplyHead:
    reply = PreludeDecoder()
    reply.feed(json.dumps(prelude).encode() + NULS)
    assert reply.head
    return reply.head


@pytest.mark.parametrize("size", [1, 2, 7, 8, 9, 1000])
def test_a_prelude_may_be_split_anywhere(size: int) -> None:
    whole = b'{"statusCode": 201, "headers": {"X-A": "b"}}' + NULS + b"body" + NULS + b"more"
    reply = PreludeDecoder()
    body = b"".join(reply.feed(whole[i : i + size]) for i in range(0, len(whole), size)) + reply.flush()
    assert body == b"body" + NULS + b"more"
    assert reply.head == ReplyHead(201, ((b"x-a", b"b"), (b"content-type", b"application/octet-stream")))


def test_the_body_is_handed_on_with_the_piece_that_ends_the_prelude() -> None:
    reply = PreludeDecoder()
    assert reply.feed(b"{}" + NULS[:5]) == b""
    assert reply.feed(NULS[5:] + b"first") == b"first"


def test_headers_are_written_in_utf8() -> None:
    assert streamed({"headers": {"x-a": "grün 日"}}).headers[0] == (b"x-a", "grün 日".encode())


def test_cookies_become_headers_and_the_connections_own_headers_are_dropped() -> None:
    head = streamed(
        {"headers": {"Content-Length": 3, "Date": "x", "Connection": "close"}, "cookies": ["a=1", "b=2"]}
    )
    assert head.headers == (
        (b"set-cookie", b"a=1"),
        (b"set-cookie", b"b=2"),
        (b"content-type", b"application/octet-stream"),
    )


@pytest.mark.parametrize("status", [204, 304])
def test_a_bodiless_reply_gets_no_type(status: int) -> None:
    assert streamed({"statusCode": status}) == ReplyHead(status, ())


@pytest.mark.parametrize(
    "prelude",
    [
        [],
        "text",
        {"statusCode": 99},
        {"statusCode": 600},
        {"statusCode": "many"},
        {"headers": ["a"]},
        {"headers": {"a b": "c"}},
        {"headers": {"a": "b\r\nc: d"}},
        {"headers": {"a": "b\0"}},
        {"headers": {"日": "a"}},
        {"cookies": 3},
        {"cookies": ["a\nb"]},
    ],
)
def test_a_malformed_prelude_fails(prelude: Any) -> None:
    with pytest.raises(FunctionFailed, match="malformed reply"):
        streamed(prelude)


def test_a_prelude_that_does_not_end_fails() -> None:
    with pytest.raises(FunctionFailed, match="malformed reply"):
        PreludeDecoder().flush()
    with pytest.raises(FunctionFailed, match="malformed reply"):
        PreludeDecoder().feed(b"x" * 100_000)


@pytest.mark.parametrize("reply", [RawDecoder("text/plain"), PreludeDecoder()])
def test_a_stream_has_a_limit(reply: RawDecoder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoders, "MAX_STREAMED_BYTES", 4)
    if isinstance(reply, PreludeDecoder):
        reply.feed(b"{}" + NULS)
    assert reply.feed(b"1234") == b"1234"
    with pytest.raises(ReplyTooLong):
        reply.feed(b"5")


@pytest.mark.parametrize(
    ("document", "status", "body"),
    [
        ({"statusCode": 201, "body": "ü"}, 201, "ü".encode()),
        ({"statusCode": "200", "body": "aGk=", "isBase64Encoded": True}, 200, b"hi"),
        ({"statusCode": 200}, 200, b""),
        ({"message": "hi"}, 200, b'{"message": "hi"}'),
        ("hi", 200, b"hi"),
        ([1], 200, b"[1]"),
        (None, 200, b"null"),
    ],
)
def test_a_buffered_reply_is_a_response_or_a_body(document: Any, status: int, body: bytes) -> None:
    head, got = buffered(document)
    assert (head.status, got) == (status, body)
    assert head.headers == ((b"content-type", b"application/json"), (b"content-length", b"%d" % len(body)))


@pytest.mark.parametrize(
    "document",
    [b"{", b"", {"statusCode": 200, "body": {}}, {"statusCode": 200, "body": "?", "isBase64Encoded": True}],
)
def test_a_malformed_buffered_reply_fails(document: Any) -> None:
    if document == {"statusCode": 200, "body": {}}:
        document = {"statusCode": 200, "body": {"a": 1}}
    with pytest.raises(FunctionFailed, match="malformed reply"):
        buffered(document)
