"""`POST /v1/completions`: what is refused, what an engine is sent, and what the caller gets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from functions.chat.api.completions import COMPLETIONS
from functions.chat.engines.errors import translate
from functions.chat.engines.kinds import ENGINES
from tests.engines import text_schema
from tests.engines.recordings import Recording, recording, recordings
from tests.unit.chat.api.endpoint import error_of, post, sent
from tests.unit.chat.chunks import dumps
from tests.unit.chat.fakes import FakeEngine, model

pytestmark = pytest.mark.anyio
URL = "/v1/completions"
CHOICE = {"text": ", there was", "logprobs": None, "finish_reason": "length"}
REPLY = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 7,
    "model": "x",
    "usage": {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7},
}


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "tiny", "prompt": "Once", **fields}


def replying(n: int = 1, **changes: Any) -> FakeEngine:
    return FakeEngine(dumps({**REPLY, "choices": [{**CHOICE, "index": at} for at in range(n)], **changes}))


REFUSED: dict[str, tuple[dict[str, Any], str | None, str | None, str]] = {
    "no prompt": ({"model": "tiny"}, "missing_required_parameter", "prompt", "'prompt'"),
    "messages": (
        {"model": "tiny", "messages": [{"role": "user", "content": "Hi"}]},
        "missing_required_parameter",
        "prompt",
        "`/v1/chat/completions`",
    ),
    "null": (body(prompt=None), "invalid_type", "prompt", "expected a string or an array"),
    "no text": (body(prompt=""), "empty_string", "prompt", ""),
    "no prompts": (body(prompt=[]), "empty_array", "prompt", ""),
    "one without text": (body(prompt=["a", ""]), "empty_string", "prompt[1]", ""),
    "no tokens": (body(prompt=[[1], []]), "empty_array", "prompt[1]", ""),
    "mixed": (body(prompt=["a", 1]), "invalid_type", "prompt[1]", "expected a string"),
    "tokens and text": (body(prompt=[1, "a"]), "invalid_type", "prompt[1]", "expected an integer"),
    "a negative token": (body(prompt=[-1]), "integer_below_min_value", "prompt[0]", ""),
    "too large a token": (body(prompt=[[2**31]]), "integer_above_max_value", "prompt[0][0]", ""),
    "booleans": (body(prompt=[True]), "invalid_type", "prompt[0]", "a string, an integer or an array"),
    "a number": (body(prompt=5), "invalid_type", "prompt", "expected a string or an array"),
    "an object": (body(prompt={"a": 1}), "invalid_type", "prompt", "a string or an array"),
    "many prompts": (body(prompt=["a"] * 9), "array_above_max_length", "prompt", "at most 8"),
    "far too many prompts": (body(prompt=[[1]] * 10**5), "array_above_max_length", "prompt", "at most 128"),
    "many choices": (body(n=9), "integer_above_max_value", "n", "<= 8"),
    "many choices of prompts": (body(prompt=["a"] * 3, n=3), "integer_above_max_value", "n", "are 9 choices"),
    "many tokens": (body(max_tokens=300), "integer_above_max_value", "max_tokens", "<= 256"),
    "few tokens": (body(max_tokens=-1), "integer_below_min_value", "max_tokens", ""),
    "logprobs of chat": (body(logprobs=True), "invalid_type", "logprobs", "expected an integer"),
    "many logprobs": (body(logprobs=6), "integer_above_max_value", "logprobs", "<= 5"),
    "suffix": (body(suffix="end"), "unsupported_parameter", "suffix", "Leave it out"),
    "best_of": (body(best_of=3), "invalid_value", "best_of", "'n' (1)"),
    "echo of tokens": (body(prompt=[1], echo=True), "invalid_value", "echo", "token ids"),
    "echo with logprobs": (body(echo=True, logprobs=0), "invalid_value", "echo", "'logprobs'"),
    "five stops": (body(stop=list("abcde")), "array_above_max_length", "stop", ""),
    "options without stream": (body(stream_options={"include_usage": True}), None, "stream_options", ""),
    "unknown": (body(frobnicate=1), "unknown_parameter", "frobnicate", "extra_fields"),
    "messages too": (body(messages=[]), "unknown_parameter", "messages", "'messages'. It is a parameter of"),
    "of chat": (body(top_logprobs=2), "unknown_parameter", "top_logprobs", "'top_logprobs'. It is a"),
    "beams": (body(use_beam_search=True), "unknown_parameter", "use_beam_search", "never sent"),
    "half a character": (body(prompt="\ud800"), "invalid_value", "prompt", ""),
}


@pytest.mark.parametrize("name", REFUSED)
async def test_what_is_refused_reaches_no_engine(name: str) -> None:
    fields, code, param, part = REFUSED[name]
    engine = replying()
    status, *error, message = error_of(await post(URL, fields, engine=engine))
    assert (status, *error) == (400, code, param)
    assert part in message
    assert not engine.requests


SENT: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a text": ({}, {}),
    "nulls": (dict.fromkeys(("n", "echo", "stop", "suffix", "logprobs", "best_of", "stream"), None), {}),
    "nothing requested": ({"suffix": "", "stop": "", "echo": False, "best_of": 1}, {}),
    "no limit": ({"max_tokens": 0}, {}),
    "one of a list": ({"prompt": ["Once"]}, {}),
    "two texts": ({"prompt": ["a", "b"]}, {"prompt": ["a", "b"]}),
    "tokens": ({"prompt": [1, 2]}, {"prompt": [1, 2]}),
    "tokens of two": ({"prompt": [[1], [2]]}, {"prompt": [[1], [2]]}),
    "echo": ({"echo": True}, {}),
    "logprobs": ({"logprobs": 2}, {"logprobs": 2}),
    "no likeliest": ({"logprobs": 0}, {"logprobs": 1}),
    "limit": (
        {"max_tokens": 5, "temperature": 0, "stop": ["a", ""]},
        {"max_tokens": 5, "temperature": 0, "stop": ["a"]},
    ),
    "its own": ({"top_k": 3, "user": "u"}, {"top_k": 3, "user": "u"}),
    "a stream": ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
}


@pytest.mark.parametrize("name", SENT)
async def test_an_engine_is_sent_what_it_reads_and_our_defaults(name: str) -> None:
    fields, expected = SENT[name]
    engine = replying()
    await post(URL, body(**fields), model(served_name="/weights"), engine=engine)
    defaults = {"model": "/weights", "prompt": "Once", "max_tokens": 16, "temperature": 0.7}
    changed = {key: value for key, value in sent(engine).items() if key != "stream" or value}
    assert changed == {**defaults, **expected}
    (request,) = engine.requests
    assert (request.path, request.stream) == ("completions", bool(fields.get("stream")))


@pytest.mark.parametrize("kind", [name for name, kind in ENGINES.items() if kind.text])
async def test_each_kind_of_engine_is_sent_what_it_reads(kind: str) -> None:
    fields = body(seed=1, presence_penalty=1, logit_bias={"1": 1}, user="u", top_k=1)
    if "top_k" not in ENGINES[kind].text_fields:
        del fields["top_k"]
    engine = replying()
    of = model(engine=kind, serves=frozenset({"completions"}), extra_fields=frozenset({"min_tokens"}))
    await post(URL, {**fields, "min_tokens": 2}, of, engine=engine)
    assert sent(engine).keys() <= ENGINES[kind].text_fields | {"min_tokens"}
    assert {"prompt", "seed", "min_tokens"} <= sent(engine).keys()


@pytest.mark.parametrize(
    ("fields", "param"), [({"n": 2}, "n"), ({"prompt": ["a", "b"]}, "prompt"), ({"logprobs": 1}, "logprobs")]
)
async def test_what_an_engine_cannot_do_is_refused(fields: dict[str, Any], param: str) -> None:
    engine = replying()
    reply = await post(URL, body(**fields), model(engine="tgi"), engine=engine)
    assert error_of(reply)[::2] == (400, param)
    assert not engine.requests


async def test_a_whole_reply() -> None:
    reply = await post(URL, body(n=2, echo=True), model(), engine=replying(2))
    value = text_schema.validate_completion(reply.json(), n=2)
    assert [choice["text"] for choice in value["choices"]] == ["Once, there was"] * 2
    assert (value["model"], value["usage"]["total_tokens"]) == ("tiny", 7)


async def test_a_stream() -> None:
    engine = FakeEngine(recording("completions/vllm-0.32.0/stream_list").body)
    fields = body(prompt=["Once upon", "The sky is"], echo=True, stream=True)
    reply = await post(URL, {**fields, "stream_options": {"include_usage": True}}, model(), engine=engine)
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    stream = text_schema.check_stream(reply.content, n=2, include_usage=True)
    assert [stream.text(0), stream.text(1)] == ["Once upon the scene, a", "The sky is a canvas of endless"]
    assert stream.usage == {"prompt_tokens": 5, "completion_tokens": 8, "total_tokens": 13}


async def test_llama_cpp_streams_a_whole_reply_whose_choices_are_counted() -> None:
    engine = FakeEngine(recording("completions/llama.cpp-b11549/stream_n2").body)
    reply = await post(URL, body(n=2), model(engine="llama.cpp"), engine=engine)
    value = text_schema.validate_completion(reply.json(), n=2)
    assert value["usage"]["completion_tokens"] == 8
    (request,) = engine.requests
    assert (request.stream, request.assembled, sent(engine)["stream"]) == (False, True, True)


async def test_a_request_reserves_all_its_choices() -> None:
    engine = replying(4)
    await post(URL, body(prompt=["a", "b"], n=2, max_tokens=10), model(), engine=engine)
    assert engine.requests[0].max_completion == 40


@pytest.mark.parametrize("recorded", recordings("completions/*/err_*"), ids=str)
def test_an_engine_s_error_names_what_the_caller_sent(recorded: Recording) -> None:
    error = translate("tiny", recorded.status, json.loads(recorded.body))
    error.rename(COMPLETIONS.names)
    assert "messages" not in error.message
    assert "roles" not in error.message
    if "key" not in recorded.case:
        assert error.status in (400, 404)
        assert error.param in (None, "prompt", "max_tokens", "temperature", "logprobs", "n", "stream_options")
    if "overflow" in recorded.case:
        assert (error.code, error.param) == ("context_length_exceeded", "prompt")
        assert error.message.endswith("Shorten 'prompt'. A lower 'max_tokens' helps as well.")
    if "token" in recorded.case:
        assert error.param == "prompt"


async def test_a_model_that_does_not_serve_it_is_not_called() -> None:
    engine = replying()
    models = (model("vectors", serves=frozenset({"embeddings"})), model("writer"))
    reply = await post(URL, body(model="vectors"), *models, engine=engine)
    assert error_of(reply) == (
        404,
        "model_not_served",
        "model",
        "The model `vectors` serves embeddings, not completions. `writer` does.",
    )
    assert not engine.requests
