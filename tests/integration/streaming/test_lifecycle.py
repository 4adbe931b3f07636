"""Start and end of an environment: imports, lifespan, SnapStart, logs, signals."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.integration.streaming.conftest import (
    LAYER,
    MODULES,
    ROOT,
    SEQUENTIAL,
    STOCK_SCRIPT,
    WRAPPER,
    Start,
)
from tests.integration.streaming.runtime_api import TIMEOUT_S

INIT_ERROR = "/2018-06-01/runtime/init/error"


@pytest.mark.parametrize(
    ("handler", "error_type", "message"),
    [
        ("nothing.handler", "Runtime.ImportModuleError", "Unable to import module"),
        ("apps.nothing", "Runtime.HandlerNotFound", "Handler 'nothing' missing on module"),
        ("apps.broken_lifespan", "LifespanFailure", "no database"),
        ("apps.required_lifespan", "LifespanFailure", "see its log"),
    ],
)
def test_a_function_that_cannot_start_says_so(
    start: Start, handler: str, error_type: str, message: str
) -> None:
    environment = start(handler)
    post = environment.api.posts.get(timeout=TIMEOUT_S)
    assert post.path == INIT_ERROR
    assert post.headers["lambda-runtime-function-error-type"] == error_type
    assert post.json()["errorType"] == error_type
    assert message in post.json()["errorMessage"]
    assert environment.process.wait(TIMEOUT_S) == 1
    assert error_type in environment.log


@pytest.mark.parametrize(
    ("variables", "error_type", "message"),
    [
        ({"_HANDLER": "handler"}, "Runtime.MalformedHandlerName", "expected 'module.attribute'"),
        ({"_HANDLER": "sys.exit"}, "Runtime.BuiltInModuleConflict", "built-in module sys"),
        ({"AWS_LAMBDA_MAX_CONCURRENCY": "0"}, "Runtime.ConfigInvalid", "a number but got '0'"),
        ({"LAMBDA_STREAMS": "ALB"}, "ValueError", "but got ['ALB']"),
    ],
)
def test_a_setting_that_cannot_work_says_so(
    start: Start, variables: dict[str, str], error_type: str, message: str
) -> None:
    environment = start(**variables)
    post = environment.api.posts.get(timeout=TIMEOUT_S)
    assert post.headers["lambda-runtime-function-error-type"] == error_type
    assert message in post.json()["errorMessage"]
    assert environment.process.wait(TIMEOUT_S) == 1


@pytest.mark.parametrize(
    ("source", "error_type"),
    [("def handler(:\n", "Runtime.UserCodeSyntaxError"), ("1 / 0\n", "ZeroDivisionError")],
)
def test_a_module_that_cannot_run_says_so(start: Start, tmp_path: Path, source: str, error_type: str) -> None:
    (tmp_path / "task").mkdir()
    (tmp_path / "task/broken.py").write_text(source)
    environment = start(_HANDLER="broken.handler", LAMBDA_TASK_ROOT=str(tmp_path / "task"))
    post = environment.api.posts.get(timeout=TIMEOUT_S)
    assert post.json()["errorType"] == error_type
    assert "broken.py" in str(post.json()["stackTrace"])
    assert environment.process.wait(TIMEOUT_S) == 1


def test_an_app_without_lifespan_is_served(start: Start) -> None:
    assert start("apps.no_lifespan").get("/hello").body == b"hello world"


@SEQUENTIAL
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("path", [None, "/silent"])
def test_a_signal_ends_the_environment_at_once(start: Start, number: int, path: str | None) -> None:
    environment = start()
    environment.get("/hello")
    if path:
        environment.api.deliver({"version": "2.0", **_event(path)})
        time.sleep(0.1)
    began = time.monotonic()
    environment.process.send_signal(number)
    assert environment.process.wait(TIMEOUT_S) == 0
    assert time.monotonic() - began < 0.5
    assert environment.order()[-1] == "shutdown"
    assert "Traceback" not in environment.log


def _event(path: str) -> dict[str, object]:
    http = {"method": "GET", "path": path, "sourceIp": "203.0.113.7"}
    return {"headers": {"host": "x"}, "requestContext": {"http": http}}


def test_snapshots_are_taken_between_the_hooks(start: Start) -> None:
    environment = start("snapshot_function.handler", AWS_LAMBDA_INITIALIZATION_TYPE="snap-start")
    post = environment.api.posts.get(timeout=TIMEOUT_S)
    assert post.path == "/2018-06-01/runtime/restore/next"
    assert environment.get("/hello").body == b"hello world"
    assert environment.order() == ["imported", "before 2", "before 1", "after 1", "after 2", "startup"]
    assert environment.api.connections == 3


@pytest.mark.parametrize(
    ("hook", "path", "error_type", "exit_code"),
    [
        ("before 1", INIT_ERROR, "Runtime.BeforeSnapshotError", 64),
        ("after 1", "/2018-06-01/runtime/restore/error", "Runtime.AfterRestoreError", 65),
    ],
)
def test_failed_hooks_are_reported(
    start: Start, hook: str, path: str, error_type: str, exit_code: int
) -> None:
    snap_start = {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start", "FAIL_HOOK": hook}
    environment = start("snapshot_function.handler", **snap_start)
    posts = [environment.api.posts.get(timeout=TIMEOUT_S) for _ in range(1 if hook == "before 1" else 2)]
    assert posts[-1].path == path
    assert posts[-1].headers["lambda-runtime-function-error-type"] == error_type
    assert posts[-1].json()["errorMessage"] == "hook failed"
    assert environment.process.wait(TIMEOUT_S) == exit_code


def test_logs_are_framed_for_the_telemetry_descriptor(start: Start) -> None:
    reader, writer = os.pipe()
    environment = start(
        pass_fds=(writer,), _LAMBDA_TELEMETRY_LOG_FD=str(writer), AWS_LAMBDA_LOG_FORMAT="JSON"
    )
    os.close(writer)
    with open(reader, "rb") as frames:
        environment.get("/raise-before")
        kind, length, at = (int.from_bytes(frames.read(size), "big") for size in (4, 4, 8))
        record = frames.read(length)
    assert kind == 0xA55A0016
    assert abs(at / 1e6 - time.time()) < TIMEOUT_S
    assert b'"level": "ERROR"' in record
    assert b'"requestId": "request-1"' in record
    assert environment.log == ""


@pytest.mark.parametrize(
    "arguments",
    [
        [STOCK_SCRIPT],
        [STOCK_SCRIPT, f"{MODULES}.apps.handler"],
        ["-X", "faulthandler", "-Wignore", STOCK_SCRIPT],
        ["-m", "awslambdaric", f"{MODULES}.apps.handler"],
    ],
)
def test_the_wrapper_takes_what_lambda_calls_it_with(start: Start, arguments: list[str]) -> None:
    handler = "wrong.handler" if arguments[-1].endswith(".handler") else f"{MODULES}.apps.handler"
    environment = start(command=[str(WRAPPER), sys.executable, *arguments], _HANDLER=handler)
    assert environment.get("/hello").body == b"hello world"


@pytest.mark.parametrize(("given", "kept"), [({}, "67108864"), ({"MALLOC_TRIM_THRESHOLD_": "1"}, "1")])
def test_the_wrapper_has_freed_memory_kept_for_the_next_request(
    tmp_path: Path, given: dict[str, str], kept: str
) -> None:
    interpreter = tmp_path / "interpreter"
    interpreter.write_text("#!/bin/sh\nenv\n")
    interpreter.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], **given}
    printed = subprocess.run([WRAPPER, interpreter], env=environment, check=True, capture_output=True).stdout
    assert f"MALLOC_TRIM_THRESHOLD_={kept}".encode() in printed.splitlines()


def test_the_wrapper_without_an_interpreter_says_so() -> None:
    ended = subprocess.run([str(WRAPPER)], capture_output=True, timeout=TIMEOUT_S, check=False)
    assert ended.returncode != 0
    assert b"got no interpreter" in ended.stderr


def test_a_variable_switches_back_to_the_stock_runtime(start: Start) -> None:
    stock = [str(WRAPPER), sys.executable, "-m", "awslambdaric", f"{MODULES}.apps.handler"]
    whole = start(command=stock, LAMBDA_STREAM_RUNTIME="off", PYTHONPATH=f"{ROOT}:{LAYER}").get("/hello")
    assert json.loads(whole.raw)["body"] == "hello world"
    assert start(LAMBDA_STREAM_RUNTIME="on").get("/hello").chunks[1:] == [b"hello", b" world"]


def test_a_switch_in_another_position_says_so() -> None:
    environment = {"LAMBDA_STREAM_RUNTIME": "maybe"}
    ended = subprocess.run([str(WRAPPER), "python"], env=environment, capture_output=True, check=False)
    assert (ended.returncode, ended.stderr) == (
        2,
        b"expected LAMBDA_STREAM_RUNTIME to be on or off but got maybe\n",
    )


@SEQUENTIAL
def test_a_runtime_api_that_is_gone_ends_the_environment(start: Start) -> None:
    environment = start()
    environment.get("/hello")
    environment.api.__exit__()
    assert environment.process.wait(TIMEOUT_S) == 1
