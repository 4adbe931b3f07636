import asyncio
import http.client
import json
import socket
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.engines import behaviours, events, schema
from tests.engines.behaviours import Completion, End, Flat, InTurn, Replay, Sse
from tests.engines.recordings import Recording, distinct, recording, recordings
from tests.engines.scripted import (
    ScriptedEngine,
    refusing_engine,
    scripted_engine,
    scripted_engine_here,
    scripted_process,
)
from tests.engines.wire import Behaviour, Reply, Request

URL = "/chat/completions"


@pytest.fixture
def client(engine: ScriptedEngine) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=engine.base_url, timeout=5, trust_env=False) as client:
        yield client


def complete(client: httpx.Client, stream: bool = True, **fields: Any) -> httpx.Response:
    return client.post(URL, json={"model": "tiny", "messages": [], "stream": stream, **fields})


def test_streams_as_vllm_does(client: httpx.Client) -> None:
    recorded = schema.validate_stream(recording("vllm-0.32.0/stream_basic").body)
    sent = schema.validate_stream(complete(client).content)
    assert {chunk["model"] for chunk in sent} == {"tiny"}
    for at in (0, 1, -1):
        assert _keys(sent[at]) == _keys(recorded[at])


def _keys(value: object) -> object:
    if isinstance(value, dict):
        return [(key, _keys(each)) for key, each in value.items()]
    return [_keys(each) for each in value] if isinstance(value, list) else None


def test_follows_the_request(client: httpx.Client) -> None:
    reply = complete(client, n=2, stream_options={"include_usage": True})
    stream = schema.check_stream(reply.content, include_usage=True, n=2)
    assert stream.text(0) == stream.text(1) == " word" * 8
    completion = complete(client, stream=False).json()
    assert _keys(completion["choices"]) == _keys(
        [{k: v for k, v in recorded_choice().items() if k != "routed_experts"}]
    )


def recorded_choice() -> dict[str, Any]:
    choice: dict[str, Any] = json.loads(recording("vllm-0.32.0/chat_basic").body)["choices"][0]
    return choice


def test_remembers_requests_and_keeps_the_connection(engine: ScriptedEngine, client: httpx.Client) -> None:
    complete(client)
    client.post(URL, content=b"{", headers={"x-request-id": "abc"})
    first, second = engine.requests
    assert (first.method, first.path, first.body["model"]) == ("POST", "/v1/chat/completions", "tiny")
    assert (second.body, second.fields, second.headers["x-request-id"]) == (None, {}, "abc")
    assert (engine.open_streams, engine.disconnects) == (0, [])
    engine.wait_until(lambda: engine.connections == 1)


def test_lists_models_and_is_healthy(engine: ScriptedEngine, client: httpx.Client) -> None:
    listing = schema.validate_models(client.get("/models").json())
    assert [model["id"] for model in listing["data"]] == ["scripted"]
    assert client.get(engine.base_url.removesuffix("/v1") + "/health").status_code == 200
    assert engine.requests == []


def test_notices_a_disconnect(engine: ScriptedEngine, client: httpx.Client) -> None:
    engine.behaviour = Sse(events.first(events.tokens(8), 3), End.HANG)
    with client.stream("POST", URL, json={"stream": True}) as reply:
        arriving = reply.iter_raw()  # kept: httpx closes the stream with the iterator
        next(arriving)
        assert engine.open_streams == 1
        closed_at = time.monotonic()
    engine.wait_until(lambda: engine.disconnects)
    assert engine.open_streams == 0
    assert 0 <= engine.disconnects[0] - closed_at < 0.2


def test_notices_the_disconnect_of_a_client_that_does_not_read(engine: ScriptedEngine) -> None:
    engine.behaviour = Flat(10_000_000)
    address = urlsplit(engine.base_url)
    with socket.create_connection((address.hostname, address.port)) as sock:
        sock.sendall(b"POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\n")
        engine.wait_until(lambda: engine.requests and engine.requests[0].first_byte_at)
        assert engine.open_streams == 1
    engine.wait_until(lambda: engine.disconnects)


@pytest.mark.parametrize(
    ("source", "body"),
    [
        (events.crlf(events.pieces(b"data: 1\n\n")), b"data: 1\r\n\r\n"),
        (events.no_space(events.pieces(b"data: 1\n\n")), b"data:1\n\n"),
        (events.bom(events.pieces(b"data: 1\n\n")), b"\xef\xbb\xbfdata: 1\n\n"),
        (events.before_each(events.pieces(b"1", 0.0, b"2"), b"id: 7\n"), b"id: 7\n1id: 7\n2"),
        (events.multi_line(events.pieces(b'{"i":1,"object":2}\n\n')), b'{"i":1,\ndata: "object":2}\n\n'),
        (events.first(events.pieces(b"11", 0.0, b"22", b"33"), 1, cut=1), b"112"),
        (events.insert(events.pieces(b"1", 0.0, b"2"), 1, b"x", b"y"), b"1xy2"),
        (events.insert(events.pieces(b"1"), 5, b"x"), b"1x"),
        (events.joined(events.pieces(b"1"), events.pieces(b"2")), b"12"),
        (events.batches(events.pieces(b"1", 0.0, b"2", b"3"), 2), b"123"),
    ],
)  # fmt: skip
def test_stages_change_the_bytes(
    engine: ScriptedEngine, client: httpx.Client, source: events.Source, body: bytes
) -> None:
    engine.behaviour = Sse(source)
    assert complete(client).content == body
    engine.behaviour = Sse(source, split=1)
    assert complete(client).content == body


def test_writes_one_chunk_per_event_or_as_split(engine: ScriptedEngine) -> None:
    engine.behaviour = Sse(events.pieces(b"data: 1\n\n", b"data: 2\n\n"))
    assert raw(engine).endswith(b"\r\n\r\n9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n")
    engine.behaviour = Sse(events.pieces(b"data: 1\n\n"), split=7)
    assert raw(engine).endswith(b"\r\n\r\n7\r\ndata: 1\r\n2\r\n\n\n\r\n0\r\n\r\n")


def raw(engine: ScriptedEngine) -> bytes:
    """Send a request and read every byte until the engine closes."""
    address, received = urlsplit(engine.base_url), b""
    with socket.create_connection((address.hostname, address.port), timeout=5) as sock:
        sock.sendall(b"POST /v1/x HTTP/1.1\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}")
        while data := sock.recv(65536):
            received += data
    return received


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (Sse(end=End.CUT), httpx.RemoteProtocolError),
        (Sse(end=End.HALF_CHUNK), httpx.RemoteProtocolError),
        (Sse(events.tokens(1), end=End.RESET), (httpx.ReadError, httpx.RemoteProtocolError)),
        (Completion(missing=5), httpx.RemoteProtocolError),
        (behaviours.Drop(), httpx.RemoteProtocolError),
        (behaviours.Reset(), httpx.ReadError),
        (behaviours.Raw(b"\x16\x03garbage\r\n\r\n"), httpx.RemoteProtocolError),
    ],
    ids=lambda each: type(each).__name__,
)
def test_breaks_the_reply(
    engine: ScriptedEngine,
    client: httpx.Client,
    behaviour: Behaviour,
    error: type[Exception] | tuple[type[Exception], ...],
) -> None:
    engine.behaviour = behaviour
    with pytest.raises(error):
        complete(client)


@pytest.mark.parametrize(
    "behaviour", [behaviours.Hang(), Sse(events.pieces(), End.HANG)], ids=lambda each: type(each).__name__
)
def test_hangs(engine: ScriptedEngine, client: httpx.Client, behaviour: Behaviour) -> None:
    engine.behaviour = behaviour
    with pytest.raises(httpx.ReadTimeout):
        client.post(URL, json={}, timeout=0.05)
    engine.wait_until(lambda: engine.disconnects)


def test_breaks_the_json(engine: ScriptedEngine, client: httpx.Client) -> None:
    engine.behaviour = Completion(keep=100)
    assert len(complete(client).content) == 100
    engine.behaviour = Completion(without=["choices"], finish=None)
    assert "choices" not in complete(client).json()


def test_refuses_connections() -> None:
    with refusing_engine() as base_url, pytest.raises(httpx.ConnectError):
        httpx.get(base_url, trust_env=False)


def test_faults_come_first_then_good_replies(engine: ScriptedEngine) -> None:
    engine.behaviour = InTurn([behaviours.vllm_error(503), behaviours.Reset()])
    with httpx.Client(base_url=engine.base_url, trust_env=False) as client:
        assert complete(client).status_code == 503
        with pytest.raises(httpx.ReadError):
            complete(client)
        assert complete(client).status_code == 200


def test_status_replies_have_the_shapes_of_the_recordings(
    engine: ScriptedEngine, client: httpx.Client
) -> None:
    shapes = {
        "vllm-0.32.0/err_bad_model": behaviours.vllm_error(404, param="model"),
        "vllm-0.32.0/err_no_key": behaviours.string_error(401),
        "vllm-0.32.0/err_unknown_path": behaviours.fastapi_error(404),
        "llama.cpp-b11549/err_context_overflow": behaviours.llama_error(
            400, n_prompt_tokens=4031, n_ctx=2048
        ),
    }
    for name, behaviour in shapes.items():
        engine.behaviour = behaviour
        reply = complete(client)
        assert reply.status_code == recording(name).status
        assert _keys(reply.json()) == _keys(json.loads(recording(name).body))


def test_status_replies_carry_headers(engine: ScriptedEngine, client: httpx.Client) -> None:
    engine.behaviour = behaviours.vllm_error(429, headers={"retry-after": "2"})
    assert complete(client).headers["retry-after"] == "2"


@pytest.mark.parametrize("name", ["vllm-0.32.0/chat_basic", "vllm-0.32.0/stream_unicode"])
def test_replays_recordings(engine: ScriptedEngine, client: httpx.Client, name: str) -> None:
    recorded = recording(name)
    engine.behaviour = Replay(recorded)
    assert raw(engine) == recorded.raw
    for replay in (Replay(recorded, split=3), Replay(recorded, split=1), Replay(recorded, per_event=True)):
        engine.behaviour = replay
        assert complete(client).content == recorded.body
    engine.behaviour = Replay(recorded, crlf=True, per_event=True)
    assert complete(client).content == recorded.body.replace(b"\n", b"\r\n")


@pytest.mark.parametrize("recorded", distinct(recordings(), lambda each: each.shape), ids=str)
def test_reads_recordings_as_http_clients_do(recorded: Recording) -> None:
    mine, theirs = socket.socketpair()
    with mine, theirs:
        mine.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * len(recorded.raw))
        mine.sendall(recorded.raw)
        mine.shutdown(socket.SHUT_WR)
        with http.client.HTTPResponse(theirs) as reply:
            reply.begin()
            try:
                body = reply.read()
            except http.client.IncompleteRead as cut:  # llama.cpp ends a stream so at SIGTERM
                body = cut.partial
    assert (reply.status, body) == (recorded.status, recorded.body)


def test_raises_the_error_of_a_behaviour() -> None:
    async def broken(request: Request, _: Reply) -> None:
        raise LookupError(request.path)

    def run() -> None:
        with (
            scripted_engine(broken) as engine,
            httpx.Client(trust_env=False) as client,
            pytest.raises(httpx.RemoteProtocolError),
        ):
            client.post(f"{engine.base_url}{URL}")

    with pytest.raises(LookupError, match="/v1/chat/completions"):
        run()


def test_runs_in_the_loop_of_a_test() -> None:
    async def run() -> float:
        paced = Sse(events.tokens(5, pace_s=0.01, first_s=0.02))
        async with scripted_engine_here(paced) as engine, httpx.AsyncClient(trust_env=False) as client:
            await client.post(f"{engine.base_url}{URL}", json={})
            request = engine.requests[0]
            assert request.first_byte_at is not None
            assert request.first_byte_at - request.received_at >= 0.02
            assert request.ended_at is not None
            return request.ended_at - request.received_at

    assert 0.07 <= asyncio.run(run()) < 0.5


def test_runs_as_a_child_process() -> None:
    with scripted_process("--rate", "500") as child, httpx.Client(trust_env=False, timeout=10) as client:
        for model, count in (("flat", 10_000), ("paced", 10), ("scripted", 10)):
            fields = {"model": model, "stream": True, "max_tokens": count}
            reply = client.post(child.base_url + URL, json=fields)
            assert reply.content.count(b"data: ") == count + 3
        state = child.state()
    assert (state["open_streams"], state["disconnects"], len(state["requests"])) == (0, [], 3)
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", child.port)).close()
