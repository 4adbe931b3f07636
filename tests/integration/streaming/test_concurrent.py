"""Many invocations at once in one environment: what Lambda Managed Instances give it."""

import json
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.streaming.conftest import SEQUENTIAL, Environment, Start, url_event
from tests.integration.streaming.runtime_api import TIMEOUT_S, Post, Script
from tests.integration.streaming.test_failures import assert_clean_500, report

pytestmark = SEQUENTIAL

PACED = [b"data: 0\n\n", b"data: 1\n\n", b"data: 2\n\n"]
MB = 1_000_000


def start_many(start: Start, count: int, handler: str = "apps.handler", **variables: str) -> Environment:
    """Start an environment that waits for that many invocations at once."""
    environment = start(handler, AWS_LAMBDA_MAX_CONCURRENCY=str(count), **variables)
    for _ in range(count):
        environment.api.wait_next()
    return environment


def posts(environment: Environment, count: int) -> dict[str, Post]:
    """Return what the function posts next, by request."""
    received = [environment.api.posts.get(timeout=TIMEOUT_S) for _ in range(count)]
    return {post.request_id: post for post in received}


def records(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_64_streams_run_at_once_and_each_arrives_whole(start: Start) -> None:
    environment = start_many(start, 64)
    for number in range(64):
        environment.api.deliver(url_event("/numbered", query=str(number)))
    received = posts(environment, 64)
    for number in range(64):
        post = received[f"request-{number + 1}"]
        lines = b"".join(b"%d of request-%d, " % (turn, number + 1) for turn in range(20))
        assert post.body == lines + b"query %d" % number
        assert len(post.chunks) == 22
        assert post.end == b"0\r\n\r\n"
    starts = max(post.arrivals[0] for post in received.values())
    assert starts < min(post.arrivals[-1] for post in received.values()), "expected all to run at once"
    assert environment.api.connections == 128


def test_logs_and_traces_are_each_request_s_own(start: Start) -> None:
    environment = start_many(start, 8)
    for number in range(32):
        trace = {"Lambda-Runtime-Trace-Id": f"Root=1-{number}"} if number % 4 else {}
        environment.api.deliver(url_event("/logs", query=f"request-{number + 1}"), headers=trace)
    received = posts(environment, 32)
    bodies = {f"request-{n + 1}": f"Root=1-{n} None" if n % 4 else " None" for n in range(32)}
    assert {request_id: post.body.decode() for request_id, post in received.items()} == bodies
    logged = records(environment.log)
    assert len(logged) == 32 * 15
    assert all(record["message"].split()[1] == record["requestId"] for record in logged)


def test_one_deadline_among_many_ends_one_reply(start: Start) -> None:
    environment = start_many(start, 4)
    stalled = environment.api.deliver(url_event("/stalls-after-event"), deadline_s=0.3)
    silent = environment.api.deliver(url_event("/silent"), deadline_s=0.3)
    paced = [environment.api.deliver(url_event("/paced")) for _ in range(2)]
    received = posts(environment, 4)
    assert report(received[stalled])["errorType"] == "Runtime.DeadlineExceeded"
    assert received[silent].prelude["statusCode"] == 504
    for request_id in paced:
        assert received[request_id].chunks[1:] == PACED
        assert received[request_id].end == b"0\r\n\r\n"
    assert len([environment.get("/hello") for _ in range(5)]) == 5


@pytest.mark.parametrize(
    "path", ["/raise-before", "/exits", pytest.param("/body-first", marks=pytest.mark.nightly)]
)
def test_one_failure_among_many_is_one_reply_s(start: Start, path: str) -> None:
    environment = start_many(start, 3)
    paced = [environment.api.deliver(url_event("/paced")) for _ in range(2)]
    failed = environment.api.deliver(url_event(path))
    received = posts(environment, 3)
    assert_clean_500(received[failed])
    assert all(received[request_id].chunks[1:] == PACED for request_id in paced)
    (record,) = records(environment.log)
    assert record["requestId"] == failed


def test_an_exit_in_a_task_of_one_request_ends_no_other(start: Start) -> None:
    environment = start_many(start, 2)
    paced = environment.api.deliver(url_event("/paced"))
    exited = environment.api.deliver(url_event("/exits-in-a-task"))
    received = posts(environment, 2)
    assert (received[exited].body, received[paced].chunks[1:]) == (b"hello world", PACED)
    assert "a task of the application raised SystemExit" in environment.log


@pytest.mark.parametrize("reset", [pytest.param(False, marks=pytest.mark.nightly), True])
def test_one_disconnect_among_many_stops_one_app(start: Start, reset: bool) -> None:
    environment = start_many(start, 2)
    paced = environment.api.deliver(url_event("/paced"))
    left = environment.api.deliver(url_event("/stalls-after-event"), script=Script(chunks=2, reset=reset))
    received = posts(environment, 2)
    environment.wait_note("stopped")
    assert received[left].body == b"data: 1\n\n"
    assert received[paced].chunks[1:] == PACED
    assert environment.order().count("stopped") == 1


def test_one_slow_caller_delays_no_other(start: Start) -> None:
    environment = start_many(start, 2)
    resume = threading.Event()
    slow = environment.api.deliver(
        url_event("/large", query="30000000"), script=Script(keep=False, pace=lambda _: resume.wait(10))
    )
    assert environment.get("/paced").chunks[1:] == PACED
    resume.set()
    assert posts(environment, 1)[slow].total > 30_000_000


def test_a_refused_next_is_tried_again_later_each_time(start: Start) -> None:
    environment = start(AWS_LAMBDA_MAX_CONCURRENCY="2")
    environment.api.refusals += [500, 502, 403, 500]
    requested = [environment.api.wait_next() for _ in range(6)]
    assert requested[-1] - requested[0] > 0.1
    assert environment.get("/hello").body == b"hello world"
    assert environment.log.count("the Runtime API failed, trying again: RuntimeApiError") == 4
    assert environment.process.poll() is None


def test_what_fails_between_two_requests_is_logged_as_neither_s(start: Start) -> None:
    environment = start_many(start, 1)
    environment.api.refusals.append(500)
    assert environment.get("/hello").body == b"hello world"
    for _ in range(2):
        environment.api.wait_next()
    (record,) = records(environment.log)
    assert "the Runtime API failed" in record["message"]
    assert record["requestId"] == ""


def test_a_runtime_api_that_is_gone_for_a_while_ends_nothing(start: Start) -> None:
    environment = start_many(start, 2)
    environment.api.drop_connections()
    for _ in range(2):
        environment.api.wait_next()
    assert environment.get("/hello").body == b"hello world"


def test_a_post_that_fails_ends_no_worker(start: Start) -> None:
    environment = start_many(start, 1, "apps.plain")
    for _ in range(2):
        environment.api.deliver({}, script=Script(drop=True))
        lost = [environment.api.posts.get(timeout=TIMEOUT_S) for _ in range(2)]
        assert {post.raw for post in lost} == {lost[0].raw}
    assert environment.api.invoke({"a": 1}).json()["event"] == {"a": 1}
    assert environment.log.count("the Runtime API failed, trying again") == 2


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.nightly)])
def test_a_signal_lets_running_replies_end(start: Start, number: int) -> None:
    environment = start_many(start, 8)
    running = [environment.api.deliver(url_event("/paced")) for _ in range(4)]
    time.sleep(0.1)
    environment.process.send_signal(number)
    time.sleep(0.2)
    # Four replies, and the workers that serve them: what Lambda sent to another would be lost.
    assert len(psutil.Process(environment.process.pid).net_connections()) == 8
    received = posts(environment, 4)
    assert all(received[request_id].chunks[1:] == PACED for request_id in running)
    assert environment.process.wait(TIMEOUT_S) == 0
    assert environment.order() == ["startup", "shutdown"]
    assert records(environment.log) == []


@pytest.mark.parametrize("handler", ["apps.handler", "apps.decorated"])
def test_an_event_that_was_under_way_at_a_signal_is_served(start: Start, handler: str) -> None:
    environment = start_many(start, 2, handler)
    environment.process.terminate()
    time.sleep(0.02)
    assert environment.get("/hello").body == b"hello world"
    assert environment.process.wait(TIMEOUT_S) == 0
    assert environment.order()[-1] == "shutdown"
    assert records(environment.log) == []


def test_a_whole_reply_to_an_event_that_was_under_way_at_a_signal_is_posted(start: Start) -> None:
    environment = start_many(start, 2, "apps.plain")
    environment.process.terminate()
    time.sleep(0.02)
    assert environment.api.invoke({"a": 1}).json()["event"] == {"a": 1}
    assert environment.process.wait(TIMEOUT_S) == 0


def test_a_signal_waits_for_no_thread_past_its_deadline(start: Start) -> None:
    environment = start_many(start, 2, "apps.blocking")
    environment.api.deliver({"sleep": 10}, deadline_s=0.5)
    began = time.monotonic()
    time.sleep(0.2)
    environment.process.terminate()
    assert environment.api.posts.get(timeout=TIMEOUT_S).json()["errorType"] == "Runtime.DeadlineExceeded"
    assert environment.process.wait(TIMEOUT_S) == 0
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "handler", ["apps.handler", pytest.param("apps.blocking", marks=pytest.mark.nightly)]
)
def test_a_signal_while_nothing_runs_ends_the_environment_at_once(start: Start, handler: str) -> None:
    environment = start_many(start, 8, handler)
    began = time.monotonic()
    environment.process.terminate()
    assert environment.process.wait(TIMEOUT_S) == 0
    assert time.monotonic() - began < 0.5


def test_functions_run_in_threads_at_once(start: Start) -> None:
    environment = start_many(start, 4, "apps.blocking")
    traces = {f"request-{number + 1}": f"Root=1-{number}" for number in range(4)}
    for trace in traces.values():
        environment.api.deliver({"sleep": 0.3}, headers={"Lambda-Runtime-Trace-Id": trace})
    replies = {request_id: post.json() for request_id, post in posts(environment, 4).items()}
    assert {request_id: reply["trace"] for request_id, reply in replies.items()} == traces
    assert len({reply["thread"] for reply in replies.values()}) == 4
    assert max(reply["began"] for reply in replies.values()) < min(r["ended"] for r in replies.values())
    logged = records(environment.log)
    assert {record["message"].split()[1] for record in logged} == traces.keys()
    assert all(record["message"] == f"slept {record['requestId']}" for record in logged)


def test_a_function_past_its_deadline_fails_and_keeps_its_worker(start: Start) -> None:
    environment = start_many(start, 1, "apps.blocking")
    began = time.monotonic()
    post = environment.api.invoke({"sleep": 1}, deadline_s=0.3)
    assert post.json()["errorType"] == "Runtime.DeadlineExceeded"
    assert time.monotonic() - began < 0.9
    assert environment.api.wait_next() - began > 1
    assert environment.api.invoke({"sleep": 0}).json()["thread"] == "handler_0"


@pytest.mark.parametrize(
    ("event", "kind"), [({"stop": 1}, "StopIteration"), ({"cancel": 1}, "CancelledError")]
)
def test_what_a_future_does_not_take_fails_a_function_at_once(
    start: Start, event: dict[str, int], kind: str
) -> None:
    environment = start_many(start, 1, "apps.plain")
    assert environment.api.invoke(event, deadline_s=60).json()["errorType"] == kind
    assert environment.api.invoke({"a": 1}).json()["event"] == {"a": 1}


def test_asynchronous_functions_run_in_the_loop(start: Start) -> None:
    environment = start_many(start, 3, "apps.asynchronous")
    late = environment.api.deliver({"sleep": 60}, deadline_s=0.3)
    failed = environment.api.deliver({"sleep": 0, "raise": "text"})
    whole = environment.api.deliver({"sleep": 0.1})
    received = posts(environment, 3)
    assert received[whole].json() == {"request": whole, "thread": "MainThread"}
    assert received[failed].json()["errorMessage"] == "text"
    assert received[late].json()["errorType"] == "Runtime.DeadlineExceeded"
    environment.wait_note(f"cancelled {late}")
    for _ in range(3):
        environment.api.wait_next()


def test_decorated_handlers_stream_from_their_threads(start: Start) -> None:
    environment = start_many(start, 4, "apps.decorated")
    running = [environment.api.deliver(url_event("/paced")) for _ in range(4)]
    received = posts(environment, 4)
    assert all(received[request_id].chunks[1:] == PACED for request_id in running)
    starts = max(post.arrivals[1] for post in received.values())
    assert starts < min(post.arrivals[-1] for post in received.values())
    assert sorted(environment.order()) == sorted(["startup", *(f"called {each}" for each in running)])


def test_whole_replies_are_served_at_once_too(start: Start) -> None:
    environment = start_many(start, 4, LAMBDA_STREAMS="")
    began = time.monotonic()
    for _ in range(4):
        environment.api.deliver(url_event("/paced"))
    received = posts(environment, 4)
    assert time.monotonic() - began < 1.5
    assert {post.json()["body"] for post in received.values()} == {b"".join(PACED).decode()}


def test_output_goes_to_the_socket_that_lambda_provides(start: Start, tmp_path: Path) -> None:
    path = str(tmp_path / "telemetry")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        environment = start_many(start, 2, "apps.blocking", _LAMBDA_TELEMETRY_LOG_FD_PROVIDER_SOCKET=path)
        stdout, _ = listener.accept()
        stderr, _ = listener.accept()
    with stdout, stderr, stdout.makefile() as lines:
        assert environment.api.invoke({"sleep": 0}).json()
        assert lines.readline() == "slept request-1\n"
        assert json.loads(lines.readline())["requestId"] == "request-1"
    assert environment.log == ""


def test_an_init_error_that_is_known_already_is_accepted(start: Start) -> None:
    environment = start("apps.broken_lifespan", AWS_LAMBDA_MAX_CONCURRENCY="2")
    environment.api.scripts["error"] = Script(status=403)
    assert environment.api.posts.get(timeout=TIMEOUT_S).path.endswith("/init/error")
    assert environment.process.wait(TIMEOUT_S) == 1
    assert "but got 403" in environment.log
    assert "Traceback" not in environment.log


def test_a_snapshot_is_taken_once(start: Start) -> None:
    environment = start(
        "snapshot_function.handler",
        AWS_LAMBDA_INITIALIZATION_TYPE="snap-start",
        AWS_LAMBDA_MAX_CONCURRENCY="3",
    )
    assert environment.api.posts.get(timeout=TIMEOUT_S).path.endswith("/restore/next")
    for _ in range(3):
        environment.api.wait_next()
    assert environment.get("/hello").body == b"hello world"
    assert environment.order() == ["imported", "before 2", "before 1", "after 1", "after 2", "startup"]


@pytest.mark.slow
def test_8_streams_of_200_mb_for_slow_readers_take_no_80_mb(start: Start) -> None:
    environment = start_many(start, 8)
    process = psutil.Process(environment.process.pid)
    idle = process.memory_info().rss
    peaks: list[int] = []

    def pace(total: int) -> None:
        if total % (20 * MB) < 20_000:
            time.sleep(0.05)
            peaks.append(process.memory_info().rss - idle)

    for _ in range(8):
        environment.api.deliver(
            url_event("/flood", query="20000"), script=Script(keep=False, pace=pace), deadline_s=300
        )
    received = posts(environment, 8)
    assert all(post.total > 200 * MB for post in received.values())
    assert max(peaks) < 80 * MB, f"{max(peaks) / MB:.1f} MB above idle"


def test_64_streams_take_little_memory_and_no_threads(start: Start) -> None:
    environment = start_many(start, 64)
    environment.get("/hello")
    process = psutil.Process(environment.process.pid)
    idle, threads = process.memory_info().rss, process.num_threads()
    for _ in range(64):
        environment.api.deliver(url_event("/paced"))
    time.sleep(0.3)
    used = process.memory_info().rss - idle
    assert process.num_threads() == threads
    assert used < 64 * 64_000, f"expected at most 64 kB a stream but got {used / 64:,.0f} bytes"
    posts(environment, 64)
