"""Each failure of an app, a caller or the Runtime API: what the caller sees, what Lambda sees, and that the
environment goes on."""

import base64
import json
import threading
import time
from typing import Any

import pytest

from tests.integration.streaming.conftest import SEQUENTIAL, Environment, Start, url_event
from tests.integration.streaming.runtime_api import Post, Script

GENERIC = {"message": "The server had an error while processing your request."}
SECRET = "a secret of the caller"


def report(post: Post) -> dict[str, object]:
    """Return the error report in the trailers."""
    decoded: dict[str, object] = json.loads(
        base64.b64decode(post.trailers["lambda-runtime-function-error-body"])
    )
    assert decoded["errorType"] == post.trailers["lambda-runtime-function-error-type"]
    return decoded


def assert_clean_500(post: Post) -> None:
    assert post.prelude == {"statusCode": 500, "headers": {"content-type": "application/json"}, "cookies": []}
    assert json.loads(post.body) == GENERIC
    assert post.end == b"0\r\n\r\n"


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/raise-before", "KeyError: the application raised"),
        ("/never-starts", "expected 'http.response.start' but the application returned"),
        ("/body-first", "expected 'http.response.start' but got 'http.response.body'"),
        ("/wrong-type", "expected 'http.response.start' but got 'websocket.accept'"),
        ("/large-prelude", "expected status and headers within 16 KiB but got 17"),
        ("/encoded", "expected a body without content-encoding but got 'gzip'"),
        ("/unknown", "KeyError: the application raised"),
    ],
)
def test_a_failure_before_the_start_is_a_clean_500(hello: Environment, path: str, logged: str) -> None:
    assert_clean_500(hello.get(path))
    assert logged in hello.log
    assert SECRET not in hello.log


@SEQUENTIAL
def test_the_log_of_a_failure_has_its_place_but_not_its_text(hello: Environment) -> None:
    assert SECRET not in hello.get("/raise-before").raw.decode()
    assert 'apps.py", line ' in hello.log
    assert "in raise_before" in hello.log
    assert SECRET not in hello.log


@pytest.mark.parametrize(
    ("path", "body", "error_type"),
    [
        ("/raise-after", b"half", "KeyError"),
        ("/never-finishes", b"half", "AppMisbehaved"),
        ("/starts-twice", b"", "AppMisbehaved"),
        ("/text-body", b"", "TypeError"),
    ],
)
def test_a_failure_after_the_start_is_in_trailers(
    hello: Environment, path: str, body: bytes, error_type: str
) -> None:
    post = hello.get(path)
    assert post.prelude["statusCode"] == 200
    assert post.body == body
    assert report(post)["errorType"] == error_type
    assert SECRET not in str(report(post))
    assert report(post)["requestId"] in post.path


@pytest.mark.parametrize(
    ("path", "body"),
    [("/raise-after-event", b"data: 1\n\n"), ("/raise-within-event", b"data: 1"), ("/raise-after", b"half")],
)
def test_a_body_that_fails_is_cut(hello: Environment, path: str, body: bytes) -> None:
    post = hello.get(path)
    assert post.body == body
    assert report(post)["errorType"] == "KeyError"


@pytest.mark.parametrize(
    ("path", "seen"),
    [
        ("/raise-after-event", ["raised", "/raise-after-event", "text/event-stream", "data: 1\n\n"]),
        ("/raise-after", ["raised", "/raise-after", "text/plain", "half"]),
        ("/never-finishes", ["misbehaved", "/never-finishes", "text/plain", "half"]),
        ("/stalls-after-event", ["deadline", "/stalls-after-event", "text/event-stream", "data: 1\n\n"]),
    ],
)
def test_an_application_may_end_a_body_that_fails(start: Start, path: str, seen: list[str]) -> None:
    post = start("apps.hooked").get(path, deadline_s=1)
    ending = post.chunks[-1]
    assert json.loads(ending) == seen
    assert report(post)["errorType"]


@pytest.mark.parametrize(
    ("path", "method", "status", "kind"),
    [("/raise-before", "GET", 500, "raised"), ("/silent", "GET", 504, "deadline")],
)
def test_an_application_may_word_error_replies(
    start: Start, path: str, method: str, status: int, kind: str
) -> None:
    post = start("apps.hooked").get(path, method, deadline_s=1)
    assert post.prelude == {
        "statusCode": status,
        "headers": {"content-type": "application/json", "x-failed": "yes"},
        "cookies": [],
    }
    assert json.loads(post.body) == {"failed": kind}
    assert post.end == b"0\r\n\r\n"


def test_a_hook_that_fails_leaves_the_body_cut(start: Start) -> None:
    environment = start("apps.broken_hook")
    assert environment.get("/raise-after").body == b"half"
    assert environment.get("/raise-before").prelude["statusCode"] == 500
    assert "expected bytes from a hook for failures but it failed" in environment.log


def test_nothing_is_written_where_no_body_may_be(start: Start) -> None:
    post = start("apps.hooked").get("/raise-after", "HEAD")
    assert (post.chunks[1:], report(post)["errorType"]) == ([], "KeyError")


@pytest.mark.parametrize(
    ("path", "logged"),
    [
        ("/raise-when-complete", "in raise_when_complete"),
        ("/sends-after-end", "expected no message after the last but got 'http.response.body'"),
        ("/returns-a-value", "expected the application to return None but got a str"),
    ],
)
def test_a_failure_after_the_end_is_only_logged(hello: Environment, path: str, logged: str) -> None:
    post = hello.get(path)
    assert (post.chunks[1:], post.end) == ([b"hello", b" world"], b"0\r\n\r\n")
    hello.get("/hello")
    assert logged in hello.log


def test_the_deadline_before_the_start_is_a_504(start: Start) -> None:
    environment = start()
    began = time.monotonic()
    post = environment.get("/silent", deadline_s=1)
    assert 0.8 < time.monotonic() - began < 1
    assert post.prelude["statusCode"] == 504
    assert json.loads(post.body) == {"message": "The reply took longer than this function may run."}
    assert post.end == b"0\r\n\r\n"
    environment.wait_note("stopped")


@pytest.mark.parametrize(
    ("path", "last"), [("/stalls-after-event", b"data: 1\n\n"), ("/stalls-after-text", b"half")]
)
def test_the_deadline_after_the_start_breaks_the_reply(start: Start, path: str, last: bytes) -> None:
    environment = start()
    post = environment.get(path, deadline_s=1)
    assert post.body.endswith(last)
    assert report(post)["errorType"] == "Runtime.DeadlineExceeded"
    environment.wait_note("stopped")


def test_an_app_that_ignores_its_cancellation_is_left_behind(start: Start) -> None:
    environment = start()
    environment.api.wait_next()
    began = time.monotonic()
    assert environment.get("/stubborn", deadline_s=0.5).prelude["statusCode"] == 504
    assert environment.api.wait_next() - began < 1
    environment.wait_note("ignored")
    assert environment.get("/hello").body == b"hello world"
    assert "ignored its cancellation" in environment.log


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("path", ["/stalls-after-event", "/stalls-after-text"])
def test_a_broken_socket_stops_the_app(start: Start, path: str, reset: bool) -> None:
    environment = start()
    environment.api.wait_next()
    post = environment.get(path, script=Script(chunks=2, reset=reset))
    assert environment.wait_note("stopped") - post.arrivals[-1] < 0.2
    assert environment.api.wait_next() - post.arrivals[-1] < 0.3
    assert environment.get("/hello").body == b"hello world"


def test_a_broken_socket_is_a_disconnect_for_the_app(start: Start) -> None:
    environment = start()
    environment.get("/listens", script=Script(chunks=2))
    environment.wait_note("oserror")
    assert environment.order() == ["startup", "disconnected", "oserror"]
    assert environment.get("/hello").body == b"hello world"


@pytest.mark.parametrize("reset", [False, True])
def test_a_broken_socket_closes_starlettes_generator(start: Start, reset: bool) -> None:
    environment = start("starlette_function.handler")
    post = environment.get("/events", script=Script(chunks=3, reset=reset))
    assert environment.wait_note("engine closed") - post.arrivals[-1] < 0.2


@pytest.mark.parametrize("size", [1000, 1_000_000])
def test_a_broken_socket_ends_the_wait_of_an_app_for_a_slow_reader(start: Start, size: int) -> None:
    environment = start()
    environment.api.wait_next()
    event = url_event("/flood", query=str(size))
    script = Script(chunks=3, keep=False, reset=True, pace=lambda _total: time.sleep(0.1))
    post = environment.api.invoke(event, script=script)
    assert environment.api.wait_next() - post.arrivals[-1] < 0.3
    assert environment.get("/hello").body == b"hello world"


@pytest.mark.parametrize(
    "event",
    [url_event("/flood", query="1000000"), url_event("/large", query="30000000")],
    ids=["while the app sends", "after its last message"],
)
def test_a_caller_who_takes_nothing_is_dropped(start: Start, event: dict[str, Any]) -> None:
    environment = start(LAMBDA_STREAM_STALL_S="0.3")
    environment.api.wait_next()
    resume = threading.Event()
    environment.api.deliver(event, script=Script(pace=lambda _total: resume.wait(10)))
    began = time.monotonic()
    environment.api.wait_next()
    resume.set()
    assert 0.3 < time.monotonic() - began < 2
    assert "took nothing of its reply for 0.3 s" in environment.log


def test_a_slow_caller_is_not_dropped(start: Start) -> None:
    environment = start(LAMBDA_STREAM_STALL_S="0.3")
    script = Script(pace=lambda _total: time.sleep(0.2))
    assert len(environment.api.invoke(url_event("/large", query="5000000"), script=script).body) == 5_000_000
    assert "took nothing" not in environment.log


@pytest.mark.parametrize("status", [400, 410, 413, 500])
def test_a_refused_reply_is_logged(hello: Environment, status: int) -> None:
    hello.get("/hello", script=Script(status=status))
    hello.get("/hello")
    assert f"expected 202 for a streamed reply from the Runtime API but got {status}" in hello.log


def test_a_reply_refused_midway_stops_the_app(start: Start) -> None:
    environment = start()
    post = environment.get("/stalls-after-event", script=Script(status=413, chunks=2, early=True))
    assert environment.wait_note("stopped") - post.arrivals[-1] < 0.2
    environment.get("/hello")
    assert "but got 413" in environment.log


def test_a_refused_whole_reply_is_logged(start: Start) -> None:
    environment = start("apps.plain")
    environment.api.invoke({}, script=Script(status=413))
    environment.api.invoke({})
    assert "/response: expected 202 from the Runtime API but got 413" in environment.log


def test_an_unanswered_reply_is_given_up_at_the_deadline(start: Start) -> None:
    environment = start()
    environment.api.wait_next()
    post = environment.get("/hello", script=Script(answer=False), deadline_s=0.5)
    assert 0.2 < environment.api.wait_next() - post.arrivals[-1] < 0.6
    assert environment.get("/hello").body == b"hello world"
    assert "but got no answer" in environment.log


def test_a_kept_connection_that_was_closed_is_replaced(start: Start) -> None:
    environment = start()
    environment.get("/hello")
    for _ in range(2):
        environment.api.wait_next()
    environment.api.drop_connections()
    environment.api.wait_next()
    assert environment.get("/hello").body == b"hello world"
