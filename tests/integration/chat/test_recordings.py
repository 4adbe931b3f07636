"""Recorded replies of every shape, replayed by the engine: what the caller gets obeys the contract."""

import json
from typing import Any

import httpx
import pytest

from tests.engines import schema
from tests.engines.behaviours import InTurn, Replay
from tests.engines.recordings import Recording, distinct, recording, recordings
from tests.engines.scripted import ScriptedEngine
from tests.integration.chat.conftest import Connect
from tests.integration.chat.service import URL, body

pytestmark = pytest.mark.anyio
NO_CHAT = ("models", "health")
CHAT = distinct(
    (each for each in recordings("*/*") if not each.case.startswith(NO_CHAT)), lambda each: each.shape
)
STREAMS = [each for each in CHAT if each.is_stream]
SPLITS: list[dict[str, Any]] = [{"split": 7}, {"per_event": True}, {"crlf": True}]


def request_of(recorded: Recording) -> Any:
    """Return the body of the recorded request, or a good one; `stream` as the reply has it."""
    try:
        fields = recorded.request["body"]
    except FileNotFoundError:
        return body(stream=recorded.is_stream)
    return fields


def good(recorded: Recording) -> dict[str, Any]:
    """Return a body that passes the checks here and requests what the recording holds."""
    fields = request_of(recorded)
    kept = fields if isinstance(fields, dict) else {}
    keys = ("n", "stream_options", "logprobs", "top_logprobs", "tools", "tool_choice")
    wanted = {key: kept[key] for key in keys if key in kept and kept.get("n") != 0}
    return body(stream=recorded.is_stream, **({} if recorded.case.startswith("err_") else wanted))


def check(reply: httpx.Response, fields: dict[str, Any]) -> None:
    if reply.status_code != 200:
        schema.validate_error(reply.json())
        assert reply.status_code in (400, 404, 502, 503)
    elif fields.get("stream"):
        options = fields.get("stream_options") or {}
        stream = schema.check_stream(
            reply.content,
            include_usage=bool(options.get("include_usage")),
            continuous_usage=bool(options.get("continuous_usage_stats")),
        )
        assert {chunk["model"] for chunk in stream.chunks} <= {fields["model"]}
    else:
        assert schema.validate_completion(reply.json())["model"] == fields["model"]


@pytest.mark.parametrize("recorded", CHAT, ids=str)
async def test_replayed_to_a_good_request(
    engine: ScriptedEngine, connect: Connect, recorded: Recording
) -> None:
    engine.behaviour = Replay(recorded)
    fields = good(recorded)
    async with connect() as client:
        reply = await client.post(URL, json=fields)
    assert engine.requests
    assert (reply.status_code == 200) is (recorded.status == 200)
    check(reply, fields)


@pytest.mark.parametrize("recorded", CHAT, ids=str)
async def test_replayed_to_its_own_request(
    engine: ScriptedEngine, connect: Connect, recorded: Recording
) -> None:
    engine.behaviour = Replay(recorded)
    fields = request_of(recorded)
    async with connect() as client:
        if isinstance(fields, str):
            headers = {"content-type": "application/json"}
            reply = await client.post(URL, content=fields, headers=headers)
        else:
            reply = await client.post(URL, json=fields)
    if reply.status_code >= 400:
        schema.validate_error(reply.json())
        assert reply.status_code < 500 or recorded.status >= 400
    else:
        check(reply, fields)


@pytest.mark.parametrize("recorded", STREAMS, ids=str)
async def test_a_stream_gives_the_same_bytes_however_it_is_split(
    engine: ScriptedEngine, connect: Connect, recorded: Recording
) -> None:
    fields = good(recorded)
    async with connect() as client:
        engine.behaviour = Replay(recorded)
        whole = await client.post(URL, json=fields)
        for cut in SPLITS:
            engine.behaviour = Replay(recorded, **cut)
            reply = await client.post(URL, json=fields)
            check(reply, fields)
            assert _without_error(reply.content) == _without_error(whole.content), cut


def _without_error(stream: bytes) -> bytes:
    """Return what comes before an error: that of an unterminated event depends on how it is split."""
    return stream.partition(b'data: {"error"')[0]


@pytest.mark.parametrize("recorded", recordings("*/stream_cut_by_sigterm"), ids=str)
async def test_an_engine_that_was_killed_fails_the_stream(
    engine: ScriptedEngine, connect: Connect, recorded: Recording
) -> None:
    engine.behaviour = Replay(recorded)
    async with connect() as client:
        reply = await client.post(URL, json=body(stream=True))
    failed = schema.validate_failed_stream(reply.content)
    assert failed.chunks
    assert failed.error["code"] == "upstream_error"


async def test_a_drained_stream_is_whole(engine: ScriptedEngine, connect: Connect) -> None:
    engine.behaviour = Replay(recording("vllm-0.32.0/stream_drained_by_sigterm_timeout_30"))
    async with connect() as client:
        reply = await client.post(URL, json=body(stream=True))
    schema.validate_stream(reply.content)


async def test_comments_of_an_engine_that_queues_are_not_passed_on(
    engine: ScriptedEngine, connect: Connect
) -> None:
    recorded = recording("vllm-0.32.0/stream_queued_with_keepalive")
    assert b"\n: " in recorded.body or recorded.body.startswith(b": ")
    engine.behaviour = Replay(recorded)
    async with connect() as client:
        reply = await client.post(URL, json=body(stream=True))
    stream = schema.check_stream(reply.content)
    assert (stream.error, stream.comments) == (None, [])


@pytest.mark.parametrize("recorded", recordings("*/err_queue_full_*"), ids=str)
async def test_a_full_queue_is_tried_again_and_then_reported(
    engine: ScriptedEngine, connect: Connect, recorded: Recording
) -> None:
    engine.behaviour = Replay(recorded)
    async with connect() as client:
        reply = await client.post(URL, json=body(stream=True))
    assert reply.status_code == 503
    assert (reply.headers["retry-after"], reply.headers["retry-after-ms"]) == ("1", "1000")
    assert schema.validate_error(reply.json())["code"] == "server_is_overloaded"
    assert len(engine.requests) == 3


@pytest.mark.parametrize("stream", [False, True])
async def test_an_engine_that_drains_is_called_again(
    engine: ScriptedEngine, connect: Connect, stream: bool
) -> None:
    engine.behaviour = InTurn([Replay(recording("vllm-0.32.0/err_new_request_while_draining"))])
    async with connect() as client:
        reply = await client.post(URL, json=body(stream=stream))
    assert reply.status_code == 200
    assert len(engine.requests) == 2


@pytest.mark.parametrize("recorded", recordings("*/stream_tool_*"), ids=str)
async def test_tool_calls_keep_their_arguments(
    engine: ScriptedEngine, connect: Connect, recorded: Recording
) -> None:
    engine.behaviour = Replay(recorded)
    async with connect() as client:
        reply = await client.post(URL, json=body(stream=True))
    assert _arguments(reply.content) == _arguments(recorded.body)


def _arguments(stream: bytes) -> str:
    lines = [line[6:] for line in stream.split(b"\n") if line.startswith(b"data: {")]
    deltas = [choice["delta"] for line in lines for choice in json.loads(line)["choices"]]
    calls = [call for delta in deltas for call in delta.get("tool_calls") or ()]
    return "".join(call["function"].get("arguments") or "" for call in calls)
