"""An engine that is scaled to zero, in process; `test_scale_from_zero_cycle.py` has a whole cycle."""

import asyncio
import base64
import gzip
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import httpx
import pytest

from functions.chat.app import create_served_app
from functions.chat.engines import refusals, scale_from_zero
from functions.chat.engines.http import HttpEngine
from functions.chat.engines.scale_from_zero import ScaleFromZero
from functions.chat.engines.scaler import ScalerFunction
from functions.chat.settings import Settings
from functions.shared.aws import Aws, AwsError
from functions.shared.role import Role
from functions.shared.signed import Signed
from infra.inference.sources import source
from tests.engines import schema
from tests.engines.behaviours import Chat, Drop, Status, vllm_error
from tests.engines.scripted import ScriptedEngine, refusing_engine
from tests.engines.wire import Behaviour, Reply, Request
from tests.integration.chat.cold_engine import (
    CREDENTIALS,
    SCALER_ARN,
    ColdEngine,
    Handler,
    cold_engine,
    lambda_api,
    moto_server,
    scaler_function,
)
from tests.integration.chat.service import MODEL, URL, body, served

COMMENT = b": keep-alive\n\n"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(scale_from_zero, "POLL_S", 0.05)


@pytest.fixture(scope="module")
def aws_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="module")
def scaler(aws_url: str) -> Iterator[Handler]:
    with pytest.MonkeyPatch.context() as monkeypatch, scaler_function(aws_url, monkeypatch) as handler:
        yield handler


@pytest.fixture
def cold(aws_url: str, scaler: Handler) -> Iterator[ColdEngine]:  # noqa: ARG001
    with cold_engine(aws_url, start_s=0.3) as cold:
        yield cold


Api = Callable[..., httpx.Client]


@pytest.fixture
def api() -> Iterator[Api]:
    """Return a function that starts the API and returns a client of it."""
    with ExitStack() as stack:

        def start(base_url: str, scaler: str | None = SCALER_ARN, **variables: str) -> httpx.Client:
            entry = {"base_url": base_url, "scaler": scaler, "start_s": 60}
            settings = Settings.from_environment({"MODELS": json.dumps({MODEL: entry}), **variables})
            aws = Aws(Signed(os.environ, Role(os.environ)))
            stack.callback(aws.drain)
            engine = ScaleFromZero(
                HttpEngine(settings), ScalerFunction(aws), timeout_s=settings.warming_timeout_s
            )
            url = stack.enter_context(served(create_served_app(settings, engine)))
            return stack.enter_context(httpx.Client(base_url=url, timeout=20, trust_env=False))

        yield start


@contextmanager
def streamed(client: httpx.Client) -> Iterator[httpx.Response]:
    with client.stream("POST", URL, json=body(stream=True)) as reply:
        yield reply


def test_a_stream_waits_and_gets_its_tokens(cold: ColdEngine, api: Api) -> None:
    cold.is_held = True
    client = api(cold.base_url, KEEP_ALIVE_S="0.1")
    with streamed(client) as reply:
        arriving = reply.iter_raw()
        first = [next(arriving) for _ in range(3)]
        cold.is_held = False
        whole = b"".join(arriving)
    assert (reply.status_code, first) == (200, [COMMENT] * 3)
    schema.validate_stream(whole)
    assert cold.desired == (1, 1)
    assert len(cold.engine.requests) == 1


def test_a_quick_start_costs_no_comment(cold: ColdEngine, api: Api) -> None:
    """Until the first event a failure could still be a status."""
    with streamed(api(cold.base_url)) as reply:
        whole = reply.read()
    assert COMMENT not in whole
    schema.validate_stream(whole)


def test_a_whole_reply_gets_a_time_to_retry(cold: ColdEngine, api: Api) -> None:
    client = api(cold.base_url)
    refused = client.post(URL, json=body())
    assert refused.status_code == 503
    error = schema.validate_error(refused.json())
    assert (error["code"], error["type"]) == ("model_warming", "service_unavailable_error")
    assert 55 <= int(refused.headers["retry-after"]) <= 60
    cold.wait_until(lambda: cold.changes)
    second = client.post(URL, json=body())
    assert second.status_code == 200
    schema.validate_completion(second.json())


def test_listing_models_starts_nothing(cold: ColdEngine, api: Api) -> None:
    client = api(cold.base_url)
    assert client.get("/v1/models").json()["data"][0]["id"] == MODEL
    assert client.get("/health").status_code == 200
    assert cold.desired == (0, 0)


def test_a_caller_who_disconnects_while_it_starts_sends_the_engine_nothing(
    cold: ColdEngine, api: Api
) -> None:
    cold.is_held = True
    client = api(cold.base_url, KEEP_ALIVE_S="0.1")
    with streamed(client) as reply:
        assert next(reply.iter_raw()) == COMMENT
    cold.is_held = False
    cold.wait_until(lambda: cold.changes)
    with streamed(client) as reply:  # by now the other request would have arrived as well
        reply.read()
    assert len(cold.engine.requests) == 1


def test_an_engine_that_does_not_start_in_time_ends_the_stream_with_an_error(
    cold: ColdEngine, api: Api
) -> None:
    cold.is_held = True
    client = api(cold.base_url, KEEP_ALIVE_S="0.1", WARMING_TIMEOUT_S="0.3")
    with streamed(client) as reply:
        whole = reply.read()
    assert reply.status_code == 200
    *_, failure, done, _ = whole.replace(COMMENT, b"").split(b"\n\n")
    assert done == b"data: [DONE]"
    assert schema.validate_error(json.loads(failure.removeprefix(b"data: ")))["code"] == "model_warming"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_where_the_start_is_not_allowed_the_engines_failure_is_reported(
    api: Api, stream: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_: object, __: object) -> Any:
        raise AwsError("AccessDeniedException", {})

    with lambda_api(refuse) as url, refusing_engine() as base_url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", url)
        refused = api(base_url).post(URL, json=body(stream=stream))
    assert "could not be started: the scaler: AccessDeniedException" in caplog.text
    assert (refused.status_code, schema.validate_error(refused.json())["code"]) == (502, "upstream_error")
    assert "AccessDenied" not in refused.text


def balancer(status: int) -> Status:
    return Status(status, b"<html></html>", "text/html", {"server": "awselb/2.0"})


UNREACHABLE: dict[str, tuple[Behaviour, str, int]] = {
    "balancer without targets": (balancer(503), "server_is_overloaded", 503),
    "balancer to a closed port": (balancer(502), "upstream_error", 502),
    "balancer that times out": (balancer(504), "timeout", 504),
    "draining": (vllm_error(500, "cannot schedule new futures after shutdown"), "upstream_error", 502),
}


@pytest.mark.parametrize("name", UNREACHABLE)
def test_an_engine_that_its_balancer_does_not_find_is_started(
    engine: ScriptedEngine, cold: ColdEngine, api: Api, name: str
) -> None:
    engine.behaviour, code, status = UNREACHABLE[name]
    refused = api(engine.base_url).post(URL, json=body())
    assert (refused.status_code, schema.validate_error(refused.json())["code"]) == (503, "model_warming")
    assert cold.desired == (1, 1)
    other = api(engine.base_url, None).post(URL, json=body())
    assert (other.status_code, schema.validate_error(other.json())["code"]) == (status, code)


def late(behaviour: Behaviour) -> Behaviour:
    async def after_work(request: Request, reply: Reply) -> None:
        await asyncio.sleep(0.1)
        await behaviour(request, reply)

    return after_work


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("status", [502, 504])
def test_a_request_that_a_balancer_lost_at_work_is_not_sent_again(
    engine: ScriptedEngine,
    cold: ColdEngine,
    api: Api,
    monkeypatch: pytest.MonkeyPatch,
    status: int,
    stream: bool,
) -> None:
    monkeypatch.setitem(refusals.BALANCER_S, status, 0.05)
    engine.behaviour = late(balancer(status))
    refused = api(engine.base_url).post(URL, json=body(stream=stream))
    assert (refused.status_code, refused.headers["x-should-retry"]) == (status, "false")
    assert (len(engine.requests), cold.desired) == (1, (0, 0))


def test_a_request_that_waits_for_a_start_is_run_once(cold: ColdEngine, api: Api) -> None:
    """The engine that has just started reads it, and drops the connection."""
    cold.engine.behaviour = Drop()
    client = api(cold.base_url, KEEP_ALIVE_S="0.1")
    with streamed(client) as reply:
        whole = reply.read()
    assert b'"upstream_error"' in whole
    assert len(cold.engine.requests) == 1


@pytest.mark.parametrize(
    "behaviour", [vllm_error(503), vllm_error(500), balancer(500)], ids=["full", "fails", "balancer"]
)
def test_an_engine_that_answers_is_not_started(
    engine: ScriptedEngine, cold: ColdEngine, api: Api, behaviour: Behaviour
) -> None:
    engine.behaviour = behaviour
    refused = api(engine.base_url).post(URL, json=body())
    assert schema.validate_error(refused.json())["code"] != "model_warming"
    assert cold.desired == (0, 0)


class Measured:
    """An engine with vLLM's metrics: `running` requests, and as many tokens as there were requests."""

    def __init__(self) -> None:
        self.running, self._requests = 0, 0

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Reply with the metrics, or to a request."""
        if request.path != "/metrics":
            self._requests += 1
            await Chat()(request, reply)
            return
        values = {"num_requests_running": self.running, "request_success_total": self._requests}
        values |= dict.fromkeys(("prompt_tokens_total", "generation_tokens_total"), self._requests)
        text = "".join(f"vllm:{name} {value}\n" for name, value in values.items())
        await Status(200, text.encode(), "text/plain")(request, reply)


# An hour in 0.6 s.
FASTER = "import time; clock = time.monotonic; time.monotonic = lambda: 6000 * clock()\n"


@contextmanager
def reporting(cold: ColdEngine) -> Iterator[Iterator[str]]:
    """Run the reporter beside the engine, in haste, and yield its lines."""
    program = FASTER + source("report").replace("PAUSE_S = 10", "PAUSE_S = 0.02")
    url = cold.base_url.replace("/v1", "/metrics")
    command = [sys.executable, "-c", program, url, "ChatbotApi/test", MODEL]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield iter(process.stdout)
        process.terminate()


def test_an_engine_stops_when_its_reporter_says_that_it_is_idle_and_starts_again(
    cold: ColdEngine, scaler: Handler, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reporter in a process, its lines as CloudWatch Logs delivers them, and the scaler's handler."""
    ahead_s = 0

    def now() -> float:
        return time.time() + ahead_s

    def deliver(line: dict[str, Any]) -> bool:
        """Deliver a line, if the subscription's filter lets it through; return whether the engine stopped."""
        if line["idle_s"] < 1200:
            return False
        event = {
            "messageType": "DATA_MESSAGE",
            "logStream": f"reporter/reporter/{cold.task}",
            "logEvents": [{"id": "1", "timestamp": round(now() * 1000), "message": json.dumps(line)}],
        }
        data = base64.b64encode(gzip.compress(json.dumps(event).encode())).decode()
        return bool(scaler({"awslogs": {"data": data}}, None)["stopped"])

    monkeypatch.setattr(sys.modules["functions.scaler.handler"].scaler, "_now", now)
    measured = cold.engine.behaviour = Measured()
    client = api(cold.base_url)
    with streamed(client) as reply:
        schema.validate_stream(reply.read())
    with reporting(cold) as lines:
        readings = map(json.loads, lines)
        assert not deliver(next(each for each in readings if each["idle_s"] >= 1200)), "requested just now"
        ahead_s, measured.running = 1300, 1
        busy = next(each for each in readings if each["vllm:num_requests_running"][0])
        assert busy["idle_s"] == 0
        measured.running = 0
        idle = next(each for each in readings if each["idle_s"] >= 1200)
    assert not deliver(busy)
    assert deliver(idle)
    cold.wait_until(lambda: not cold.is_up())
    assert cold.desired == (0, 0)
    with streamed(client) as reply:
        schema.validate_stream(reply.read())
    assert cold.desired == (1, 1)
    assert cold.changes == [1, 0, 1]
