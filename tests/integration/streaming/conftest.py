"""Real environments: the layer's own wrapper in child processes, as Lambda starts it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.integration.streaming.runtime_api import RuntimeApi

ROOT = Path(__file__).parents[3]
WRAPPER = ROOT / "layers/streaming/lambda-stream"
LAYER = ROOT / "layers/streaming/python"
MODULES = "tests.integration.streaming"
STOCK_SCRIPT = "/var/runtime/bootstrap.py"


class Environment:
    """One execution environment: a child process, its Runtime API, its log and its notes."""

    def __init__(self, api: RuntimeApi, process: subprocess.Popen[bytes], log: Path, notes: Path) -> None:
        self.api = api
        self.process = process
        self._log = log
        self._notes = notes

    @property
    def log(self) -> str:
        return self._log.read_text()

    def get(self, path: str, method: str = "GET", **options: Any) -> Any:
        """Invoke the function through a Function URL and return what it posted."""
        return self.api.invoke(url_event(path, method), **options)

    def notes(self) -> dict[str, float]:
        """Return what the function noted, and when it did so last."""
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        return {text: float(at) for at, text in (line.split(" ", 1) for line in lines)}

    def order(self) -> list[str]:
        """Return what the function noted, in order."""
        return [line.split(" ", 1)[1] for line in self._notes.read_text().splitlines()]

    def wait_note(self, text: str, timeout_s: float = 10) -> float:
        """Wait for a note and return when it was written."""
        until = time.monotonic() + timeout_s
        while time.monotonic() < until:
            if text in self.notes():
                return self.notes()[text]
            time.sleep(0.01)
        raise AssertionError(f"expected the note {text!r} but got {self.notes()}; log: {self.log}")


def url_event(path: str, method: str = "GET", query: str = "") -> dict[str, Any]:
    """Return the event of a Function URL's request."""
    event: dict[str, Any] = json.loads((ROOT / "tests/events/function_url_v2_text.json").read_text())
    event["rawPath"] = path
    event["rawQueryString"] = query
    event["requestContext"]["http"] |= {"path": path, "method": method}
    return event


def golden(name: str) -> Any:
    """Return one of the golden events."""
    return json.loads((ROOT / f"tests/events/{name}.json").read_text())


Start = Callable[..., Environment]


def starter(stack: ExitStack, folder: Path, concurrency: str | None = None) -> Start:
    """Return what starts environments and leaves their end to the stack."""
    managed = {"AWS_LAMBDA_MAX_CONCURRENCY": concurrency} if concurrency else {}

    def start(
        handler: str = "apps.handler",
        *,
        command: list[str] | None = None,
        pass_fds: tuple[int, ...] = (),
        **variables: str,
    ) -> Environment:
        api = stack.enter_context(RuntimeApi())
        number = len(list(folder.iterdir()))
        log, notes = folder / f"log-{number}", folder / f"notes-{number}"
        variables = {
            "PATH": os.environ["PATH"],
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_LAMBDA_FUNCTION_NAME": "chat",
            "LAMBDA_TASK_ROOT": str(ROOT),
            "_HANDLER": f"{MODULES}.{handler}",
            "NOTES": str(notes),
            **managed,
            **variables,
        }
        process = subprocess.Popen(
            command or [str(WRAPPER), sys.executable, STOCK_SCRIPT],
            env=variables,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stack.enter_context(log.open("wb")),
            stderr=subprocess.STDOUT,
            pass_fds=pass_fds,
        )
        stack.callback(end, process)
        return Environment(api, process, log, notes)

    return start


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(10)


@pytest.fixture(
    scope="session",
    params=[None, pytest.param("1", marks=pytest.mark.nightly)],
    ids=["sequential", "concurrent"],
)
def concurrency(request: pytest.FixtureRequest) -> str | None:
    """Which of the runtime's loops serves a test: with 1, that for many serves one after the other."""
    chosen: str | None = request.param
    return chosen


@pytest.fixture
def start(tmp_path: Path, concurrency: str | None) -> Iterator[Start]:
    """Start environments of a test's own."""
    with ExitStack() as stack:
        yield starter(stack, tmp_path, concurrency)


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory, concurrency: str | None) -> Iterator[Environment]:
    """One environment that has to outlive whatever the tests do to it."""
    with ExitStack() as stack:
        yield starter(stack, tmp_path_factory.mktemp("environment"), concurrency)()


@pytest.fixture
def hello(environment: Environment) -> Iterator[Environment]:
    """The shared environment, checked to work as before once the test is done with it."""
    yield environment
    post = environment.get("/hello")
    assert post.prelude["statusCode"] == 200
    assert post.chunks[1:] == [b"hello", b" world"]


SEQUENTIAL = pytest.mark.parametrize("concurrency", [None], scope="session", ids=["once"])
"""For tests of what differs between the loops, or of what neither of them is in."""
