"""The official `openai` packages, used as their users do: Python 3.x and 2.x, and Node."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from infra.paths import ROOT
from tests.e2e.conftest import Scripted
from tests.e2e.custom_gateway import custom_gateway
from tests.e2e.raw_http import QUESTION
from tests.engines import schema, text_schema
from tests.engines.behaviours import ByModel, Chat, End, InTurn, Replay, Sse, vllm_error
from tests.engines.events import DONE, event, first, joined, pieces, tokens
from tests.engines.recordings import recording
from tests.engines.wire import Reply, Request
from tests.local_service import Service

Outcomes = dict[str, Any]
FOLDER = ROOT / "tests/e2e/sdk"
PYTHON = (sys.executable, str(FOLDER / "scenarios.py"))
KEY = "sk-right"
SLOW = Sse(tokens(1, first_s=0.3, pace_s=0.3))


@dataclass(frozen=True)
class Sdk:
    """One official package: how its scenarios are run, and which major it must be."""

    name: str
    major: str
    command: tuple[str, ...]
    library: str = ""

    def run(self, service: Service, *scenarios: str) -> Outcomes:
        """Run scenarios; return their outcomes."""
        done = subprocess.run(
            (*self.command, f"{service.url}/v1", service.key, *scenarios),
            env={**os.environ, "PYTHONPATH": self.library},
            capture_output=True,
            text=True,
            timeout=50,
            check=False,
        )
        assert (done.returncode, done.stderr) == (0, "")
        outcomes: Outcomes = json.loads(done.stdout)
        assert outcomes["version"].startswith(f"{self.major}.")
        return outcomes


SDKS = (
    Sdk("python-3", "3", PYTHON),
    Sdk("python-2", "2", PYTHON, str(ROOT / ".local/openai-2")),
    Sdk("node", "7", ("node", str(FOLDER / "scenarios.mjs"))),
)
OF_ANY_MODEL = (
    "chat",
    "raw_response",
    "stream",
    "stream_with_usage",
    "schema",
    "two_choices",
    "stop",
    "logprobs",
    "seed",
    "text",
    "text_stream",
    "embeddings",
    "models",
    "bad_request",
    "bad_stream_request",
    "no_prompt",
    "tokens",
    "unknown_model",
)
OF_A_SCRIPT = (
    "tool",
    "tool_stream",
    "close",
    "retried",
    "limited",
    "broken",
    "busy",
    "error_event",
    "cut",
)


def _param(sdk: Sdk) -> object:
    """One package is enough for `make test`, one of each language for `make test-all`."""
    marks = {"python-2": pytest.mark.nightly, "node": pytest.mark.slow}
    return pytest.param(sdk, id=sdk.name, marks=marks.get(sdk.name, ()))


@pytest.fixture(scope="module", params=map(_param, SDKS))
def sdk(request: pytest.FixtureRequest) -> Sdk:
    chosen: Sdk = request.param
    return chosen


@pytest.fixture(scope="module")
def outcomes(sdk: Sdk, service: Service) -> Outcomes:
    """What a package's user sees of the real model."""
    return sdk.run(service, *OF_ANY_MODEL)


@dataclass(frozen=True)
class Scenes:
    """What a package's user saw of a scripted engine, and what the engine saw."""

    outcomes: Outcomes
    requests: list[Request]

    def seen(self, model: str) -> list[Request]:
        return [request for request in self.requests if request.fields["model"] == model]


@pytest.fixture(scope="module")
def scenes(sdk: Sdk, scripted_session: Scripted) -> Scenes:
    engine = scripted_session.engine
    engine.behaviour = behaviours()
    engine.received_requests.clear()
    outcomes = sdk.run(scripted_session.service, *OF_A_SCRIPT)
    engine.wait_until(lambda: not engine.open_streams)
    return Scenes(outcomes, engine.requests)


async def call_then_answer(request: Request, reply: Reply) -> None:
    """Do what a vLLM with a tool template did: call the tool, then answer with its result."""
    answered = request.fields["messages"][-1]["role"] == "tool"
    kind = "stream" if request.fields.get("stream") else "chat"
    case = "chat_tool_result" if answered else f"{kind}_tool_named"
    await Replay(recording(f"vllm-0.32.0-tooltemplate/{case}"))(request, reply)


def behaviours() -> ByModel:
    error = event('{"error":{"message":"CUDA error","type":"InternalServerError","param":null,"code":500}}')
    some = first(tokens(8), 4)
    return ByModel(
        {
            "tools": call_then_answer,
            "limited": vllm_error(429),
            "retried": InTurn([vllm_error(429, headers={"retry-after": "1"})]),
            "broken": vllm_error(500),
            "busy": vllm_error(503),
            "error-event": Chat(Sse(joined(some, pieces(error, DONE)))),
            "cut": Chat(Sse(some, End.CUT)),
            "endless": Chat(Sse(tokens(1000, pace_s=0.02))),
        }
    )


def test_chat(outcomes: Outcomes) -> None:
    completion = schema.validate_completion(outcomes["chat"]["reply"])
    (choice,) = completion["choices"]
    assert choice["message"]["content"]
    assert choice["finish_reason"] in ("stop", "length")
    assert 1 <= completion["usage"]["completion_tokens"] <= 8


@pytest.mark.parametrize("scenario", ["chat", "raw_response"])
def test_a_reply_has_its_request_id(outcomes: Outcomes, scenario: str) -> None:
    assert outcomes[scenario]["request_id"].startswith("req_")
    schema.validate_completion(outcomes[scenario]["reply"])


def checked(chunks: list[Outcomes], **options: Any) -> schema.CheckedStream:
    """Hold the chunks that a client saw to the rules of a stream."""
    return schema.check_stream(b"".join(event(json.dumps(chunk)) for chunk in chunks) + DONE, **options)


def test_stream(outcomes: Outcomes) -> None:
    stream = checked(outcomes["stream"])
    assert stream.text()
    assert stream.finish_reason() in ("stop", "length")


def test_stream_with_usage(outcomes: Outcomes) -> None:
    usage = checked(outcomes["stream_with_usage"], include_usage=True).usage
    assert usage
    assert 1 <= usage["completion_tokens"] <= 8


def test_json_schema(outcomes: Outcomes) -> None:
    answer = json.loads(schema.validate_completion(outcomes["schema"])["choices"][0]["message"]["content"])
    assert answer.keys() == {"name", "big"}
    assert isinstance(answer["name"], str)
    assert isinstance(answer["big"], bool)


def test_n(outcomes: Outcomes) -> None:
    choices = schema.validate_completion(outcomes["two_choices"])["choices"]
    assert [choice["index"] for choice in choices] == [0, 1]
    assert all(choice["message"]["content"] for choice in choices)


def test_stop(outcomes: Outcomes) -> None:
    text, word, reply = outcomes["stop"].values()
    (choice,) = schema.validate_completion(reply)["choices"]
    assert choice["finish_reason"] == "stop"
    assert choice["message"]["content"] == text[: text.index(word)]


def test_logprobs(outcomes: Outcomes) -> None:
    (choice,) = schema.validate_completion(outcomes["logprobs"])["choices"]
    content = choice["logprobs"]["content"]
    assert 1 <= len(content) <= 3
    for token in content:
        assert token["logprob"] <= 0
        assert len(token["top_logprobs"]) == 2


def test_seed(outcomes: Outcomes) -> None:
    one, other = (reply["choices"][0]["message"]["content"] for reply in outcomes["seed"])
    assert one == other


def test_the_choices_of_several_texts_come_prompt_by_prompt(outcomes: Outcomes) -> None:
    reply = text_schema.validate_completion(outcomes["text"], n=4)
    texts = [choice["text"] for choice in reply["choices"]]
    assert texts[0] == texts[1]
    assert texts[2] == texts[3]
    assert texts[0].startswith("1, 2, 3, 4, 5, 6")
    assert texts[2].startswith("A, B, C, D, E, F")
    assert reply["usage"]["completion_tokens"] == 16


def test_a_text_streams(outcomes: Outcomes) -> None:
    assert isinstance(outcomes["text_stream"], list), outcomes["text_stream"]  # else what was raised
    chunks = b"".join(event(json.dumps(chunk)) for chunk in outcomes["text_stream"])
    stream = text_schema.check_stream(chunks + DONE, include_usage=True)
    assert stream.text()
    assert stream.usage
    assert 1 <= stream.usage["completion_tokens"] <= 8


def test_embeddings_are_the_same_in_base64_and_as_numbers(outcomes: Outcomes) -> None:
    decoded, numbers = (text_schema.validate_embeddings(each, count=2) for each in outcomes["embeddings"])
    for one, other in zip(decoded, numbers, strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-3)
    assert numbers[0] != numbers[1]


def test_models(outcomes: Outcomes) -> None:
    listed = outcomes["models"]["listed"]
    schema.validate_models({"object": "list", "data": listed})
    assert outcomes["models"]["default"] == listed[0]


def test_a_tool_is_called_and_its_result_answered(scenes: Scenes) -> None:
    call = schema.validate_completion(scenes.outcomes["tool"]["call"])["choices"][0]
    (tool_call,) = call["message"]["tool_calls"]
    assert tool_call["function"]["name"] == "get_weather"
    assert json.loads(tool_call["function"]["arguments"]) == {"city": "Paris", "unit": "celsius"}
    answer = schema.validate_completion(scenes.outcomes["tool"]["reply"])["choices"][0]
    assert answer["message"]["content"]
    sent = scenes.seen("tools")[1].fields["messages"]
    assert sent[-1]["tool_call_id"] == tool_call["id"] == sent[-2]["tool_calls"][0]["id"]


def test_a_tool_call_streams(scenes: Scenes) -> None:
    choices = checked(scenes.outcomes["tool_stream"]).choices()
    calls = [call for choice in choices for call in choice["delta"].get("tool_calls", ())]
    assert calls[0]["function"]["name"] == "get_weather"
    arguments = "".join(call["function"].get("arguments", "") for call in calls)
    assert json.loads(arguments).keys() == {"city", "unit"}


def test_closing_a_stream_stops_the_engine(scenes: Scenes) -> None:
    (request,) = scenes.seen("endless")
    assert request.disconnected_at
    assert request.disconnected_at - scenes.outcomes["close"] < 0.2


def test_the_sdk_waits_for_a_limit_as_long_as_it_must(scenes: Scenes) -> None:
    schema.validate_completion(scenes.outcomes["retried"])
    first, second = scenes.seen("retried")
    assert 0.95 < second.received_at - first.received_at < 1.5


@pytest.mark.parametrize(
    ("scenario", "raised", "status", "kind", "param", "code"),
    [
        (
            "bad_request",
            "BadRequestError",
            400,
            "invalid_request_error",
            "temperature",
            "decimal_above_max_value",
        ),
        ("bad_stream_request", "BadRequestError", 400, "invalid_request_error", "messages", "empty_array"),
        ("no_prompt", "BadRequestError", 400, "invalid_request_error", "prompt", "empty_array"),
        ("tokens", "BadRequestError", 400, "invalid_request_error", "input", "invalid_type"),
        ("unknown_model", "NotFoundError", 404, "invalid_request_error", None, "model_not_found"),
    ],
)
def test_what_is_wrong_with_a_request_is_raised(
    outcomes: Outcomes, scenario: str, raised: str, status: int, kind: str, param: str | None, code: str
) -> None:
    check_raised(outcomes[scenario], raised, status, kind, param, code)


@pytest.mark.parametrize(
    ("scenario", "raised", "status", "kind", "code"),
    [
        ("limited", "RateLimitError", 429, "requests", "rate_limit_exceeded"),
        ("broken", "InternalServerError", 502, "server_error", "upstream_error"),
        ("busy", "InternalServerError", 503, "service_unavailable_error", "server_is_overloaded"),
    ],
)
def test_what_is_wrong_with_the_engine_is_raised(
    scenes: Scenes, scenario: str, raised: str, status: int, kind: str, code: str
) -> None:
    check_raised(scenes.outcomes[scenario], raised, status, kind, None, code)


def check_raised(
    outcomes: Outcomes, raised: str, status: int, kind: str, param: str | None, code: str
) -> None:
    assert outcomes.pop("request_id").startswith("req_")
    assert outcomes == {"raised": raised, "status": status, "type": kind, "param": param, "code": code}


@pytest.mark.parametrize("scenario", ["error_event", "cut"])
def test_what_breaks_in_a_stream_is_raised(scenes: Scenes, scenario: str) -> None:
    outcomes = scenes.outcomes[scenario]
    assert (outcomes["raised"], outcomes["type"], outcomes["code"]) == (
        "APIError",
        "server_error",
        "upstream_error",
    )


@pytest.fixture(scope="module")
def custom(scripted_session: Scripted) -> Iterator[Service]:
    """A service with a key, and with keep-alive comments soon after silence begins."""
    models = {"scripted": {"base_url": scripted_session.engine.base_url}}
    keys = json.dumps({hashlib.sha256(KEY.encode()).hexdigest(): []})
    with custom_gateway(models, API_KEYS=keys, KEEP_ALIVE_S="0.2") as url:
        yield Service(url, KEY)


def test_a_wrong_key_is_raised(sdk: Sdk, custom: Service, scripted: Scripted) -> None:
    outcomes = sdk.run(Service(custom.url, "sk-wrong"), "wrong_key")["wrong_key"]
    check_raised(outcomes, "AuthenticationError", 401, "invalid_request_error", None, "invalid_api_key")
    assert not scripted.engine.requests


def test_the_right_key_is_let_in_and_keep_alives_are_not_seen(
    sdk: Sdk, custom: Service, scripted: Scripted
) -> None:
    scripted.engine.behaviour = SLOW
    assert checked(sdk.run(custom, "stream")["stream"]).text() == " word"


def test_keep_alives_are_sent(custom: Service, scripted: Scripted) -> None:
    scripted.engine.behaviour = SLOW
    with custom.client() as client:
        body = client.post("/v1/chat/completions", json={**QUESTION, "stream": True}).content
    assert schema.check_stream(body).comments
