"""The package by itself: its wheel in an empty environment, and its archive as Lambda unpacks it."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from uv import find_uv_bin

from infra.emulator.emulator import Emulator, emulator
from infra.layer import STREAMING, build_layer, build_wheel
from tests.integration.streaming.conftest import ROOT, url_event

STARLETTE = next(
    line.split()[0]
    for line in (ROOT / "requirements/frameworks.txt").read_text().splitlines()
    if line.startswith("starlette==")
)
BARE = """
from lambda_stream import StreamingHandler

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for number in range(3):
        await send({"type": "http.response.body", "body": b"%d" % number, "more_body": True})
    await send({"type": "http.response.body"})

handler = StreamingHandler(app)
"""
STARLETTE_APP = """
from lambda_stream import StreamingHandler
from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

def stream(_):
    return StreamingResponse(iter("012"), media_type="text/plain")

handler = StreamingHandler(Starlette(routes=[Route("/hello", stream)]))
"""
PRELUDE = b'{"statusCode":200,"headers":{"content-type":"%s"},"cookies":[]}' + b"\0" * 8
PLAIN = {"bare": b"text/plain", "on_starlette": b"text/plain; charset=utf-8"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("package"),
    pytest.mark.skipif(sys.platform != "linux", reason="AWS's emulator is built for Linux alone"),
]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"), STREAMING)


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("task")
    (folder / "bare.py").write_text(BARE)
    (folder / "on_starlette.py").write_text(STARLETTE_APP)
    return folder


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> str:
    """The interpreter of an environment that holds the wheel, what it depends on, and Starlette."""
    folder = tmp_path_factory.mktemp("venv")
    interpreter = str(folder / "bin/python")
    uv = find_uv_bin()
    subprocess.run((uv, "venv", "-q", "--python", sys.executable, "--clear", str(folder)), check=True)
    subprocess.run((uv, "pip", "install", "-q", "--python", interpreter, str(wheel), STARLETTE), check=True)
    return interpreter


@contextmanager
def running(command: list[str], task: Path, **variables: str) -> Iterator[Emulator]:
    variables = {"PATH": "/usr/bin:/bin", "LAMBDA_TASK_ROOT": str(task), **variables}
    with emulator(command, variables, folder=task, timeout_s=10) as function:
        yield function


@pytest.mark.parametrize("module", PLAIN)
def test_the_wheel_streams_in_an_empty_environment(python: str, task: Path, module: str) -> None:
    with running([python, "-m", "lambda_stream", f"{module}.handler"], task) as function:
        for _ in range(2):
            assert function.invoke(url_event("/hello")) == PRELUDE % PLAIN[module] + b"012"


def test_the_wheel_streams_through_a_wrapper_of_ones_own(python: str, task: Path) -> None:
    wrapper = task / "start"
    wrapper.write_text('#!/bin/sh\nexec "$1" -m lambda_stream\n')
    wrapper.chmod(0o755)
    command = [str(wrapper), python, "/var/runtime/bootstrap.py"]
    with running(command, task, _HANDLER="bare.handler") as function:
        assert function.invoke(url_event("/hello")).endswith(b"012")


def test_the_wheel_is_typed(python: str, task: Path) -> None:
    script = "import importlib.resources as r; print((r.files('lambda_stream') / 'py.typed').is_file())"
    done = subprocess.run((python, "-c", script), cwd=task, capture_output=True, text=True, check=True)
    assert done.stdout == "True\n"


def test_the_archive_streams_as_a_layer(tmp_path: Path, wheel: Path, task: Path) -> None:
    archive = build_layer(tmp_path, wheel)
    assert archive.read_bytes() == build_layer(wheel.parent, wheel).read_bytes()
    opt = tmp_path / "opt"
    with zipfile.ZipFile(archive) as layer:
        layer.extractall(opt)
        top = {name.split("/")[0] for name in layer.namelist()}
        modes = {entry.filename: entry.external_attr >> 16 for entry in layer.infolist()}
    assert top == {"lambda-stream", "python"}
    assert modes["lambda-stream"] == 0o755
    (opt / "lambda-stream").chmod(0o755)
    command = [
        str(opt / "lambda-stream"),
        sys.executable,
        "-I",
        "-S",
        "/var/runtime/bootstrap.py",
        "bare.handler",
    ]
    with running(command, task) as function:
        assert function.invoke(url_event("/hello")) == PRELUDE % b"text/plain" + b"012"
