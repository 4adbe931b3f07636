"""`/v1/completions` and `/v1/embeddings` over HTTP, with what real engines sent."""

import json
from typing import Any

import pytest

from tests.engines import schema, text_schema
from tests.engines.behaviours import Replay
from tests.engines.recordings import Recording, recording, recordings
from tests.engines.scripted import ScriptedEngine
from tests.integration.chat.conftest import Connect

pytestmark = pytest.mark.anyio
COMPLETIONS, EMBEDDINGS = "/v1/completions", "/v1/embeddings"
PROMPT = {"model": "tiny", "prompt": "Once upon a time"}
INPUT = {"model": "vectors", "input": "Hello world"}


def models(base_url: str, engine: str) -> str:
    """Return a text model and an embedding model of one engine."""
    entry = {"base_url": base_url, "engine": engine}
    return json.dumps({"tiny": entry, "vectors": {**entry, "serves": ["embeddings"]}})


async def replies(
    engine: ScriptedEngine, connect: Connect, recorded: Recording, url: str, body: Any, **cut: Any
) -> Any:
    """Return the reply to a request, where the engine does what was recorded."""
    engine.behaviour = Replay(recorded, **cut)
    kind = recorded.engine.split("/")[-1].partition("-")[0]
    async with connect(MODELS=models(engine.base_url, kind)) as client:
        return await client.post(url, json=body)


@pytest.mark.parametrize("name", ["vllm-0.32.0", "llama.cpp-b11549"])
async def test_a_stream_of_text(engine: ScriptedEngine, connect: Connect, name: str) -> None:
    body = {**PROMPT, "n": 2, "stream": True, "stream_options": {"include_usage": True}}
    recorded = recording(f"completions/{name}/stream_n2")
    results = [
        (await replies(engine, connect, recorded, COMPLETIONS, body, **cut)).content
        for cut in ({}, {"split": 7}, {"crlf": True})
    ]
    assert results == results[:1] * 3
    usage = text_schema.check_stream(results[0], n=2, include_usage=True).usage
    assert usage
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (4, 8)
    assert {request.path for request in engine.requests} == {"/v1/completions"}


@pytest.mark.parametrize("case", ["stream_n2", "n2"])
async def test_llama_cpp_streams_what_its_caller_gets_whole(
    engine: ScriptedEngine, connect: Connect, case: str
) -> None:
    """Also where it, or a proxy before it, sends a whole reply all the same."""
    recorded = recording(f"completions/llama.cpp-b11549/{case}")
    reply = await replies(engine, connect, recorded, COMPLETIONS, {**PROMPT, "n": 2})
    assert reply.headers["content-type"] == "application/json"
    value = text_schema.validate_completion(reply.json(), n=2)
    each = 4 if case == "stream_n2" else 12
    assert value["usage"] == {
        "prompt_tokens": 4,
        "completion_tokens": 2 * each,
        "total_tokens": 4 + 2 * each,
        "prompt_tokens_details": value["usage"]["prompt_tokens_details"],
    }
    (request,) = engine.requests
    assert request.fields["stream"] is True


@pytest.mark.parametrize("name", ["vllm-0.32.0", "llama.cpp-b11549"])
@pytest.mark.parametrize("is_base64", [False, True], ids=["floats", "base64"])
async def test_embeddings(engine: ScriptedEngine, connect: Connect, name: str, *, is_base64: bool) -> None:
    recorded = recording(f"embeddings/{name}/list{'_base64' if is_base64 else ''}")
    body = {**INPUT, "input": ["Hello world", "Good night"]}
    if is_base64:
        body["encoding_format"] = "base64"
    reply = await replies(engine, connect, recorded, EMBEDDINGS, body)
    text_schema.validate_embeddings(reply.json(), count=2, is_base64=is_base64)
    (request,) = engine.requests
    assert request.path == "/v1/embeddings"


@pytest.mark.parametrize(
    ("case", "url", "status", "code", "param"),
    [
        ("completions/*/err_context_overflow", COMPLETIONS, 400, "context_length_exceeded", "prompt"),
        ("completions/*/err_token_out_of_vocab", COMPLETIONS, 400, "invalid_value", "prompt"),
        ("embeddings/*/err_context_overflow", EMBEDDINGS, 400, "context_length_exceeded", "input"),
        ("embeddings/vllm*/dimensions", EMBEDDINGS, 400, "unsupported_value", "dimensions"),
        ("embeddings-chat/*/string", EMBEDDINGS, 404, "model_not_served", "model"),
        ("embeddings/*/err_bad_key", EMBEDDINGS, 502, "upstream_error", None),
    ],
)
async def test_what_an_engine_refuses_is_in_the_words_of_the_caller(
    engine: ScriptedEngine, connect: Connect, case: str, url: str, status: int, code: str, param: str | None
) -> None:
    for recorded in recordings(case):
        engine.received_requests.clear()
        reply = await replies(engine, connect, recorded, url, PROMPT if url == COMPLETIONS else INPUT)
        error = schema.validate_error(reply.json())
        assert (reply.status_code, error["code"], error["param"]) == (status, code, param), recorded
        assert "messages" not in error["message"]
        assert len(engine.requests) == 1


@pytest.mark.parametrize("recorded", recordings("completions/*/stream_cut_by_sigterm"), ids=str)
async def test_an_engine_that_was_killed_fails_the_text(
    engine: ScriptedEngine, connect: Connect, recorded: Recording
) -> None:
    reply = await replies(engine, connect, recorded, COMPLETIONS, {**PROMPT, "stream": True})
    stream = text_schema.check_stream(reply.content)
    assert stream.text()
    assert stream.error
    assert stream.error["code"] == "upstream_error"
    if "llama" in recorded.engine:
        whole = await replies(engine, connect, recorded, COMPLETIONS, PROMPT)
        assert (whole.status_code, whole.headers["x-should-retry"]) == (502, "false")


async def test_dimensions_that_an_engine_ignores_are_refused(
    engine: ScriptedEngine, connect: Connect
) -> None:
    recorded = recording("embeddings/llama.cpp-b11549/dimensions")
    reply = await replies(engine, connect, recorded, EMBEDDINGS, {**INPUT, "dimensions": 64})
    error = schema.validate_error(reply.json())
    assert (reply.status_code, error["param"]) == (400, "dimensions")
    assert "gives 576 numbers" in error["message"]
