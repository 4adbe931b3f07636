"""The same functions under AWS's own emulator, and under the stock runtime, where they answer whole."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from infra.emulator.emulator import Emulator, emulator
from tests.integration.streaming.conftest import (
    LAYER,
    MODULES,
    ROOT,
    SEQUENTIAL,
    WRAPPER,
    Start,
    golden,
    url_event,
)


@contextmanager
def emulated(folder: Path, handler: str) -> Iterator[Emulator]:
    """Run a function under AWS's emulator, through our wrapper."""
    if sys.platform != "linux":
        pytest.skip("AWS's emulator is built for Linux alone")
    command = [str(WRAPPER), sys.executable, "stock.py", f"{MODULES}.{handler}"]
    variables = {"PATH": "/usr/bin:/bin", "LAMBDA_TASK_ROOT": str(ROOT), "HOME": str(folder)}
    variables["NOTES"] = str(folder / "notes")
    with emulator(command, variables, folder=folder, timeout_s=10) as running:
        yield running
        stopped_at = time.monotonic()
    assert time.monotonic() - stopped_at < 5, "expected the emulator to end by itself on a signal"


def test_the_emulator_takes_a_streamed_reply(tmp_path: Path) -> None:
    prelude = b'{"statusCode":200,"headers":{"content-type":"text/plain"},"cookies":[]}' + b"\0" * 8
    with emulated(tmp_path, "apps.handler") as running:
        for _ in range(3):
            assert running.invoke(url_event("/hello")) == prelude + b"hello world"
        assert running.invoke(url_event("/no-content")).endswith(b"\0" * 8)
        assert b'{"message":"The server had an error' in running.invoke(url_event("/raise-before"))
        large = running.invoke(url_event("/echo", "POST") | {"body": "x" * 300_000})
        assert large.endswith(b"x" * 300_000)


def test_the_emulator_takes_a_whole_reply(tmp_path: Path) -> None:
    with emulated(tmp_path, "apps.plain") as running:
        assert json.loads(running.invoke({"a": 1}))["event"] == {"a": 1}
        assert json.loads(running.invoke({"raise": "text"}))["errorType"] == "ValueError"


def stock(module: str) -> list[str]:
    return [sys.executable, "-m", "awslambdaric", f"{MODULES}.{module}"]


@SEQUENTIAL
@pytest.mark.parametrize("name", ["function_url_v2_text", "function_url_v2_base64", "rest_api_v1"])
def test_the_stock_runtime_answers_whole(start: Start, name: str) -> None:
    environment = start(command=stock("fastapi_function.handler"), PYTHONPATH=f"{ROOT}:{LAYER}")
    for served in (1, 2):
        post = environment.api.invoke(golden(name))
        assert post.path.endswith("/response")
        reply = json.loads(post.raw)
        assert reply["statusCode"] == 200
        assert json.loads(reply["body"]) == {"model": "default", "served": served}


@SEQUENTIAL
def test_the_stock_runtime_answers_malformed_requests(start: Start) -> None:
    environment = start(command=stock("apps.handler"), PYTHONPATH=f"{ROOT}:{LAYER}")
    event = url_event("/hello")
    assert json.loads(environment.api.invoke(event | {"headers": {"host": "a:b:c"}}).raw)["statusCode"] == 400
    assert json.loads(environment.api.invoke(event).raw)["body"] == "hello world"
    states = [json.loads(environment.api.invoke(url_event("/state")).raw)["body"] for _ in range(2)]
    assert len({tuple(state.splitlines()[:2]) for state in states}) == 1
