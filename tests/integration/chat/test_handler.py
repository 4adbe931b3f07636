"""The function as Lambda imports it: with a stock runtime, and with a missing setting."""

import importlib
import json
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import snapshot_restore_py  # type: ignore[import-untyped]

from functions.shared.environment import SettingsError
from tests.engines import schema
from tests.engines.behaviours import Hang, string_error
from tests.engines.scripted import ScriptedEngine
from tests.integration.chat.service import MODEL, body

EVENT = json.loads((Path(__file__).parents[2] / "events/function_url_v2_text.json").read_text())
MODULE = "functions.chat.handler"


@pytest.fixture
def handler(engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("MODELS", json.dumps({MODEL: {"base_url": engine.base_url}}))
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    handler = importlib.import_module(MODULE).handler
    yield handler
    loop = handler._loop
    handler.close()
    if loop:
        loop.close()


def complete(handler: Any, *, remaining_ms: int = 60_000, **fields: Any) -> dict[str, Any]:
    """Call the handler as awslambdaric does."""
    http = {**EVENT["requestContext"]["http"], "method": "POST", "path": "/v1/chat/completions"}
    event = {
        **EVENT,
        "rawPath": "/v1/chat/completions",
        "requestContext": {**EVENT["requestContext"], "http": http},
        "headers": {"content-type": "application/json", "host": "localhost"},
        "body": json.dumps(body(**fields)),
        "isBase64Encoded": False,
    }
    context = SimpleNamespace(aws_request_id="1", get_remaining_time_in_millis=lambda: remaining_ms)
    reply: dict[str, Any] = handler(event, context)
    return reply


def test_a_stock_runtime_gets_whole_replies(handler: Any, engine: ScriptedEngine) -> None:
    whole, streamed = complete(handler), complete(handler, stream=True)
    assert (whole["statusCode"], streamed["statusCode"]) == (200, 200)
    schema.validate_completion(json.loads(whole["body"]))
    schema.validate_stream(streamed["body"].encode())
    assert engine.connections == 1, "expected the connection to the engine to outlive an invocation"


def test_a_stock_runtime_gets_errors_too(handler: Any, engine: ScriptedEngine) -> None:
    assert complete(handler, temperature=3)["statusCode"] == 400
    engine.behaviour = string_error(503)
    refused = complete(handler, stream=True)
    assert refused["statusCode"] == 503
    assert schema.validate_error(json.loads(refused["body"]))["code"] == "server_is_overloaded"


def test_at_the_deadline_sdks_are_kept_from_running_the_request_again(
    handler: Any, engine: ScriptedEngine
) -> None:
    engine.behaviour = Hang()
    late = complete(handler, remaining_ms=300)
    assert (late["statusCode"], late["headers"]["x-should-retry"]) == (504, "false")
    assert schema.validate_error(json.loads(late["body"]))["code"] == "timeout"
    assert len(engine.requests) == 1


def test_work_in_progress_is_finished_before_a_snapshot(handler: Any) -> None:  # noqa: ARG001
    drain = sys.modules[MODULE].aws.drain
    assert (drain, (), {}) in snapshot_restore_py.get_before_snapshot()


def test_x_ray_s_daemon_gets_the_request_s_span(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as daemon:
        daemon.bind(("127.0.0.1", 0))
        daemon.settimeout(5)
        monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", f"127.0.0.1:{daemon.getsockname()[1]}")
        trace = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
        monkeypatch.setenv("_X_AMZN_TRACE_ID", trace)
        complete(request.getfixturevalue("handler"), stream=True)
        span = json.loads(daemon.recv(65_536).partition(b"\n")[2])
    assert span["annotations"] == {"model": MODEL, "outcome": "ok"}
    assert len(engine.requests) == 1


def test_a_missing_setting_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MODELS", raising=False)
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    with pytest.raises(SettingsError, match="MODELS is missing"):
        importlib.import_module(MODULE)
