"""What a client sees when something on the way breaks: never a stream that ends as if it were whole."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import httpx
import psutil
import pytest
import requests

from infra.paths import ROOT
from tests.e2e.conftest import Scripted
from tests.e2e.raw_http import QUESTION, connected
from tests.engines import events, schema
from tests.engines.behaviours import Chat, Completion, Drop, End, Hang, Raw, Replay, Sse, html, vllm_error
from tests.engines.recordings import recording
from tests.engines.scripted import scripted_engine, scripted_process
from tests.engines.wire import Behaviour
from tests.local_service import LocalService, run_local

pytestmark = pytest.mark.slow
PATH = "/v1/chat/completions"
STREAM = {**QUESTION, "stream": True}
ENDLESS = Chat(Sse(events.tokens(1000, pace_s=0.02)))
# How users of openai-node read a stream.
NODE = """
import OpenAI from "openai";
const [baseURL, apiKey, connection] = process.argv.slice(1);
const client = new OpenAI({ baseURL, apiKey, defaultHeaders: { connection } });
const stream = await client.%s({ model: "default", stream: true, %s: [{ role: "user", content: "Hello" }] });
for await (const _ of stream) console.log("event");
console.log("whole");
"""
NODE_CALLS = (("chat.completions.create", "messages"), ("responses.create", "input"))
HALF = events.first(events.tokens(8), 4)
TIMEOUT_S = 2
STOPPED_S = 0.2


def complete(scripted: Scripted, *, stream: bool = True) -> httpx.Response:
    """Request a completion and read the whole reply."""
    with scripted.service.client() as client:
        return client.post(PATH, json={**QUESTION, "stream": stream})


def check_works(scripted: Scripted) -> None:
    """Request a stream of a healthy engine, and get a whole one."""
    scripted.engine.behaviour = Chat()
    assert schema.check_stream(complete(scripted).content).error is None


# the function


def kill_functions(local: LocalService) -> None:
    """Kill whatever environments there are."""
    for function in local.functions():
        with suppress(psutil.NoSuchProcess):
            function.kill()


def test_a_function_killed_in_a_stream_breaks_the_connection(scripted: Scripted) -> None:
    scripted.engine.behaviour = ENDLESS
    with scripted.service.client() as client, client.stream("POST", PATH, json=STREAM) as reply:
        reads = reply.iter_raw()
        next(reads)
        kill_functions(scripted.local)
        with pytest.raises(httpx.RemoteProtocolError, match="without sending complete message body"):
            list(reads)
    scripted.engine.wait_until(lambda: scripted.engine.disconnects)
    check_works(scripted)


def test_requests_raises_when_a_function_is_killed_in_a_stream(scripted: Scripted) -> None:
    """The user document's own client."""
    scripted.engine.behaviour = ENDLESS
    with requests.post(f"{scripted.service.url}{PATH}", json=STREAM, stream=True, timeout=10) as reply:
        lines = reply.iter_lines()
        next(lines)
        kill_functions(scripted.local)
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            list(lines)
    check_works(scripted)


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
@pytest.mark.parametrize("call", NODE_CALLS, ids=lambda call: call[1])
def test_openai_node_raises_when_a_function_is_killed_in_a_stream(
    scripted: Scripted, call: tuple[str, str], connection: str
) -> None:
    """Its fetch takes a stream that was cut for a whole one, if the reply has `Connection: close`."""
    scripted.engine.behaviour = ENDLESS
    command = ("node", "--input-type=module", "--eval", NODE % call)
    arguments = (f"{scripted.service.url}/v1", scripted.service.key, connection)
    with subprocess.Popen(
        (*command, *arguments), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as node:
        assert node.stdout
        node.stdout.readline()
        kill_functions(scripted.local)
        out, errors = node.communicate(timeout=20)
    assert "TypeError: terminated" in errors
    assert "whole" not in out
    check_works(scripted)


def test_a_function_killed_before_its_reply_is_a_502(scripted: Scripted) -> None:
    scripted.engine.behaviour = Hang()
    killer = threading.Thread(target=_kill_at_the_request, args=(scripted,))
    killer.start()
    reply = complete(scripted, stream=False)
    killer.join()
    assert (reply.status_code, reply.text) == (502, "Internal Server Error")
    check_works(scripted)


def _kill_at_the_request(scripted: Scripted) -> None:
    scripted.engine.wait_until(lambda: scripted.engine.requests)
    kill_functions(scripted.local)


def test_requests_in_a_row_have_the_same_environment(scripted: Scripted) -> None:
    check_works(scripted)
    before = [function.pid for function in scripted.local.functions()]
    with scripted.service.client() as client:
        for stream in (True, False) * 5:
            assert client.post(PATH, json={**QUESTION, "stream": stream}).status_code == 200
    assert [function.pid for function in scripted.local.functions()] == before


# the engine


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(Sse(HALF, End.CUT), id="cut"),
        pytest.param(Sse(HALF, End.HALF_CHUNK), id="cut-in-a-chunk"),
        pytest.param(Sse(HALF, End.RESET), id="reset"),
        pytest.param(Sse(HALF), id="clean-end"),
        pytest.param(Sse(events.first(events.tokens(8), 4, cut=40)), id="half-an-event"),
        pytest.param(Sse(events.tokens(8, finish=None)), id="no-finish-reason"),
        pytest.param(Sse(events.insert(events.tokens(8), 4, b"data: <html>\n\n")), id="garbage"),
        pytest.param(Replay(recording("vllm-0.32.0/stream_cut_by_sigterm")), id="vllm-error-event"),
    ],
)
def test_an_engine_that_breaks_its_stream_is_an_error_event_and_a_clean_end(
    scripted: Scripted, behaviour: Behaviour
) -> None:
    scripted.engine.behaviour = behaviour
    failed = schema.validate_failed_stream(complete(scripted).content)
    assert failed.chunks
    assert failed.error["type"] == "server_error"
    check_works(scripted)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        pytest.param(Drop(), 502, "upstream_error", id="drop"),
        pytest.param(Raw(b"SSH-2.0-OpenSSH_9.6\r\n"), 502, "upstream_error", id="not-http"),
        pytest.param(html(), 502, "upstream_error", id="html"),
        pytest.param(vllm_error(500), 502, "upstream_error", id="500"),
        pytest.param(vllm_error(503), 503, "server_is_overloaded", id="503"),
        pytest.param(vllm_error(429), 429, "rate_limit_exceeded", id="429"),
    ],
)
def test_an_engine_that_fails_before_its_first_byte_is_a_status(
    scripted: Scripted, behaviour: Behaviour, status: int, code: str, stream: bool
) -> None:
    scripted.engine.behaviour = behaviour
    reply = complete(scripted, stream=stream)
    assert reply.status_code == status
    assert schema.validate_error(reply.json())["code"] == code
    check_works(scripted)


@pytest.mark.parametrize("behaviour", [Completion(missing=10), Completion(keep=40), Completion(finish=None)])
def test_an_incomplete_reply_is_a_502(scripted: Scripted, behaviour: Behaviour) -> None:
    scripted.engine.behaviour = behaviour
    reply = complete(scripted, stream=False)
    assert reply.status_code == 502
    assert schema.validate_error(reply.json())["code"] == "upstream_error"


@pytest.mark.usefixtures("_here")
def test_an_engine_that_is_down_is_a_502_until_it_is_back() -> None:
    with ExitStack() as stack:
        with scripted_process() as engine:
            local = stack.enter_context(run_local(BACKEND=engine.base_url))
            client = stack.enter_context(local.service.client())
            assert client.post(PATH, json=STREAM).status_code == 200
        for stream in (True, False):
            reply = client.post(PATH, json={**QUESTION, "stream": stream})
            assert reply.status_code == 502
            assert schema.validate_error(reply.json())["code"] == "upstream_error"
        with scripted_process("--port", str(engine.port)):
            assert schema.check_stream(client.post(PATH, json=STREAM).content).error is None


# the client


def test_a_client_that_leaves_a_stream_stops_the_engine(scripted: Scripted) -> None:
    scripted.engine.behaviour = ENDLESS
    with scripted.service.client() as client:
        with client.stream("POST", PATH, json=STREAM) as reply:
            for _ in zip(range(3), reply.iter_raw(), strict=False):
                pass
        left_s = time.monotonic()
    scripted.engine.wait_until(lambda: scripted.engine.disconnects)
    assert scripted.engine.disconnects[0] - left_s < STOPPED_S
    check_works(scripted)


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("behaviour", [Hang(), Sse(events.pieces(), End.HANG)], ids=["requested", "accepted"])
def test_a_client_that_leaves_before_the_reply_stops_the_engine(
    scripted: Scripted, behaviour: Behaviour, stream: bool
) -> None:
    scripted.engine.behaviour = behaviour
    with connected(scripted.local.port) as connection:
        connection.post(stream=stream)
        scripted.engine.wait_until(lambda: scripted.engine.requests)
    left_s = time.monotonic()
    scripted.engine.wait_until(lambda: scripted.engine.disconnects)
    assert scripted.engine.disconnects[0] - left_s < STOPPED_S
    check_works(scripted)


# the limits


@pytest.fixture(scope="module")
def limited(_here: None) -> Iterator[Scripted]:
    """A service of two environments at most."""
    with (
        scripted_engine() as engine,
        run_local(BACKEND=engine.base_url, CONCURRENCY="2", TIMEOUT_S=str(TIMEOUT_S)) as local,
    ):
        yield Scripted(engine, local)


def test_the_deadline_ends_a_stream_with_an_error_event_and_stops_the_engine(limited: Scripted) -> None:
    """The gateway then breaks the connection, as after any failure of a function."""
    limited.engine.behaviour = Sse(HALF, End.HANG)
    reads: list[bytes] = []
    with limited.service.client() as client, client.stream("POST", PATH, json=STREAM) as reply:
        began_s = time.monotonic()
        with pytest.raises(httpx.RemoteProtocolError):
            reads.extend(reply.iter_raw())
        took_s = time.monotonic() - began_s
    failed = schema.validate_failed_stream(b"".join(reads))
    assert failed.error["code"] == "timeout"
    assert len(failed.chunks) == 4
    check_in_time(limited, took_s)


def test_the_deadline_ends_a_wait_with_a_504_and_stops_the_engine(limited: Scripted) -> None:
    limited.engine.behaviour = Hang()
    began_s = time.monotonic()
    reply = complete(limited, stream=False)
    took_s = time.monotonic() - began_s
    assert reply.status_code == 504
    assert schema.validate_error(reply.json())["code"] == "timeout"
    check_in_time(limited, took_s)


def check_in_time(limited: Scripted, took_s: float) -> None:
    """A tenth of so short a time limit is reserved for the error; the environment is kept."""
    assert TIMEOUT_S * 0.8 < took_s < TIMEOUT_S
    request = limited.engine.requests[-1]
    limited.engine.wait_until(lambda: request.disconnected_at)
    assert request.disconnected_at
    assert request.disconnected_at - request.received_at < TIMEOUT_S
    before = [function.pid for function in limited.local.functions()]
    check_works(limited)
    assert [function.pid for function in limited.local.functions()] == before


def test_a_request_more_than_there_may_be_environments_is_throttled(limited: Scripted) -> None:
    limited.engine.behaviour = ENDLESS
    with limited.service.client() as client, ExitStack() as stack:
        streams = [stack.enter_context(client.stream("POST", PATH, json=STREAM)) for _ in range(2)]
        assert [reply.status_code for reply in streams] == [200, 200]
        refused = client.post(PATH, json=STREAM)
        assert refused.status_code == 429
        assert refused.json()["Reason"] == "ConcurrentInvocationLimitExceeded"
    check_works(limited)
