"""Bedrock's models: directly, and through a second function of ours behind a Function URL with IAM."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from functions.chat.app import create_served_app
from functions.chat.engines import credentials as credentials_module
from functions.chat.engines.credentials import Credentials
from functions.chat.engines.fallback import Fallback
from functions.chat.engines.http import HttpEngine
from functions.chat.settings import Settings
from functions.shared.role import Role
from tests.engines.bedrock import (
    CRASHED,
    ENVIRONMENT,
    FORBIDDEN,
    KEYS,
    THROTTLED,
    Bedrock,
    FunctionUrl,
    error,
    wrong_signature,
)
from tests.engines.behaviours import Sse, Status, vllm_error
from tests.engines.scripted import ScriptedEngine, refusing_engine
from tests.engines.wire import Behaviour
from tests.integration.chat.service import URL, USER, client_of, served

pytestmark = pytest.mark.anyio
NAME, SERVED = "gpt-oss-20b", "openai.gpt-oss-20b-1:0"
SAID = ("They want a capital.", "The capital of France is Paris.")
# Every field of OpenAI's with a harmless value, of which Bedrock is sent those that it takes.
OPENAI = {
    "temperature": 0.5, "top_p": 0.9, "stop": ["x"], "seed": 1, "presence_penalty": 0.1, "user": "u",
    "frequency_penalty": 0.1, "logprobs": True, "top_logprobs": 1, "logit_bias": {"1": 1}, "store": True,
    "reasoning_effort": "low", "parallel_tool_calls": False, "max_completion_tokens": 9, "verbosity": "low",
    "tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "auto", "metadata": {"a": "b"},
    "response_format": {"type": "text"}, "service_tier": "auto", "prompt_cache_key": "k",
}  # fmt: skip


def app_of(models: dict[str, Any], **variables: str) -> tuple[ASGIApp, HttpEngine]:
    settings = Settings.from_environment({"MODELS": json.dumps(models), **variables})
    engine = HttpEngine(settings, Credentials(role=Role(ENVIRONMENT)))
    return create_served_app(settings, Fallback(engine)), engine


def bedrock_model(engine: ScriptedEngine, **changes: Any) -> dict[str, Any]:
    base_url = engine.base_url.replace("/v1", "/openai/v1")
    return {
        "base_url": base_url,
        "engine": "bedrock",
        "credentials": "bedrock",
        "served_name": SERVED,
        **changes,
    }


@asynccontextmanager
async def client_for(models: dict[str, Any], **variables: str) -> AsyncIterator[httpx.AsyncClient]:
    app, engine = app_of(models, **variables)
    async with client_of(app) as client:
        yield client
    await engine.aclose()


def body(**fields: Any) -> dict[str, Any]:
    return {"model": NAME, "messages": [USER], **fields}


def said(reply: httpx.Response) -> tuple[str, str]:
    """Return the reasoning and the text of a reply, whole or streamed."""
    assert reply.status_code == 200, reply.text
    if reply.headers["content-type"] == "application/json":
        message = reply.json()["choices"][0]["message"]
        return message["reasoning"], message["content"]
    lines = [line.removeprefix("data: ") for line in reply.text.split("\n\n") if line.startswith("data: {")]
    deltas = [choice["delta"] for line in lines for choice in json.loads(line)["choices"]]
    reasoning, text = (
        "".join(delta.get(name) or "" for delta in deltas) for name in ("reasoning", "content")
    )
    return reasoning, text


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_its_own_key_fields_and_tags(engine: ScriptedEngine, stream: bool) -> None:
    engine.behaviour = Bedrock()
    options = {"stream_options": {"include_usage": True}} if stream else {}
    async with client_for({NAME: bedrock_model(engine)}) as client:
        reply = await client.post(URL, json=body(stream=stream, **OPENAI, **options))
        refused = await client.post(URL, json=body(top_k=3))
    assert said(reply) == SAID
    assert '"total_tokens":45' in reply.text.replace(" ", "")
    (request,) = engine.requests
    assert (request.fields["model"], request.fields["max_completion_tokens"]) == (SERVED, 9)
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "unknown_parameter")


async def test_a_stream_that_does_not_count_is_whole(engine: ScriptedEngine) -> None:
    engine.behaviour = Bedrock(counts=False)
    async with client_for({NAME: bedrock_model(engine)}) as client:
        assert said(await client.post(URL, json=body(stream=True))) == SAID


async def test_a_token_that_is_rejected_is_made_again_once(
    engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    engine.behaviour = bedrock = Bedrock()
    monkeypatch.setattr(credentials_module, "TOKEN_NEW_S", 0.0)
    async with client_for({NAME: bedrock_model(engine)}) as client:
        assert said(await client.post(URL, json=body())) == SAID
        token = engine.requests[0].headers["authorization"].removeprefix("Bearer ")
        bedrock.refused.add(token)
        monkeypatch.setattr(credentials_module, "TOKEN_VALID_S", 1801)  # so that the next one differs
        assert said(await client.post(URL, json=body())) == SAID
        assert len(engine.requests) == 3
    shown = caplog.text
    assert "bedrock:CallWithBearerToken" in shown
    assert not any(hidden in shown for hidden in (token, str(KEYS.token), str(KEYS.secret_key)))


async def test_no_access_costs_one_request_and_goes_to_the_next_model(engine: ScriptedEngine) -> None:
    engine.behaviour = error(403, "AccessDeniedException", "User: arn:aws:sts::123456789012:assumed-role/x")
    async with client_for({NAME: bedrock_model(engine)}) as client:
        reply = await client.post(URL, json=body())
    assert (reply.status_code, reply.json()["error"]["code"], len(engine.requests)) == (
        502,
        "upstream_error",
        1,
    )
    assert "arn" not in reply.text


async def test_an_error_within_a_stream_is_its_end(engine: ScriptedEngine) -> None:
    failed = b'data: {"message": "arn:aws:x", "__type": "ModelStreamErrorException"}\n\n'
    engine.behaviour = Sse(lambda _: [failed])
    async with client_for({NAME: bedrock_model(engine)}) as client:
        reply = await client.post(URL, json=body(stream=True))
    assert (reply.json()["error"]["code"], reply.headers["x-should-retry"]) == ("upstream_error", "false")
    assert "arn" not in reply.text


# Behind a Function URL: a second chat function of ours.


def admitting(app: ASGIApp) -> ASGIApp:
    """Refuse what is not signed for this URL, as Lambda does before it invokes the function."""

    async def admit(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await app(scope, receive, send)
        content, more = b"", True
        while more:
            message = await receive()
            content, more = content + message.get("body", b""), message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        if wrong := wrong_signature(scope["method"], scope["path"], headers, content):
            await send({"type": "http.response.start", "status": 403, "headers": []})
            return await send({"type": "http.response.body", "body": wrong.encode()})
        whole: Message | None = {"type": "http.request", "body": content, "more_body": False}

        async def again() -> Message:
            nonlocal whole
            first, whole = whole, None
            return first or await receive()

        return await app(scope, again, send)

    return admit


@asynccontextmanager
async def relayed(engine: ScriptedEngine, **variables: str) -> AsyncIterator[httpx.AsyncClient]:
    """Yield a client of the API, whose engine is down and whose fallback is another function's Bedrock."""
    relay, _ = app_of({NAME: bedrock_model(engine)}, **variables)
    with served(admitting(relay)) as url, refusing_engine() as down:
        models = {
            "own": {"base_url": down, "fallback": [NAME]},
            NAME: {
                "base_url": f"{url}/v1",
                "engine": "bedrock",
                "credentials": "function_url",
                "listed": False,
            },
        }
        async with client_for(models) as client:
            yield client


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
async def test_a_second_function_answers_with_its_bedrock(engine: ScriptedEngine, stream: bool) -> None:
    engine.behaviour = Bedrock()
    async with relayed(engine) as client:
        reply = await client.post(URL, json=body(model="own", stream=stream))
    assert said(reply) == SAID
    assert reply.headers["x-model"] == NAME


# What Bedrock does behind the second function → the status and the code, and whether it may be sent again.
FAILS: dict[str, tuple[Behaviour, int, str, bool]] = {
    "no access": (error(403, "AccessDeniedException", "arn:"), 502, "upstream_error", True),
    "throttled": (
        error(429, "ThrottlingException", "arn:", **{"retry-after": "7"}),
        429,
        "rate_limit_exceeded",
        True,
    ),
    "fails": (error(500, "InternalServerException", "arn:"), 502, "upstream_error", False),
    "too long": (
        error(400, "ValidationException", "Input is too long for requested model. arn:"),
        400,
        "context_length_exceeded",
        True,
    ),
    "full": (vllm_error(503, "arn:"), 503, "server_is_overloaded", True),
    "its stream fails": (Sse(lambda _: [b'data: {"message": "arn:"}\n\n']), 502, "upstream_error", False),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("name", FAILS)
async def test_its_errors_are_ours(
    engine: ScriptedEngine, caplog: pytest.LogCaptureFixture, name: str, stream: bool
) -> None:
    engine.behaviour, status, code, again = FAILS[name]
    caplog.set_level(logging.INFO)
    async with relayed(engine) as client:
        reply = await client.post(URL, json=body(model="own", stream=stream))
    assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)
    assert (reply.headers.get("x-should-retry") != "false") is again
    assert "arn:" not in reply.text + caplog.text
    assert (reply.headers.get("retry-after") == "7") is (name == "throttled")


LAMBDA: dict[str, tuple[Behaviour, int, int]] = {
    "forbidden": (FORBIDDEN, 502, 1),
    "busy": (THROTTLED, 429, 1),
    "crashed": (CRASHED, 502, 1),
    "too slow": (Status(504, b'{"Message":null}'), 504, 1),
}


@pytest.mark.parametrize("name", LAMBDA)
async def test_lambda_s_own_answers(engine: ScriptedEngine, name: str) -> None:
    behaviour, status, count = LAMBDA[name]
    engine.behaviour = FunctionUrl(behaviour)
    entry = {"base_url": engine.base_url, "engine": "bedrock", "credentials": "function_url"}
    async with client_for({NAME: entry}) as client:
        reply = await client.post(URL, json=body(stream=True))
        assert (reply.status_code, len(engine.requests)) == (status, count)
        models = await client.get("/v1/models")
    assert models.status_code == 200


async def test_a_body_that_the_second_function_does_not_take_is_too_large(engine: ScriptedEngine) -> None:
    engine.behaviour = Bedrock()
    async with relayed(engine, MAX_BODY_BYTES="2000") as client:
        reply = await client.post(URL, json=body(model="own", messages=[{**USER, "content": "x" * 3000}]))
    assert (reply.status_code, reply.json()["error"]["param"], engine.requests) == (400, "messages", [])
