"""A stream's events arrive as they are made, and its end at once."""

import itertools
import statistics
import time
from collections.abc import Iterator

from tests.e2e.conftest import Scripted
from tests.e2e.raw_http import END, QUESTION, connected
from tests.engines import events, schema
from tests.engines.behaviours import Chat, Sse, chunk
from tests.engines.wire import Request
from tests.local_service import Service

PACE_S = 0.05
STORY = {**QUESTION, "messages": [{"role": "user", "content": "Write a long story about a river."}]}


def test_tokens_arrive_while_the_model_makes_them(service: Service) -> None:
    body = {**STORY, "stream": True, "max_tokens": 64, "temperature": 0}
    with service.client() as client:
        began_s = time.monotonic()
        with client.stream("POST", "/v1/chat/completions", json=body) as reply:
            reads = [(time.monotonic() - began_s, data) for data in reply.iter_raw()]
    stream = schema.check_stream(b"".join(data for _, data in reads))
    assert stream.error is None
    assert len(stream.chunks) > 20
    assert len(reads) > 5, "a busy machine reads several at once; the next test has one read an event"
    first_s, last_s = reads[0][0], reads[-1][0]
    assert first_s < last_s / 2


class Noted:
    """A source that notes when each of its events is written."""

    def __init__(self, source: events.Source) -> None:
        self._source = source
        self.written: list[tuple[float, bytes]] = []

    def __call__(self, request: Request) -> Iterator[events.Piece]:
        for piece in self._source(request):
            yield piece
            if isinstance(piece, bytes):  # the engine writes a piece when the next one is requested
                self.written.append((time.monotonic(), piece))


def test_each_event_arrives_by_itself_when_it_is_written(scripted: Scripted) -> None:
    for _ in range(3):  # a machine that is held up for the time of an event reads two at once
        source = Noted(events.tokens(20, pace_s=PACE_S))
        scripted.engine.behaviour = Chat(Sse(source))
        with connected(scripted.local.port) as connection:
            reply = connection.stream()
        schema.validate_stream(reply.body)
        # The role first, at once; the last token comes with what ends the stream.
        paced = list(zip(source.written[1:20], reply.reads[1:20], strict=False))
        if one_each := [read.data for _, read in paced] == [chunk(event) for (_, event), _ in paced]:
            break
    assert one_each
    delays_s = [read.at - written for (written, _), read in paced]
    assert statistics.median(delays_s) < 0.02
    gaps_s = [later.at - earlier.at for earlier, later in itertools.pairwise(reply.reads[:20])]
    assert statistics.median(gaps_s) > PACE_S / 2
    for delay_s in delays_s:
        assert delay_s < 2 * PACE_S, "expected no event to wait for those after it"


def test_a_stream_ends_with_its_marker_and_the_connection_goes_on_at_once(scripted: Scripted) -> None:
    with connected(scripted.local.port) as connection:
        for _ in range(3):
            reply = connection.stream()
            assert reply.head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert reply.body.endswith(b"}\n\ndata: [DONE]\n\n")
            assert b"".join(read.data for read in reply.reads).endswith(b"data: [DONE]\n\n\r\n" + END)
            marked = next(read.at for read in reply.reads if b"[DONE]" in read.data)
            assert reply.reads[-1].at - marked < 0.05


def test_a_connection_that_shall_close_ends_with_the_stream(scripted: Scripted) -> None:
    with connected(scripted.local.port) as connection:
        reply = connection.stream(connection="close")
        end = connection.read()
    assert reply.body.endswith(events.DONE)
    assert end.data == b""
    assert end.at - reply.reads[-1].at < 0.05
