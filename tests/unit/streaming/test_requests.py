"""What the field reported of requests: one table per kind of input, with the right value of each row."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import pytest
from lambda_stream import _requests
from lambda_stream._errors import MalformedEvent
from lambda_stream._requests import http_request, scope_and_body
from lambda_stream._scope import without_prefix

EVENTS = Path(__file__).parents[2] / "events"


def golden(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


def url(path: str = "/x", **changes: Any) -> Any:
    """Return a Function URL's event; `http.path` is decoded, which must not matter."""
    event = golden("function_url_v2_text") | {"rawPath": path, "body": None, "cookies": None}
    event["requestContext"]["http"] |= {"path": "/decoded", "method": changes.pop("method", "GET")}
    return event | changes


def rest(path: str = "/x", **changes: Any) -> Any:
    event = golden("rest_api_v1_stage") | {"path": path, "headers": {}, "multiValueHeaders": {}}
    event["requestContext"]["path"] = f"/dev{path}"
    return event | changes


def http_api(version: str, path: str, stage: str = "$default", **changes: Any) -> Any:
    event = url(path) if version == "2.0" else rest(path)
    event |= {"version": version, "routeKey": "$default"}
    event["requestContext"] |= {"stage": stage, "domainName": "a1.execute-api.eu-central-1.amazonaws.com"}
    return event | changes


def alb(**changes: Any) -> Any:
    return golden("alb") | changes


def edge(**changes: Any) -> Any:
    request = {
        "clientIp": "203.0.113.7",
        "headers": {"host": [{"key": "Host", "value": "d1.cloudfront.net"}]},
        "method": "GET",
        "querystring": "a=1",
        "uri": "/a%20b",
    }
    return {"Records": [{"cf": {"request": request | changes}}]}


def scope_of(event: Any) -> Any:
    request = http_request(event, None)
    assert request is not None
    return scope_and_body(request)[0]


EVERY_KIND = [
    pytest.param(url(), id="Function URL"),
    pytest.param(rest(), id="REST API"),
    pytest.param(http_api("1.0", "/x"), id="HTTP API, 1.0"),
    pytest.param(http_api("2.0", "/x"), id="HTTP API, 2.0"),
    pytest.param(alb(), id="load balancer"),
    pytest.param(edge(), id="CloudFront"),
]


@pytest.mark.parametrize("event", EVERY_KIND)
def test_the_scope_is_what_frameworks_expect(event: Any) -> None:
    scope = scope_of(event)
    assert scope["type"] == "http"
    assert scope["asgi"] == {"version": "3.0", "spec_version": "2.4"}
    assert all(
        type(header) is tuple and list(map(type, header)) == [bytes] * 2 for header in scope["headers"]
    )
    assert all(name == name.lower() for name, _ in scope["headers"])
    assert isinstance(scope["raw_path"], bytes)
    assert scope["path"].startswith("/")
    assert isinstance(scope["query_string"], bytes)
    assert isinstance(scope["server"][0], str)
    assert isinstance(scope["server"][1], int)
    assert scope["client"] == ("203.0.113.7", 0)
    assert scope["scheme"] == "https"
    assert scope["aws.event"] is event


@pytest.mark.parametrize(
    ("event", "raw_path", "path", "root_path"),
    [
        (url("/a%2Fb"), b"/a%2Fb", "/a/b", ""),
        (url("/100%2541"), b"/100%2541", "/100%41", ""),
        (url("/gr%C3%BC%C3%9Fe"), b"/gr%C3%BC%C3%9Fe", "/grüße", ""),
        (url("/grüße"), b"/gr%C3%BC%C3%9Fe", "/grüße", ""),
        (url("/a b"), b"/a%20b", "/a b", ""),
        (url("//evil.example/x"), b"//evil.example/x", "//evil.example/x", ""),
        (url("/%ff"), b"/%ff", "/\ufffd", ""),
        (url("/+~!$&'()*,;=:@"), b"/+~!$&'()*,;=:@", "/+~!$&'()*,;=:@", ""),
        (url(""), b"/decoded", "/decoded", ""),
        (rest("/a%2Fb"), b"/dev/a%2Fb", "/dev/a/b", "/dev"),
        (rest("/100%2541"), b"/dev/100%2541", "/dev/100%41", "/dev"),
        (rest(""), b"/dev/", "/dev/", "/dev"),
        # An HTTP API decodes the path before the function sees it, in both formats.
        (http_api("2.0", "/a b"), b"/a%20b", "/a b", ""),
        (http_api("2.0", "/100%41"), b"/100%2541", "/100%41", ""),
        (http_api("1.0", "/100%41"), b"/100%2541", "/100%41", ""),
        (http_api("2.0", "/a?b#c"), b"/a%3Fb%23c", "/a?b#c", ""),
        (http_api("2.0", "/dev/docs", "dev"), b"/dev/docs", "/dev/docs", "/dev"),
        (http_api("1.0", "/dev/docs", "dev"), b"/dev/docs", "/dev/docs", "/dev"),
        (http_api("2.0", "/dev", "dev"), b"/dev/", "/dev/", "/dev"),
        (http_api("2.0", "/device", "dev"), b"/device", "/device", ""),
        (alb(path="/a%2Fb"), b"/a%2Fb", "/a/b", ""),
        (alb(path=""), b"/", "/", ""),
        (edge(), b"/a%20b", "/a b", ""),
    ],
)
def test_paths(event: Any, raw_path: bytes, path: str, root_path: str) -> None:
    scope = scope_of(event)
    assert (scope["raw_path"], scope["path"], scope["root_path"]) == (raw_path, path, root_path)


@pytest.mark.parametrize(
    ("event", "raw_path", "path"),
    [
        (rest("/a%2Fb"), b"/a%2Fb", "/a/b"),
        (rest("/"), b"/", "/"),
        (http_api("2.0", "/dev/docs", "dev"), b"/docs", "/docs"),
        (url("/a//b"), b"/a//b", "/a//b"),
    ],
)
def test_paths_without_the_prefix(event: Any, raw_path: bytes, path: str) -> None:
    scope = without_prefix(scope_of(event))
    assert (scope["raw_path"], scope["path"], scope["root_path"]) == (raw_path, path, "")


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (url(headers=None, cookies=["a=1", "b=2"]), {"cookie": "a=1; b=2"}),
        (rest(multiValueHeaders={"Cookie": ["a=1; b=2", "c=3"]}), {"cookie": "a=1; b=2; c=3"}),
        (alb(multiValueHeaders={"cookie": ["a=1", "b=2"]}, headers=None), {"cookie": "a=1; b=2"}),
        (edge(headers={"cookie": [{"value": "a=1"}, {"value": "b=2"}]}), {"cookie": "a=1; b=2"}),
        (rest(multiValueHeaders={"X-A": ["1", "2"]}), {"x-a": "1, 2"}),
        (rest(headers={"X-A": "1"}, multiValueHeaders={"x-a": ["1", "2"]}), {"x-a": "1, 2"}),
        (rest(headers={"X-A": "1"}, multiValueHeaders=None), {"x-a": "1"}),
        (rest(headers=None, multiValueHeaders=None), {}),
        (rest(headers={"x-a": "1"}, multiValueHeaders={"x-a": [], "x-b": None}), {"x-a": "1"}),
        (url(headers=None), {}),
        (url(headers={"X-A": None, "X-B": 5, "X-C": "grün"}), {"x-b": "5", "x-c": "grün"}),
        (url(headers={"X-Empty": ""}), {"x-empty": ""}),
    ],
)
def test_headers(event: Any, expected: dict[str, str]) -> None:
    assert {name.decode(): value.decode() for name, value in scope_of(event)["headers"]} == expected


@pytest.mark.parametrize(
    ("event", "length", "body"),
    [
        (url(method="POST", body="{}"), b"2", b"{}"),
        (url(method="POST", body="ü"), b"2", "ü".encode()),
        (url(method="POST", body=None), b"0", b""),
        (url(method="POST", body="{}", headers={"content-length": "7"}), b"2", b"{}"),
        (url(method="POST", body="{}", headers={"Transfer-Encoding": "chunked"}), b"2", b"{}"),
        (url(method="DELETE", body="x"), b"1", b"x"),
        (url(method="GET", headers={"content-length": "7"}), b"0", b""),
        (url(method="GET", body=None), None, b""),
        (url(body=base64.b64encode(b"\xff\0").decode(), isBase64Encoded=True), b"2", b"\xff\0"),
        (rest(httpMethod="POST", body="{}"), b"2", b"{}"),
        (alb(httpMethod="PUT", body=""), b"0", b""),
        (edge(method="POST", body={"data": "e30=", "encoding": "base64"}), b"2", b"{}"),
    ],
)
def test_lengths(event: Any, length: bytes | None, body: bytes) -> None:
    request = http_request(event, None)
    assert request is not None
    scope, read = scope_and_body(request)
    headers = dict(scope["headers"])
    assert (headers.get(b"content-length"), read) == (length, body)
    assert b"transfer-encoding" not in headers


@pytest.mark.parametrize(
    ("event", "query"),
    [
        (url(rawQueryString="a=%20b&c"), b"a=%20b&c"),
        (url(rawQueryString=""), b""),
        (url(rawQueryString=None, queryStringParameters={"a": "1 2"}), b"a=1+2"),
        (rest(multiValueQueryStringParameters={"a": ["1", "ü"], "b": [""]}), b"a=1&a=%C3%BC&b="),
        (rest(multiValueQueryStringParameters=None, queryStringParameters={"a": None}), b"a="),
        (rest(multiValueQueryStringParameters=None, queryStringParameters=None), b""),
        (alb(queryStringParameters={"a": "1%202"}), b"a=1+2"),
        (alb(queryStringParameters=None), b""),
        (edge(querystring="a=%20&b"), b"a=%20&b"),
    ],
)
def test_queries(event: Any, query: bytes) -> None:
    assert scope_of(event)["query_string"] == query


@pytest.mark.parametrize(
    ("headers", "server"),
    [
        ({"host": "[::1]:3000"}, ("::1", 3000)),
        ({"host": "[::1]"}, ("::1", 443)),
        ({"host": "localhost:8000"}, ("localhost", 8000)),
        ({"host": "localhost:"}, ("localhost", 443)),
        ({"host": "example.com", "x-forwarded-port": "8443"}, ("example.com", 8443)),
        ({"host": "example.com", "x-forwarded-port": "443, 80"}, ("example.com", 443)),
        ({"host": "example.com", "x-forwarded-port": "x"}, ("example.com", 443)),
        ({"host": "example.com", "x-forwarded-proto": "http"}, ("example.com", 80)),
        (None, ("abc123.lambda-url.eu-central-1.on.aws", 443)),
    ],
)
def test_servers(headers: Any, server: tuple[str, int]) -> None:
    assert scope_of(url(headers=headers))["server"] == server


@pytest.mark.parametrize(
    ("event", "client"),
    [
        (alb(headers={"x-forwarded-for": "198.51.100.1, 203.0.113.7"}), ("203.0.113.7", 0)),
        (alb(headers={}), None),
        (rest(requestContext={"stage": "dev", "identity": None}), None),
    ],
)
def test_clients(event: Any, client: tuple[str, int] | None) -> None:
    assert scope_of(event)["client"] == client


@pytest.mark.parametrize(
    ("event", "gateway"),
    [
        (url(), "HTTPGateway"),
        (rest(), "APIGateway"),
        (http_api("1.0", "/x"), None),
        (http_api("2.0", "/x"), None),
        (url(requestContext=url()["requestContext"] | {"stage": "dev"}), None),
        (url(requestContext=url()["requestContext"] | {"routeKey": "GET /x"}), None),
        # What local servers leave out does not make it another gateway.
        (url(requestContext={"http": {"method": "GET", "path": "/x"}}), "HTTPGateway"),
        (alb(), None),
        (edge(), None),
    ],
)
def test_what_can_stream(event: Any, gateway: str | None) -> None:
    request = http_request(event, None)
    assert request is not None
    assert request.gateway == gateway


@pytest.mark.parametrize(
    "event",
    [
        golden("sqs"),
        {"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}},
        {"source": "serverless-plugin-warmup"},
        {"requestContext": {"eventType": "CONNECT", "connectionId": "1", "routeKey": "$connect"}},
        {"version": "1", "triggerSource": "PreSignUp_SignUp", "callerContext": {}},
        rest(type="REQUEST", methodArn="arn"),
        url(type="REQUEST", routeArn="arn"),
        {"Records": []},
        {"Records": [None]},
        {"Records": [{"Sns": {}}]},
        None,
        [],
        "text",
        1,
    ],
)
def test_what_is_no_request(event: Any) -> None:
    assert http_request(event, None) is None


@pytest.mark.parametrize(
    "event",
    [
        url(headers={"host": "a:b:c"}),
        url(headers={"host": "[::1"}),
        url(headers={"host": "a]"}),
        url(headers={"x-name": "\ud800"}),
        url(body="abcde", isBase64Encoded=True),
        url(body={"a": 1}),
        url(requestContext={}),
        url(headers="text"),
        rest("") | {"path": None, "resource": None, "requestContext": {}},
        alb(httpMethod=None, path=5),
    ],
)
def test_what_is_no_valid_request(event: Any) -> None:
    request = http_request(event, None)
    assert request is not None
    with pytest.raises(MalformedEvent, match="the event holds no valid request"):
        scope_and_body(request)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "steps"),
    [
        (base64.b64encode(b"0123456789").decode(), 2),
        (base64.b64encode(b"01234567").decode(), 2),
        (base64.b64encode(bytes(range(75))).decode(), 13),
        (base64.b64encode(b"012345").decode(), 0),
        ("MDEy\nMDEyMDEyMDEy", 0),
        ("MDEyMDEy====", 0),
        ("MDEyMDEyMD==MDEy", 0),
    ],
)
async def test_a_large_body_of_base64_is_decoded_in_steps(
    body: str, steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_requests, "_STEP", 8)
    request = http_request(url(body=body, isBase64Encoded=True), None)
    assert request
    turns = 0
    decoding = asyncio.create_task(request.decode())
    while not decoding.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns == steps + 1
    assert request.body == base64.b64decode(body)


@pytest.mark.anyio
@pytest.mark.parametrize("body", ["MDEy" * 4 + "é", "MDEy" * 4 + "\ud83d"])
async def test_a_large_body_that_is_no_base64_is_a_malformed_event(
    body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_requests, "_STEP", 8)
    request = http_request(url(body=body, isBase64Encoded=True), None)
    assert request
    await request.decode()
    with pytest.raises(MalformedEvent):
        scope_and_body(request)
