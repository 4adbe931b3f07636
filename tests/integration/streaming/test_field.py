"""What the field reported of functions on the runtime: one table per kind, with the right values."""

import json
from typing import Any

import pytest

from tests.integration.streaming.conftest import (
    LAYER,
    MODULES,
    ROOT,
    SEQUENTIAL,
    Environment,
    Start,
    golden,
    url_event,
)
from tests.integration.streaming.field_apps import SECRET
from tests.integration.streaming.runtime_api import TIMEOUT_S
from tests.integration.streaming.test_other_runtimes import stock


def field(start: Start, handler: str, **variables: str) -> Environment:
    return start(f"field_apps.{handler}", **variables)


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/header-line-break", "expected the header x-a on one line"),
        ("/header-name-with-space", "expected a header name but got 'x a'"),
        ("/cookie-line-break", "expected the header set-cookie on one line"),
        ("/informational", "expected a final status but got 103"),
    ],
)
def test_headers_that_are_refused(start: Start, path: str, logged: str) -> None:
    environment = field(start, "stream")
    post = environment.get(path)
    assert (post.prelude["statusCode"], post.prelude["cookies"]) == (500, [])
    assert logged in environment.log
    whole = whole_reply(start, path)
    assert whole["statusCode"] == 500
    assert "never" not in whole["body"]


def test_headers_that_are_kept(start: Start) -> None:
    streamed = field(start, "stream").get("/unicode-header")
    kept = {"x-a": "grün ✓", "x-b": "café"}
    assert streamed.prelude == {"statusCode": 200, "headers": kept, "cookies": ["a=ü"]}
    whole = whole_reply(start, "/unicode-header")
    assert (whole["headers"].items() >= kept.items(), whole["cookies"]) == (True, ["a=ü"])


def whole_reply(start: Start, path: str) -> Any:
    """Return what the same function replies on the stock runtime."""
    environment = start(command=stock("field_apps.stream"), PYTHONPATH=f"{ROOT}:{LAYER}")
    return json.loads(environment.get(path).raw)


@pytest.mark.parametrize("at_import", ["dictConfig", "disable", "no handlers"])
@pytest.mark.parametrize("log_format", ["Text", "JSON"])
def test_errors_are_logged_whatever_the_app_configures(start: Start, at_import: str, log_format: str) -> None:
    environment = field(start, "stream", AT_IMPORT=at_import, AWS_LAMBDA_LOG_FORMAT=log_format)
    assert environment.get("/raise-value-error").prelude["statusCode"] == 500
    assert "ValueError: the application raised" in environment.log
    assert "request-1" in environment.log
    assert SECRET not in environment.log


@pytest.mark.parametrize("at_import", ["", "dictConfig", "disable", "no handlers"])
def test_errors_of_whole_replies_are_logged(start: Start, at_import: str) -> None:
    environment = start(command=stock("field_apps.stream"), PYTHONPATH=f"{ROOT}:{LAYER}", AT_IMPORT=at_import)
    assert json.loads(environment.get("/raise-value-error").raw)["statusCode"] == 500
    assert "ValueError: the application raised" in environment.log
    assert SECRET not in environment.log


@SEQUENTIAL
def test_lines_carry_the_id_of_their_request(start: Start) -> None:
    environment = field(start, "stream")
    environment.get("/hello")
    environment.get("/logs")
    for text in ("from the app", "from a worker thread", "from a bare thread"):
        (line,) = [line for line in environment.log.splitlines() if text in line]
        assert "\trequest-2\t" in line


@pytest.mark.parametrize("handler", ["handler", "hidden", "noted", "stream"])
def test_decorated_handlers_stream(start: Start, handler: str) -> None:
    environment = field(start, handler)
    for _ in range(2):
        assert environment.get("/hello").chunks[1:] == [b"hello", b" world"]
        post = environment.get("/paced")
        assert post.arrivals[3] - post.arrivals[1] > 0.2
    environment.process.terminate()
    assert environment.process.wait(TIMEOUT_S) == 0
    assert [text for text in environment.order() if text.endswith("up") or text.endswith("down")] == [
        "startup",
        "shutdown",
    ]
    if handler in ("handler", "noted"):
        assert environment.order()[:3] == ["startup", "before request-1", "after 200"]


def test_a_handler_in_another_thread_says_why_it_does_not_stream(start: Start) -> None:
    environment = field(start, "threaded")
    assert environment.get("/hello").json()["body"] == "hello world"
    assert "called in a thread of its own: its reply is whole" in environment.log


def test_decorated_handlers_follow_the_variable(start: Start) -> None:
    post = field(start, "handler", LAMBDA_STREAMS="").get("/hello")
    assert post.json()["body"] == "hello world"


@pytest.mark.parametrize("handler", ["raises_afterwards", "calls_twice"])
def test_what_comes_after_a_streamed_reply_does_not_spoil_it(start: Start, handler: str) -> None:
    environment = field(start, handler)
    for _ in range(2):
        assert environment.get("/hello").chunks[1:] == [b"hello", b" world"]
    assert environment.api.posts.empty()
    assert ("too late" in environment.log) == (handler == "raises_afterwards")


@pytest.mark.parametrize(
    ("handler", "logged"),
    [
        ("knows_no_lifespan", ""),
        ("returns_from_lifespan", ""),
        ("raises_in_lifespan", "the application raised in its lifespan"),
    ],
)
def test_an_app_without_lifespan_is_no_error(start: Start, handler: str, logged: str) -> None:
    environment = field(start, handler)
    assert environment.get("/hello").body == b"hello world"
    assert (logged in environment.log) if logged else (environment.log == "")


@pytest.mark.parametrize(
    ("handler", "at_import", "error_type"),
    [("exits_in_lifespan", "", "LifespanFailure"), ("stream", "exit", "SystemExit")],
)
def test_an_app_that_exits_at_its_start_says_so(
    start: Start, handler: str, at_import: str, error_type: str
) -> None:
    environment = field(start, handler, AT_IMPORT=at_import)
    post = environment.api.posts.get(timeout=TIMEOUT_S)
    assert (post.path, post.json()["errorType"]) == ("/2018-06-01/runtime/init/error", error_type)
    assert environment.process.wait(TIMEOUT_S) == 1


@pytest.mark.parametrize(
    ("path", "status", "error_type"),
    [
        ("/exits", 500, "SystemExit"),
        ("/interrupts", 500, "KeyboardInterrupt"),
        ("/exits-in-a-group", 500, "SystemExit"),
        ("/exits-in-a-task", 200, ""),
    ],
)
def test_an_app_that_exits_is_answered(start: Start, path: str, status: int, error_type: str) -> None:
    environment = field(start, "stream")
    assert environment.get(path).prelude["statusCode"] == status
    assert environment.get("/hello").body == b"hello world"
    assert error_type in environment.log


def test_a_plain_handler_that_exits_is_answered(start: Start) -> None:
    environment = field(start, "exiting")
    for _ in range(2):
        assert environment.api.invoke({}).json()["errorType"] == "SystemExit"


@SEQUENTIAL
def test_tracebacks_are_an_option(start: Start) -> None:
    environment = field(start, "with_tracebacks")
    post = environment.get("/raise-value-error")
    assert SECRET not in post.raw.decode()
    for text in ("Traceback (most recent call last)", f"ValueError: {SECRET}", "KeyError: 'cause'"):
        assert text in environment.log
    as_json = field(start, "with_tracebacks", AWS_LAMBDA_LOG_FORMAT="JSON")
    as_json.get("/raise-value-error")
    record = json.loads(as_json.log)
    assert (record["errorType"], record["errorMessage"]) == ("ValueError", SECRET)


@pytest.mark.parametrize(
    ("at_import", "noted"), [("own loop", ""), ("policy", "a loop of the policy"), ("run", "")]
)
def test_the_event_loop_that_the_app_chooses_is_used(start: Start, at_import: str, noted: str) -> None:
    environment = field(start, "stream", AT_IMPORT=at_import)
    loop = environment.get("/state").body.decode().splitlines()[1]
    assert environment.get("/state").body.decode().splitlines()[1] == loop
    assert environment.order()[0] == (noted or (loop if at_import == "own loop" else "startup"))
    environment.process.terminate()
    assert environment.process.wait(TIMEOUT_S) == 0


EVENTS = [
    golden("sqs"),
    {"version": "0", "source": "aws.events", "detail-type": "Scheduled Event", "detail": {}},
    {"source": "serverless-plugin-warmup"},
    {"requestContext": {"eventType": "CONNECT", "connectionId": "1", "routeKey": "$connect"}},
]


@pytest.mark.parametrize("handler", ["with_events", "with_async_events"])
def test_other_events_have_a_handler_of_their_own(start: Start, handler: str) -> None:
    environment = field(start, handler)
    for number, event in enumerate(EVENTS, 1):
        assert environment.api.invoke(event).json() == {"event": event, "request": f"request-{number}"}
    assert environment.get("/hello").chunks[1:] == [b"hello", b" world"]
    assert environment.api.invoke({"raise": 1}).json()["errorType"] == "ValueError"


@pytest.mark.parametrize("event", EVENTS)
def test_other_events_without_a_handler_say_what_to_do(hello: Environment, event: Any) -> None:
    report = hello.api.invoke(event).json()
    assert report["errorType"] == "RuntimeError"
    assert "on_event" in report["errorMessage"]


@pytest.mark.parametrize("version", ["1.0", "2.0"])
def test_http_apis_get_whole_replies_at_their_routes(start: Start, version: str) -> None:
    environment = field(start, "without_prefix")
    event = golden("rest_api_v1_stage") if version == "1.0" else url_event("/dev/hello")
    event |= {"version": version, "path": "/dev/hello", "body": None}
    event["requestContext"] |= {"stage": "dev", "path": "/dev/hello"}
    assert environment.api.invoke(event).json()["body"] == "hello world"


def test_a_whole_reply_ends_before_the_deadline(start: Start) -> None:
    environment = start("apps.rest_only")
    reply = environment.get("/silent", deadline_s=1).json()
    assert (reply["statusCode"], json.loads(reply["body"])["message"]) == (
        504,
        "The reply took longer than this function may run.",
    )


def test_the_handlers_name_is_not_needed(start: Start) -> None:
    assert start(_HANDLER=f"{MODULES}.field_apps.plain_handler_streams").get("/hello").body == b"hello world"
