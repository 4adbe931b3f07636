"""The frameworks that the README names, in the versions of requirements/frameworks.txt."""

import json
import re
import sys
from typing import Any

import pytest

from tests.integration.streaming.conftest import (
    LAYER,
    ROOT,
    SEQUENTIAL,
    Environment,
    Start,
    golden,
    url_event,
)
from tests.integration.streaming.frameworks import PAUSE_S
from tests.integration.streaming.test_other_runtimes import stock

FOLDER = ROOT / ".local" / "frameworks"
LOCK = ROOT / "requirements" / "frameworks.txt"
FRAMEWORKS = (
    *("starlette", "fastapi", "sse_starlette", "litestar", "quart", "sanic", "blacksheep", "django"),
    *("flask_a2wsgi", "flask_asgiref", "opentelemetry", "structlog", "uvloop", "powertools"),
)
WHOLE = ("flask_asgiref",)
"""What hands over a body only once it is complete."""

NO_ROOT_PATH = ("sanic",)
"""What does not know ASGI's root_path."""

pytestmark = pytest.mark.slow


def framework(start: Start, name: str, **variables: str) -> Environment:
    path = f"{FOLDER}:{ROOT}:{LAYER}"
    return start(f"frameworks.{name}_handler", PYTHONPATH=path, **variables)


def rest_event(path: str, method: str = "GET", body: str | None = None) -> Any:
    """Return a REST API's event at a domain of one's own."""
    event = golden("rest_api_v1_base_path") | {"path": path, "httpMethod": method, "body": body}
    event["pathParameters"] = {"proxy": path[1:]}
    event["requestContext"] |= {"path": path}
    headers = {name.lower(): value for name, value in event["headers"].items() if name != "Accept"}
    headers |= {"content-type": "application/json"} if body else {}
    return event | {
        "headers": headers,
        "multiValueHeaders": {name: [value] for name, value in headers.items()},
    }


def url(path: str, method: str = "GET", body: str | None = None) -> Any:
    return url_event(path, method) | {"body": body, "rawQueryString": ""}


@pytest.mark.parametrize("request_of", [url, pytest.param(rest_event, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("name", FRAMEWORKS)
def test_frameworks(start: Start, name: str, request_of: Any) -> None:
    environment = framework(start, name)
    post = environment.api.invoke(request_of("/hello"))
    assert (post.prelude["statusCode"], post.body) == (200, b"hello"), environment.log
    assert "rror" not in environment.log, "expected a quiet start"

    post = environment.api.invoke(request_of("/stream"))
    assert post.prelude["headers"]["content-type"].startswith("text/event-stream")
    assert post.body == b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
    if name not in WHOLE:
        events = [
            at for chunk, at in zip(post.chunks, post.arrivals, strict=False) if chunk.startswith(b"data")
        ]
        assert len(events) == 3
        assert events[-1] - events[0] > PAUSE_S, (
            "expected events to arrive as they are sent, two pauses apart"
        )

    body = {"text": "Grüße", "list": [1, 2]}
    post = environment.api.invoke(request_of("/echo", "POST", json.dumps(body)))
    assert (post.prelude["statusCode"], json.loads(post.body)) == (200, body)

    assert environment.api.invoke(request_of("/fails")).prelude["statusCode"] == 500
    assert environment.api.invoke(request_of("/nowhere")).prelude["statusCode"] == 404
    environment.process.terminate()
    assert environment.process.wait(10) == 0


@pytest.mark.parametrize("name", [name for name in FRAMEWORKS if name not in NO_ROOT_PATH])
def test_frameworks_below_a_stage(start: Start, name: str) -> None:
    event = rest_event("/hello")
    event["requestContext"]["path"] = "/dev/hello"
    post = framework(start, name).api.invoke(event)
    assert (post.prelude["statusCode"], post.body) == (200, b"hello")


@pytest.mark.nightly
@pytest.mark.parametrize("name", FRAMEWORKS)
@SEQUENTIAL
def test_frameworks_on_the_stock_runtime(start: Start, name: str) -> None:
    command = stock(f"frameworks.{name}_handler")
    environment = start(command=command, PYTHONPATH=f"{FOLDER}:{ROOT}:{LAYER}")
    for path, body in (("/hello", "hello"), ("/stream", "data: 0\n\ndata: 1\n\ndata: 2\n\n")):
        reply = json.loads(environment.api.invoke(url(path)).raw)
        assert (reply["statusCode"], reply["body"]) == (200, body)


def test_uvloop_is_used(start: Start) -> None:
    assert framework(start, "uvloop").get("/loop").body.startswith(b"uvloop")


@SEQUENTIAL
def test_xray_sees_the_trace(start: Start) -> None:
    trace = "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=ad49b0e87f6ef6c8;Sampled=1"
    environment = framework(start, "xray", AWS_XRAY_CONTEXT_MISSING="LOG_ERROR")
    post = environment.get("/trace", headers={"Lambda-Runtime-Trace-Id": trace})
    assert post.body == b"1-5bef4de7-ad49b0e87f6ef6c87fc2e700"


def test_powertools_logs_the_request(start: Start) -> None:
    environment = framework(start, "powertools")
    for _ in range(2):
        environment.get("/hello")
    assert '"function_request_id":"request-1"' in environment.log
    assert "ColdStart" in environment.log


def test_an_mcp_server(start: Start) -> None:
    environment = framework(start, "mcp")
    call = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "tools/call",
        "params": {"name": "add", "arguments": {"a": 1, "b": 2}},
    }
    event = url("/mcp", "POST", json.dumps(call))
    event["headers"] |= {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2025-06-18",
    }
    post = environment.api.invoke(event)
    assert post.prelude["statusCode"] == 200, environment.log
    (data,) = re.findall(rb"data: (.*)", post.body)
    assert json.loads(data)["result"]["content"][0]["text"] == "3"


def test_the_readme_names_the_tested_versions() -> None:
    readme = (ROOT / "layers/streaming/README.md").read_text()
    locked = dict(re.findall(r"^([a-z0-9-]+)==([^ ;]+)", LOCK.read_text(), re.MULTILINE))
    names = re.findall(r"^    \"([a-z0-9-]+)==", _group(), re.MULTILINE)
    assert names
    for name in names:
        assert f"{name} {locked[name]}" in readme.lower(), f"{name} {locked[name]}"


def _group() -> str:
    text = (ROOT / "pyproject.toml").read_text()
    return text[text.index("\nframeworks = [") :].partition("]\n")[0]


def test_the_environment_is_there() -> None:
    assert FOLDER.is_dir(), f"expected the frameworks in {FOLDER}: `make test-all` installs them"
    assert sys.version_info >= (3, 11)
