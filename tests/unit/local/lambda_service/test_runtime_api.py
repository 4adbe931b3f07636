"""The Runtime API fed with a runtime's bytes, without a socket."""

import asyncio
import sys
from collections.abc import Callable
from typing import Any, cast

import pytest

from infra.local.lambda_service.failures import FunctionFailed
from infra.local.lambda_service.invocation import Invocation
from infra.local.lambda_service.runtime_api import RuntimeApiServer
from infra.local.lambda_service.runtime_connection import RuntimeConnection
from tests.unit.local.lambda_service.client import Client, body

NEXT = b"GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\n\r\n"


class Observer:
    def __init__(self) -> None:
        self.seen: list[str] = []

    def became_idle(self, ended: Invocation | None) -> None:
        self.seen.append(f"idle after {ended.request_id}" if ended else "idle")

    def replied(self) -> None:
        self.seen.append("replied")

    def failed_init(self, error_type: str, message: str) -> None:
        self.seen += [error_type, *([message] if message else [])]


class Transport:
    """A transport that records what a connection does."""

    def __init__(self) -> None:
        self.written = b""
        self.state = "open"

    def write(self, data: bytes) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.state != "open"

    def close(self) -> None:
        self.state = "closed"

    def abort(self) -> None:
        self.state = "aborted"

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return ("127.0.0.1", len(name))

    def pause_reading(self) -> None:
        self.state = "paused"

    def resume_reading(self) -> None:
        self.state = "open"


class Runtime:
    """The runtime's side."""

    def __init__(self, slots: int = 1) -> None:
        self.observer = Observer()
        self.api = RuntimeApiServer(self.observer, arn="arn:aws:lambda:local", timeout_s=3, slots=slots)
        self.invocation = Invocation(b'{"an":"event"}', "Root=1", "id-1", "token-1")
        self.second = Invocation(b'{"another":"event"}', "Root=2", "id-2", "token-2")

    def connect(self) -> tuple[RuntimeConnection, Transport]:
        connection, transport = RuntimeConnection(self.api), Transport()
        connection.connection_made(cast(asyncio.BaseTransport, transport))
        return connection, transport

    def send(self, request: bytes) -> str:
        connection, transport = self.connect()
        connection.data_received(request)
        return transport.written.decode("latin-1")

    def post(self, path: str, body: bytes = b"", **headers: str) -> str:
        return self.send(post(path, body, **headers))

    def invoke(self) -> None:
        self.send(NEXT)
        self.api.invoke(self.invocation)


def post(path: str, body: bytes = b"", **headers: str) -> bytes:
    fields = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    length = "" if headers.get("Transfer_Encoding") else f"Content-Length: {len(body)}\r\n"
    return f"POST /2018-06-01/runtime/{path} HTTP/1.1\r\n{fields}{length}\r\n".encode() + body


def streaming(body: bytes, request_id: str = "id-1") -> bytes:
    return post(
        f"invocation/{request_id}/response",
        body,
        Content_Type="application/vnd.awslambda.http-integration-response",
        Lambda_Runtime_Function_Response_Mode="streaming",
        Transfer_Encoding="chunked",
    )


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def scenario(test: Callable[[Runtime], Any], slots: int = 1) -> Callable[[], None]:
    """Run a test inside an event loop, with a runtime that has connected to nothing yet."""

    def run() -> None:
        async def inside() -> None:
            runtime = Runtime(slots)
            try:
                await test(runtime)
            finally:
                runtime.api.close()

        asyncio.run(inside())

    run.__name__ = test.__name__
    return run


def of_two_slots(test: Callable[[Runtime], Any]) -> Callable[[], None]:
    """Run it with a function that serves two invocations at once."""
    return scenario(test, slots=2)


@scenario
async def test_an_event_comes_with_the_headers_lambda_sends(runtime: Runtime) -> None:
    connection, transport = runtime.connect()
    connection.data_received(NEXT)
    assert (transport.written, runtime.observer.seen) == (b"", ["idle"])
    runtime.api.invoke(runtime.invocation)
    head, _, body = transport.written.decode().partition("\r\n\r\n")
    names = [line.split(":")[0] for line in head.split("\r\n")]
    assert names[0] == "HTTP/1.1 200 OK"
    assert {
        "Lambda-Runtime-Aws-Request-Id",
        "Lambda-Runtime-Deadline-Ms",
        "Lambda-Runtime-Invoked-Function-Arn",
        "Lambda-Runtime-Trace-Id",
        "Lambda-Runtime-Invocation-Id",
    } < set(names)
    assert body == '{"an":"event"}'


@scenario
async def test_a_stream_is_decoded_whatever_the_reads(runtime: Runtime) -> None:
    runtime.invoke()
    connection, transport = runtime.connect()
    whole = streaming(chunk(b"{}" + bytes(4)) + chunk(bytes(4) + b"one ") + chunk(b"two") + b"0\r\n\r\n")
    for position in range(len(whole)):
        connection.data_received(whole[position : position + 1])
    assert (await runtime.invocation.reply.head()).status == 200
    assert await body(runtime.invocation.reply) == b"one two"
    assert transport.written.startswith(b"HTTP/1.1 202 Accepted")
    assert runtime.observer.seen == ["idle", "replied"]


@scenario
async def test_trailers_with_an_error_fail_the_reply(runtime: Runtime) -> None:
    runtime.invoke()
    trailers = b"0\r\nLambda-Runtime-Function-Error-Type: Function.Broken\r\n\r\n"
    runtime.send(streaming(chunk(b"{}" + bytes(8) + b"a") + trailers))
    client = Client()
    with pytest.raises(FunctionFailed, match=r"Function\.Broken"):
        await runtime.invocation.reply.pass_to(client)
    assert client.pieces == [b"a"]


@scenario
async def test_a_connection_that_breaks_fails_the_reply(runtime: Runtime) -> None:
    runtime.invoke()
    connection, _ = runtime.connect()
    connection.data_received(streaming(chunk(b"{}" + bytes(8))))
    connection.connection_lost(None)
    with pytest.raises(FunctionFailed, match="broke off"):
        await body(runtime.invocation.reply)


@scenario
async def test_a_stream_without_a_prelude_is_the_body(runtime: Runtime) -> None:
    runtime.invoke()
    runtime.post("invocation/id-1/response", b"raw", Lambda_Runtime_Function_Response_Mode="streaming")
    assert await body(runtime.invocation.reply) == b"raw"


@scenario
async def test_a_malformed_stream_is_broken_off(runtime: Runtime) -> None:
    runtime.invoke()
    connection, transport = runtime.connect()
    connection.data_received(streaming(chunk(b"nothing" + bytes(8))))
    assert transport.state == "aborted"


@scenario
async def test_what_is_not_http_is_broken_off(runtime: Runtime) -> None:
    connection, transport = runtime.connect()
    connection.data_received(b"nonsense\r\n\r\n")
    assert transport.state == "aborted"


@scenario
async def test_a_reply_to_nothing_is_refused(runtime: Runtime) -> None:
    assert "400 Bad Request" in runtime.post("invocation/id-1/response")
    runtime.invoke()
    assert "InvalidRequestID" in runtime.post("invocation/id-2/response")
    assert "410 Gone" in runtime.post("invocation/id-1/response", Lambda_Runtime_Invocation_Id="token-0")
    assert "202 Accepted" in runtime.post(
        "invocation/id-1/response", b"{}", Lambda_Runtime_Invocation_Id="token-1"
    )
    assert "403 Forbidden" in runtime.post("invocation/id-1/response", b"{}")


@scenario
async def test_an_unknown_path_is_not_found(runtime: Runtime) -> None:
    assert "404 Not Found" in runtime.send(b"GET /2018-06-01/runtime/elsewhere HTTP/1.1\r\n\r\n")
    assert "404 Not Found" in runtime.send(b"GET / HTTP/1.1\r\n\r\n")


@scenario
async def test_a_reply_that_is_too_long_gets_a_413(runtime: Runtime) -> None:
    runtime.invoke()
    assert "413 " in runtime.post("invocation/id-1/response", bytes(6 * 1024 * 1024 + 1))
    with pytest.raises(FunctionFailed, match="longer than"):
        await runtime.invocation.reply.head()


@scenario
async def test_errors_have_their_type_in_a_header_or_the_body(runtime: Runtime) -> None:
    runtime.post("init/error", b'{"errorType":"FromBody","errorMessage":"why"}')
    runtime.post("init/error", Lambda_Runtime_Function_Error_Type="FromHeader")
    runtime.post("init/error", b"neither")
    assert runtime.observer.seen == ["FromBody", "why", "FromHeader", "Runtime.Unknown"]
    runtime.invoke()
    runtime.post("invocation/id-1/error", b'{"errorType":"Oops"}')
    with pytest.raises(FunctionFailed, match="failed: Oops"):
        await runtime.invocation.reply.head()


@scenario
async def test_requesting_the_next_event_without_a_reply_fails_the_last(runtime: Runtime) -> None:
    runtime.invoke()
    runtime.send(NEXT)
    with pytest.raises(FunctionFailed, match="without a reply"):
        await runtime.invocation.reply.head()
    assert runtime.observer.seen == ["idle", "idle after id-1"]


@of_two_slots
async def test_events_go_to_all_that_wait_and_replies_come_in_any_order(runtime: Runtime) -> None:
    polls = [runtime.connect() for _ in range(2)]
    for connection, _ in polls:
        connection.data_received(NEXT)
    assert runtime.api.requested == 2
    runtime.api.invoke(runtime.invocation)
    runtime.api.invoke(runtime.second)
    assert (runtime.api.requested, runtime.api.unanswered) == (0, 2)
    assert sorted(transport.written.decode().rpartition("\r\n")[2] for _, transport in polls) == [
        '{"an":"event"}',
        '{"another":"event"}',
    ]
    replies = {name: runtime.connect()[0] for name in ("id-1", "id-2")}
    for name, connection in replies.items():
        connection.data_received(streaming(chunk(b"{}" + bytes(8) + name.encode()), name))
    replies["id-2"].data_received(chunk(b" ends") + b"0\r\n\r\n")
    assert await body(runtime.second.reply) == b"id-2 ends"
    assert not runtime.invocation.reply.over
    replies["id-1"].data_received(b"0\r\n\r\n")
    assert await body(runtime.invocation.reply) == b"id-1"
    runtime.send(NEXT)
    assert runtime.observer.seen == ["idle", "idle", "replied", "replied", "idle after id-2"]
    assert (runtime.api.requested, runtime.api.unanswered) == (1, 0)


@of_two_slots
async def test_a_function_that_waits_no_more_is_closing(runtime: Runtime) -> None:
    polls = [runtime.connect()[0] for _ in range(2)]
    for connection in polls:
        connection.data_received(NEXT)
    closing = []
    for connection in polls:
        connection.connection_lost(None)
        closing.append(runtime.api.closing)
    runtime.send(NEXT)
    assert [*closing, runtime.api.closing] == [False, True, False]


@of_two_slots
async def test_a_connection_that_has_ended_gets_no_event_before_it_is_lost(runtime: Runtime) -> None:
    polls = [runtime.connect() for _ in range(2)]
    for connection, _ in polls:
        connection.data_received(NEXT)
    (_, open_transport), (ended, ended_transport) = polls
    ended.eof_received()
    assert runtime.api.requested == 1
    runtime.api.invoke(runtime.invocation)
    assert b"id-1" in open_transport.written
    assert not ended_transport.written
    ended.connection_lost(None)


@of_two_slots
async def test_one_of_two_that_fails_leaves_the_other(runtime: Runtime) -> None:
    for _ in range(2):
        runtime.send(NEXT)
    runtime.api.invoke(runtime.invocation)
    runtime.api.invoke(runtime.second)
    assert "202 Accepted" in runtime.post("invocation/id-2/error", b'{"errorType":"Oops"}')
    with pytest.raises(FunctionFailed, match="failed: Oops"):
        await runtime.second.reply.head()
    assert "202 Accepted" in runtime.post("invocation/id-1/response", b'"whole"')
    assert await body(runtime.invocation.reply) == b"whole"


@of_two_slots
async def test_an_event_may_be_requested_before_the_reply_to_the_last_one(runtime: Runtime) -> None:
    """AWS's runtime of Node.js does; then it may be more often than there are slots."""
    runtime.invoke()
    for _ in range(2):
        runtime.send(NEXT)
    assert not runtime.invocation.reply.over
    assert runtime.observer.seen == ["idle"] * 3


@of_two_slots
async def test_a_slot_is_free_again_whose_invocation_is_over_without_a_reply(runtime: Runtime) -> None:
    runtime.invoke()
    runtime.send(NEXT)
    assert (runtime.api.requested, runtime.api.unanswered) == (1, 1)
    runtime.invocation.reply.abandon()
    runtime.send(NEXT)
    assert runtime.api.unanswered == 0
    assert runtime.observer.seen[-1] == "idle after id-1"
    assert "InvalidRequestID" in runtime.post("invocation/id-1/response")


@scenario
async def test_an_event_waits_for_a_function_whose_poll_broke(runtime: Runtime) -> None:
    connection, _ = runtime.connect()
    connection.data_received(NEXT)
    connection.connection_lost(None)
    runtime.api.invoke(runtime.invocation)
    assert runtime.send(NEXT).endswith('{"an":"event"}')


@scenario
async def test_expect_100_continue_is_answered(runtime: Runtime) -> None:
    runtime.invoke()
    connection, transport = runtime.connect()
    connection.data_received(post("invocation/id-1/response", b"", Expect="100-continue"))
    assert transport.written.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize(
    "field",
    ["Host: evil.example", "Origin: https://evil.example", "Origin: null", "Sec-Fetch-Site: same-site"],
)
@pytest.mark.parametrize(
    "path", ["GET /2018-06-01/runtime/invocation/next", "POST /2018-06-01/runtime/init/error"]
)
def test_a_web_page_gets_nothing_and_changes_nothing(path: str, field: str) -> None:
    @scenario
    async def inner(runtime: Runtime) -> None:
        runtime.api.invoke(runtime.invocation)
        assert "403 Forbidden" in runtime.send(f"{path} HTTP/1.1\r\n{field}\r\n\r\n".encode())
        assert runtime.observer.seen == []
        assert runtime.send(NEXT).endswith('{"an":"event"}')

    inner()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere only web pages are refused")
@scenario
async def test_a_process_that_is_not_the_functions_gets_nothing_and_changes_nothing(runtime: Runtime) -> None:
    await runtime.api.serve(session=2**30)
    runtime.api.invoke(runtime.invocation)
    reader, writer = await asyncio.open_connection(*runtime.api.address.split(":"))
    for request, status in (
        (NEXT, b"403 Forbidden"),
        (post("init/error", b'{"errorType":"Fake"}'), b"404 Not Found"),
        (post("invocation/guessed/response", b"{}"), b"400 Bad Request"),
    ):
        writer.write(request)
        assert status in await reader.readuntil(b"\r\n\r\n")
        await reader.readuntil(b"}")
    writer.close()
    assert runtime.observer.seen == []
