"""Replies as they go over the wire, byte for byte."""

import base64
import json
from itertools import pairwise

import pytest

from tests.integration.streaming.conftest import SEQUENTIAL, Environment, Start, golden, url_event

NULS = b"\0" * 8


def test_a_reply_is_these_bytes(hello: Environment) -> None:
    post = hello.get("/hello")
    prelude = b'{"statusCode":200,"headers":{"content-type":"text/plain"},"cookies":[]}' + NULS
    request_id = post.path.split("/")[4].encode()
    assert post.head == (
        b"POST /2018-06-01/runtime/invocation/" + request_id + b"/response HTTP/1.1\r\n"
        b"Host: " + hello.api.address.encode() + b"\r\n"
        b"Content-Type: application/vnd.awslambda.http-integration-response\r\n"
        b"Lambda-Runtime-Function-Response-Mode: streaming\r\n"
        b"Transfer-Encoding: chunked\r\n"
        b"Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n"
        b"Connection: close\r\n\r\n"
    )
    assert post.raw == b"%x\r\n%s\r\n5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n" % (len(prelude), prelude)


def test_the_invocation_id_is_echoed_only_if_sent(hello: Environment) -> None:
    header = {"Lambda-Runtime-Invocation-Id": "delivery-7"}
    assert hello.get("/hello", headers=header).headers["lambda-runtime-invocation-id"] == "delivery-7"
    assert "lambda-runtime-invocation-id" not in hello.get("/hello").headers


def test_each_message_arrives_when_it_is_sent(hello: Environment) -> None:
    post = hello.get("/paced")
    assert post.chunks[1:] == [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]
    sent = post.arrivals[:4]
    gaps = [later - earlier for earlier, later in pairwise(sent)]
    assert all(0.1 < gap < 0.4 for gap in gaps), gaps


@pytest.mark.parametrize("name", ["function_url_v2_text", "function_url_v2_base64", "rest_api_v1"])
def test_event_sources_that_stream(hello: Environment, name: str) -> None:
    event = golden(name)
    event["path"] = event["rawPath"] = "/echo"
    event["requestContext"].setdefault("http", {})["path"] = "/echo"
    post = hello.api.invoke(event)
    assert post.prelude["statusCode"] == 200
    assert json.loads(post.body)["messages"][0]["content"] == "Grüße"


@pytest.mark.parametrize(
    ("path", "method", "prelude", "chunks"),
    [
        ("/empty", "GET", {"statusCode": 200, "headers": {"content-type": "text/plain"}}, []),
        ("/hello", "HEAD", {"statusCode": 200, "headers": {"content-type": "text/plain"}}, []),
        ("/no-content", "GET", {"statusCode": 204, "headers": {}}, []),
        ("/not-modified", "GET", {"statusCode": 304, "headers": {"etag": '"1"'}}, []),
        ("/redirect", "GET", {"statusCode": 307, "headers": {"location": "/hello"}}, []),
        ("/buffers", "GET", {"statusCode": 200, "headers": {"content-type": "text/plain"}},
         [b"one", b"two", b"three"]),
    ],
)  # fmt: skip
def test_bodies(
    hello: Environment, path: str, method: str, prelude: dict[str, object], chunks: list[bytes]
) -> None:
    post = hello.get(path, method)
    assert post.prelude == {**prelude, "cookies": []}
    assert post.chunks[1:] == chunks
    assert post.end == b"0\r\n\r\n"


def test_headers_and_cookies(hello: Environment) -> None:
    assert hello.get("/headers").prelude == {
        "statusCode": 200,
        "headers": {"x-name": "café", "vary": "origin, accept"},
        "cookies": ["a=1; Path=/", "b=2"],
    }


@SEQUENTIAL
def test_the_app_sees_one_loop_one_lifespan_and_no_leaks(hello: Environment) -> None:
    trace = {"Lambda-Runtime-Trace-Id": "Root=1-5bef4de7"}
    first = hello.get("/state", headers=trace).body.decode().splitlines()
    for _ in range(20):
        last = hello.get("/state").body.decode().splitlines()
    assert first[:2] == last[:2]
    assert (first[2], last[2]) == ("Root=1-5bef4de7", "none")
    assert first[3] != last[3]
    assert first[4:6] == ["True", "2.4"]
    assert first[6] == last[6]
    assert last[7] == "[]"


def test_a_reply_of_fastapi(start: Start) -> None:
    environment = start("fastapi_function.handler")
    for served in (1, 2):
        post = environment.api.invoke(golden("function_url_v2_base64"))
        assert json.loads(post.body) == {"model": "default", "served": served}
        assert post.prelude["headers"] == {"content-type": "application/json"}
    assert environment.get("/numbers").body == b"123"
    assert environment.get("/openapi.json").prelude["statusCode"] == 200


@pytest.mark.parametrize("name", ["alb", "function_url_v2_text"])
def test_other_event_sources_get_whole_replies(start: Start, name: str) -> None:
    environment = start("apps.rest_only")
    event = golden(name)
    event["path"] = event["rawPath"] = "/hello"
    event["requestContext"].setdefault("http", {})["path"] = "/hello"
    for _ in range(2):
        post = environment.api.invoke(event)
        assert post.headers["content-type"] == "application/json"
        assert post.json()["statusCode"] == 200
        assert post.json()["body"] == "hello world"
    assert environment.api.invoke(golden("rest_api_v1") | {"path": "/hello"}).chunks[1:] == [
        b"hello",
        b" world",
    ]


def test_the_environment_may_set_which_event_sources_stream(start: Start) -> None:
    environment = start(LAMBDA_STREAMS="APIGateway")
    assert environment.get("/hello").json()["body"] == "hello world"


def test_a_plain_handler_may_run_its_own_loop(start: Start) -> None:
    environment = start("apps.plain")
    event = golden("sqs")
    post = environment.api.invoke(event)
    assert post.json() == {"event": event, "request": "request-1", "name": "chat"}
    assert environment.api.invoke({"loop": 1}).json() == "own loop"
    post = environment.api.invoke({"raise": "text"}, headers={"Lambda-Runtime-Invocation-Id": "7"})
    assert post.path == "/2018-06-01/runtime/invocation/request-3/error"
    assert post.headers["lambda-runtime-function-error-type"] == "ValueError"
    assert post.headers["lambda-runtime-invocation-id"] == "7"
    report = post.json()
    assert (report["errorType"], report["errorMessage"]) == ("ValueError", "text")
    assert [frame.splitlines()[1] for frame in report["stackTrace"]] == ["    raise ValueError(text)"]
    assert environment.api.invoke({"unencodable": 1}).json()["errorType"] == "Runtime.MarshalError"
    assert environment.api.invoke(b"{").json()["errorType"] == "Runtime.UnmarshalError"
    assert environment.api.connections == 1


def test_events_that_are_no_requests_are_errors(hello: Environment) -> None:
    post = hello.api.invoke(golden("sqs"))
    assert post.path.endswith("/error")
    assert post.json()["errorType"] == "RuntimeError"


@pytest.mark.parametrize(
    "spoil",
    [
        {"headers": {"host": "a:b:c"}},
        {"body": "abcde", "isBase64Encoded": True},
        {"headers": {"host": "x", "x-name": "\ud800"}},
        {"requestContext": {}},
    ],
)
def test_malformed_requests_are_the_callers_error(hello: Environment, spoil: dict[str, object]) -> None:
    post = hello.api.invoke(url_event("/hello") | spoil)
    assert post.prelude["statusCode"] == 400
    assert json.loads(post.body) == {"message": "The request could not be read."}
    assert post.end == b"0\r\n\r\n"


def test_bodies_are_base64_only_where_the_event_says_so(hello: Environment) -> None:
    event = url_event("/echo", "POST") | {
        "body": base64.b64encode(b"\xff\x00").decode(),
        "isBase64Encoded": True,
    }
    assert hello.api.invoke(event).body == b"\xff\x00"
