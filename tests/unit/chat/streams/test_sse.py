"""Bytes split into server-sent events."""

import pytest

from functions.chat.errors import UpstreamError
from functions.chat.streams.sse import EventSplitter
from tests.unit.chat.chunks import role, word
from tests.unit.chat.passing import passed


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_the_splitter_ends_lines_with_lf_and_holds_only_the_remainder(newline: bytes, size: int) -> None:
    body = b"data: 1\n\nid: 2\ndata: 2\n\n: c\n\n"
    received = body.replace(b"\n", newline)
    splitter = EventSplitter()
    out = [splitter.feed(received[at : at + size]) for at in range(0, len(received), size)]
    assert (b"".join(out) + splitter.flush()).rstrip(b"\n") == body.rstrip(b"\n")
    assert splitter.flush() == b""


def test_the_splitter_returns_the_same_object_where_nothing_is_left_over() -> None:
    run = word() * 3
    assert EventSplitter().feed(run) is run


def test_an_event_that_never_ends_fails_the_stream() -> None:
    piece = b"data: " + b"x" * (1024 * 1024)
    result = passed([role(), *[piece] * 5])
    assert (result.out, result.done) == (role(), False)
    assert isinstance(result.failure, UpstreamError)
