import base64
import json
from typing import Any

import pytest

from infra.local.lambda_service.function_url import encode_event


def event(
    *,
    target: bytes = b"/",
    query: bytes = b"",
    headers: list[tuple[bytes, bytes]] | None = None,
    body: bytes = b"",
) -> dict[str, Any]:
    scope = {
        "method": "POST",
        "raw_path": target,
        "query_string": query,
        "http_version": "1.1",
        "scheme": "http",
        "headers": headers or [],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }
    encoded = encode_event(scope, body, request_id="id-1", trace_id="Root=1", now_s=1_583_348_638.39)
    decoded: dict[str, Any] = json.loads(encoded)
    return decoded


def test_an_event_has_the_shape_of_payload_version_2() -> None:
    headers = [(b"host", b"localhost:8000"), (b"user-agent", b"curl/8")]
    assert event(target=b"/a%2Fb", headers=headers) == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/a%2Fb",
        "rawQueryString": "",
        "headers": {
            "host": "localhost:8000",
            "user-agent": "curl/8",
            "x-amzn-trace-id": "Root=1",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": "8000",
            "x-forwarded-proto": "http",
        },
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": "localhost",
            "domainPrefix": "localhost",
            "http": {
                "method": "POST",
                "path": "/a%2Fb",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "curl/8",
            },
            "requestId": "id-1",
            "routeKey": "$default",
            "stage": "$default",
            "time": "04/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1583348638390,
        },
        "isBase64Encoded": False,
    }


def test_headers_that_come_twice_are_joined_and_hop_by_hop_ones_dropped() -> None:
    headers = [
        (b"X-One", b"a"),
        (b"x-one", b"b"),
        (b"connection", b"close"),
        (b"transfer-encoding", b"chunked"),
    ]
    shown = event(headers=headers)["headers"]
    assert shown["x-one"] == "a,b"
    assert not {"connection", "transfer-encoding"} & shown.keys()


def test_cookies_are_taken_out_of_the_headers() -> None:
    shown = event(headers=[(b"cookie", b"a=1; b=2"), (b"cookie", b"c=3")])
    assert shown["cookies"] == ["a=1", "b=2", "c=3"]
    assert "cookie" not in shown["headers"]


def test_a_query_is_kept_as_it_came_and_decoded_beside_it() -> None:
    shown = event(query=b"a=1&a=2&b=%20&c")
    assert shown["rawQueryString"] == "a=1&a=2&b=%20&c"
    assert shown["queryStringParameters"] == {"a": "1,2", "b": " ", "c": ""}


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        (b"application/json", "ü".encode(), True),
        (b"Text/Plain; charset=utf-8", b"a", True),
        (b"application/json", b"\xff", False),
        (b"application/x-www-form-urlencoded", b"a=1", False),
        (b"", b"a", False),
    ],
)
def test_a_body_is_text_only_where_its_type_and_its_bytes_say_so(
    content_type: bytes, body: bytes, text: bool
) -> None:
    shown = event(headers=[(b"content-type", content_type)], body=body)
    assert shown["isBase64Encoded"] is not text
    assert shown["body"] == (body.decode() if text else base64.b64encode(body).decode())


@pytest.mark.parametrize(("sent", "shown"), [("grün 日".encode(), "grün 日"), (b"caf\xe9", "café")])
def test_headers_are_read_as_utf8_or_else_as_latin1(sent: bytes, shown: str) -> None:
    assert event(headers=[(b"X-A", sent)])["headers"]["x-a"] == shown
