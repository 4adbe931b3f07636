"""The same functions under AWS's own emulator, and under the stock runtime, where they answer whole."""

import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.streaming.conftest import (
    BOOTSTRAP,
    LAYER,
    MODULES,
    ROOT,
    Start,
    end,
    golden,
    url_event,
)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def emulated(emulator: Path, folder: Path, command: list[str]) -> Iterator[int]:
    """Run a function under the emulator and yield the port to invoke it on."""
    port = free_port()
    addresses = ["--runtime-api-address", f"127.0.0.1:{free_port()}"]
    addresses += ["--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    environ = {"PATH": "/usr/bin:/bin", "LAMBDA_TASK_ROOT": str(ROOT), "NOTES": str(folder / "notes")}
    environ |= {"HOME": str(folder), "AWS_LAMBDA_FUNCTION_TIMEOUT": "10"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [str(emulator), *addresses, *command], env=environ, cwd=folder, stdout=log, stderr=log
        )
        try:
            wait_listening(port)
            yield port
        finally:
            process.terminate()
            try:
                process.wait(5)
            finally:
                end(process)


def wait_listening(port: int) -> None:
    until = time.monotonic() + 10
    while time.monotonic() < until:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError("expected the emulator to listen but it does not: see its log")


def invoke(port: int, event: object) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=15)
    try:
        connection.request("POST", "/2015-03-31/functions/function/invocations", json.dumps(event))
        return connection.getresponse().read()
    finally:
        connection.close()


def test_the_emulator_takes_a_streamed_reply(emulator: Path, tmp_path: Path) -> None:
    command = [str(BOOTSTRAP), sys.executable, "stock.py", f"{MODULES}.apps.handler"]
    prelude = b'{"statusCode":200,"headers":{"content-type":"text/plain"},"cookies":[]}' + b"\0" * 8
    with emulated(emulator, tmp_path, command) as port:
        for _ in range(3):
            assert invoke(port, url_event("/hello")) == prelude + b"hello world"
        assert invoke(port, url_event("/no-content")).endswith(b"\0" * 8)
        assert b'"server_error"' in invoke(port, url_event("/raise-before"))
        large = invoke(port, url_event("/echo", "POST") | {"body": "x" * 300_000})
        assert large.endswith(b"x" * 300_000)


def test_the_emulator_takes_a_whole_reply(emulator: Path, tmp_path: Path) -> None:
    command = [str(BOOTSTRAP), sys.executable, "stock.py", f"{MODULES}.apps.plain"]
    with emulated(emulator, tmp_path, command) as port:
        assert json.loads(invoke(port, {"a": 1}))["event"] == {"a": 1}
        assert json.loads(invoke(port, {"raise": "text"}))["errorType"] == "ValueError"


def stock(module: str) -> list[str]:
    return [sys.executable, "-m", "awslambdaric", f"{MODULES}.{module}"]


@pytest.mark.parametrize("name", ["function_url_v2_text", "function_url_v2_base64", "rest_api_v1"])
def test_the_stock_runtime_answers_whole(start: Start, name: str) -> None:
    environment = start(command=stock("fastapi_function.handler"), PYTHONPATH=f"{ROOT}:{LAYER}")
    for served in (1, 2):
        post = environment.api.invoke(golden(name))
        assert post.path.endswith("/response")
        reply = json.loads(post.raw)
        assert reply["statusCode"] == 200
        assert json.loads(reply["body"]) == {"model": "default", "served": served}


def test_the_stock_runtime_answers_malformed_requests(start: Start) -> None:
    environment = start(command=stock("apps.handler"), PYTHONPATH=f"{ROOT}:{LAYER}")
    event = url_event("/hello")
    assert json.loads(environment.api.invoke(event | {"headers": {"host": "a:b:c"}}).raw)["statusCode"] == 400
    assert json.loads(environment.api.invoke(event).raw)["body"] == "hello world"
    states = [json.loads(environment.api.invoke(url_event("/state")).raw)["body"] for _ in range(2)]
    assert len({tuple(state.splitlines()[:2]) for state in states}) == 1
