"""`POST /v1/embeddings`: what is refused, what an engine is sent, and what the caller gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.chat.api.embeddings import EMBEDDINGS
from functions.chat.engines.errors import translate
from functions.shared.key_text import digest
from tests.engines import text_schema
from tests.engines.recordings import Recording, recording, recordings
from tests.unit.chat.api.endpoint import error_of, post, sent
from tests.unit.chat.fakes import FakeEngine, model

pytestmark = pytest.mark.anyio
URL = "/v1/embeddings"
VECTORS = model("vectors", serves=frozenset({"embeddings"}), engine="vllm")


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "vectors", "input": "Hello world", **fields}


def replying(case: str = "float") -> FakeEngine:
    return FakeEngine(recording(f"embeddings/vllm-0.32.0/{case}").body)


REFUSED: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "no input": ({"model": "vectors"}, "missing_required_parameter", "input", ""),
    "null": (body(input=None), "invalid_type", "input", "a string or an array of strings"),
    "no text": (body(input=""), "empty_string", "input", ""),
    "no texts": (body(input=[]), "empty_array", "input", ""),
    "one without text": (body(input=["a", ""]), "empty_string", "input[1]", ""),
    "many texts": (body(input=["a"] * 2049), "array_above_max_length", "input", "2048"),
    "a number": (body(input=5), "invalid_type", "input", ""),
    "mixed": (body(input=["a", 1]), "invalid_type", "input[1]", ""),
    "tokens": (body(input=[1, 2]), "invalid_type", "input", "check_embedding_ctx_length=False"),
    "tokens of two": (body(input=[[1], [2]]), "invalid_type", "input", "Send the texts themselves"),
    "another format": (body(encoding_format="yaml"), "invalid_value", "encoding_format", "'base64'"),
    "no dimensions": (body(dimensions=0), "integer_below_min_value", "dimensions", ""),
    "unknown": (body(frobnicate=1), "unknown_parameter", "frobnicate", "extra_fields"),
    "a limit": (body(max_tokens=5), "unknown_parameter", "max_tokens", "'max_tokens'. It is a parameter of"),
    "messages too": (body(messages=[]), "unknown_parameter", "messages", "'messages'. It is a parameter of"),
    "a stream": (body(stream=True), "unknown_parameter", "stream", ""),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused_reaches_no_engine(name: str) -> None:
    fields, code, param, part = REFUSED[name]
    engine = replying()
    status, *error, message = error_of(await post(URL, fields, VECTORS, engine=engine))
    assert (status, *error) == (400, code, param)
    assert part in message
    assert not engine.requests


@pytest.mark.parametrize(
    ("fields", "kind", "expected"),
    [
        ({}, "vllm", {}),
        ({"encoding_format": None, "dimensions": None, "user": None}, "vllm", {}),
        ({"encoding_format": "base64", "user": "u"}, "vllm", {"encoding_format": "base64", "user": "u"}),
        ({"user": "u", "dimensions": 384}, "llama.cpp", {"dimensions": 384}),
    ],
)
async def test_an_engine_is_sent_what_it_reads(
    fields: dict[str, Any], kind: str, expected: dict[str, Any]
) -> None:
    engine = replying()
    of = model("vectors", serves=VECTORS.serves, engine=kind, served_name="/weights")
    reply = await post(URL, body(**fields), of, engine=engine)
    assert sent(engine) == {"model": "/weights", "input": "Hello world", **expected}
    (request,) = engine.requests
    assert (request.path, request.stream, request.max_completion) == ("embeddings", False, 0)
    is_base64 = fields.get("encoding_format") == "base64"
    text_schema.validate_embeddings(reply.json(), count=1, is_base64=is_base64)
    assert reply.json()["model"] == "vectors"


async def test_what_would_not_fit_is_refused_before_the_engine_works() -> None:
    of = model("vectors", serves=VECTORS.serves, dimensions=1000)
    engine = replying()
    texts = body(input=["a"] * 100)
    status, code, param, message = error_of(await post(URL, texts, of, engine=engine, max_event_bytes=10**6))
    assert (status, code, param) == (400, "array_above_max_length", "input")
    assert "100 embeddings of 1000 numbers" in message
    assert "at most 45 texts" in message
    assert '"base64"' in message
    assert not engine.requests
    for smaller in ({"encoding_format": "base64"}, {"dimensions": 10}):
        engine.requests.clear()
        await post(URL, {**texts, **smaller}, of, engine=engine, max_event_bytes=10**6)
        assert engine.requests


@pytest.mark.parametrize(
    "recorded", recordings("embeddings*/*/err_*") + recordings("embeddings*/*/dim*"), ids=str
)
def test_an_engine_s_error_names_what_the_caller_sent(recorded: Recording) -> None:
    if recorded.status == 200 or "bad_key" in recorded.case:
        return
    error = translate("vectors", recorded.status, json.loads(recorded.body))
    error.rename(EMBEDDINGS.names)
    assert error.status in (400, 404)
    assert error.param in (None, "input", "encoding_format", "dimensions", "model")
    assert not any(word in error.message for word in ("messages", "max_tokens", "roles"))
    if "overflow" in recorded.case:
        assert (error.code, error.param) == ("context_length_exceeded", "input")
        assert error.message.endswith("the request needs more. Shorten 'input'.")


async def test_a_model_that_does_not_serve_it_is_not_called() -> None:
    engine = replying()
    reply = await post(URL, body(model="writer"), model("writer"), VECTORS, engine=engine)
    assert error_of(reply)[3] == (
        "The model `writer` serves chat and completions, not embeddings. `vectors` does."
    )
    reply = await post(URL, body(model="writer"), model("writer"), engine=engine)
    assert error_of(reply)[3] == (
        "The model `writer` serves chat and completions, not embeddings. "
        "`GET /v1/models` lists what each model serves."
    )
    keys = {digest("sk-writer"): frozenset({"writer"})}
    reply = await post(
        URL, body(model="writer"), model("writer"), VECTORS, engine=engine, key="sk-writer", keys=keys
    )
    assert "vectors" not in error_of(reply)[3]
    reply = await post(URL, body(model="ada"), model("writer"), VECTORS, engine=engine)
    assert "`vectors` exists" in error_of(reply)[3]
    chat = {"model": "vectors", "messages": [{"role": "user", "content": "Hi"}]}
    reply = await post("/v1/chat/completions", chat, model("writer"), VECTORS, engine=engine)
    assert error_of(reply) == (
        404,
        "model_not_served",
        "model",
        "The model `vectors` serves embeddings, not chat. `writer` does.",
    )
    assert not engine.requests
