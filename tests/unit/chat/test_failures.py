"""What the streaming layer writes for the chat function, byte for byte."""

from typing import Any

import pytest
from lambda_stream._errors import DEADLINE, Failure, malformed

from functions.chat.api.service import Invocation
from functions.chat.engines.engine import Chunks
from functions.chat.failures import end_of_stream, error_body
from functions.chat.streams.chat import ChatStream
from functions.chat.streams.chat_writer import ChatWriter
from functions.chat.streams.response import Writer
from functions.chat.streams.responses import ResponseWriter
from functions.chat.streams.sse import KEEP_ALIVE
from tests.engines.responses import check_response_stream
from tests.unit.chat.chunks import MODEL, role, word
from tests.unit.chat.streams.test_responses import BASE, NUMBER

SSE = ((b"Content-Type", b"text/event-stream; charset=utf-8"),)
RAISED = Failure.raised(KeyError("secret"))
TIMEOUT = (
    b'{"error":{"message":"The reply took longer than this function may run.",'
    b'"type":"server_error","param":null,"code":"timeout"}}'
)
SERVER_ERROR = (
    b'{"error":{"message":"The server had an error while processing your request.",'
    b'"type":"server_error","param":null,"code":null}}'
)
MALFORMED = (
    b'{"error":{"message":"The request could not be read.",'
    b'"type":"invalid_request_error","param":null,"code":null}}'
)


def scope_of(writer: Writer) -> dict[str, Any]:
    invocation = Invocation(request_id="1", reply_id="req_1", remaining_ms=None, writer=writer)
    return {"type": "http", "state": {"invocation": invocation}}


@pytest.mark.parametrize(
    ("failure", "body"), [(DEADLINE, TIMEOUT), (RAISED, SERVER_ERROR), (malformed("x"), MALFORMED)]
)
def test_error_replies_are_openais(failure: Failure, body: bytes) -> None:
    assert error_body(failure) == body


@pytest.mark.parametrize(
    ("last", "gap"),
    [
        (b"data: 1\n\n", b""),
        (b"data: 1\r\n\r\n", b""),
        (b"data: 1\r\r", b""),
        (b"", b""),
        (b"data: 1\n", b"\n\n"),
        (b"data: 1", b"\n\n"),
    ],
)
def test_a_stream_that_fails_ends_with_an_error_event(last: bytes, gap: bytes) -> None:
    failure = DEADLINE._replace(headers=SSE, last=last, scope=scope_of(ChatWriter()))
    assert end_of_stream(failure) == gap + b"data: " + TIMEOUT + b"\n\ndata: [DONE]\n\n"


@pytest.mark.parametrize("last", [b"", KEEP_ALIVE, None])
def test_a_response_that_fails_goes_on_counting_from_the_event_that_was_sent(last: bytes | None) -> None:
    writer, sent = ResponseWriter(BASE, {}, NUMBER), b""
    if last is None:
        (chunks,) = ChatStream(model=MODEL, as_values=True).feed(role() + word())
        assert isinstance(chunks, Chunks)
        sent = writer.write(chunks)
    failure = DEADLINE._replace(headers=SSE, last=sent or last or b"", scope=scope_of(writer))
    response = check_response_stream(sent + end_of_stream(failure))
    assert response["error"]["message"] == DEADLINE.message
    assert len(response["output"]) == (last is None)


def test_a_response_whose_writer_fails_ends_with_what_it_had_written() -> None:
    writer = ResponseWriter(BASE, {}, NUMBER)
    broken = {"choices": [{"delta": {"content": "Hi"}}]}  # nothing that a reader lets through
    with pytest.raises(KeyError) as raised:
        writer.write(Chunks(b"", 1, [broken]))
    failure = Failure.raised(raised.value)._replace(headers=SSE, scope=scope_of(writer))
    response = check_response_stream(end_of_stream(failure))
    assert response["status"] == "failed"
    assert response["output"][0]["content"][0]["text"] == "Hi"


@pytest.mark.parametrize("headers", [((b"content-type", b"application/json"),), ()])
def test_other_bodies_are_cut(headers: tuple[tuple[bytes, bytes], ...]) -> None:
    assert end_of_stream(RAISED._replace(headers=headers, last=b"{", scope=scope_of(ChatWriter()))) == b""
