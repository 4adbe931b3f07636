"""Event sources for scripted streams, in the exact shape of vLLM 0.32.

A source returns, for a request, the pieces to write: bytes (one write each) and floats (seconds to wait).
A stage takes a source and returns one: stages compose by nesting, as in `crlf(first(tokens(8), 3))`.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Literal, cast

from tests.engines.wire import Request

Piece = bytes | float
Source = Callable[[Request], Iterable[Piece]]
Usage = Literal["requested", "always", "never"]

CREATED = 1795373005
FINGERPRINT = '"system_fingerprint":"vllm-0.32.0-ff78bf91"'
DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
DEFAULT_TOKENS = 8


def dumps(value: Any) -> str:
    """Write JSON as vLLM does: compact, non-ASCII kept."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def event(data: str) -> bytes:
    """Frame one line of data as an event."""
    return f"data: {data}\n\n".encode()


def completion_id(request: Request) -> str:
    """Return the id that vLLM would give: the caller's X-Request-Id, or sixteen hex digits."""
    return f"chatcmpl-{request.headers.get('x-request-id', f'{request.number:016x}')}"


def token_count(request: Request) -> int:
    """Return how many tokens the request allows."""
    fields = request.fields
    return int(fields.get("max_completion_tokens") or fields.get("max_tokens") or DEFAULT_TOKENS)


def usage_of(tokens: int) -> dict[str, int]:
    """Return vLLM's usage object for a reply of so many tokens."""
    return {"prompt_tokens": 37, "total_tokens": 37 + tokens, "completion_tokens": tokens}


class Chunks:
    """Writes the chunks of one reply."""

    def __init__(self, request: Request) -> None:
        model = dumps(request.fields.get("model", "scripted"))
        self._start = (
            f'{{"id":"{completion_id(request)}","object":"chat.completion.chunk",'
            f'"created":{CREATED},"model":{model},"choices":['
        )

    def role(self, index: int) -> bytes:
        """Return the first chunk of a choice."""
        delta = '"delta":{"role":"assistant","content":""}'
        choice = f'{{"index":{index},{delta},"logprobs":null,"finish_reason":null}}'
        return event(f'{self._start}{choice}],"prompt_token_ids":null,"prompt_text":null}}')

    def content(self, index: int, text: str) -> bytes:
        """Return a chunk that holds a piece of text."""
        delta = f'"delta":{{"content":{dumps(text)}}}'
        choice = f'{{"index":{index},{delta},"logprobs":null,"finish_reason":null,"token_ids":null}}'
        return event(f"{self._start}{choice}]}}")

    def finish(self, index: int, reason: str) -> bytes:
        """Return the last chunk of a choice."""
        choice = f'{{"index":{index},"delta":{{}},"logprobs":null,"finish_reason":{dumps(reason)}'
        return event(f'{self._start}{choice},"stop_reason":null,"token_ids":null}}],{FINGERPRINT}}}')

    def usage(self, tokens: int) -> bytes:
        """Return the usage chunk."""
        return event(f'{self._start}],"usage":{dumps(usage_of(tokens))},{FINGERPRINT}}}')


def tokens(
    count: int | None = DEFAULT_TOKENS,
    *,
    pace_s: float = 0.0,
    first_s: float = 0.0,
    text: str = " word",
    finish: str | None = "stop",
    usage: Usage = "requested",
    done: bool = True,
) -> Source:
    """Stream `count` tokens per choice (None: as many as the request allows), well-formed by default.

    Units: `first_s` before the first event, `pace_s` before each token after it.
    """

    def source(request: Request) -> Iterator[Piece]:
        chunks, indexes = Chunks(request), range(request.fields.get("n") or 1)
        total = token_count(request) if count is None else count
        yield first_s
        yield from map(chunks.role, indexes)
        texts = [chunks.content(index, text) for index in indexes]
        for _ in range(total):
            yield pace_s
            yield from texts
        if finish is not None:
            yield from (chunks.finish(index, finish) for index in indexes)
        if _wants_usage(request, usage):
            yield chunks.usage(total * len(indexes))
        if done:
            yield DONE

    return source


def _wants_usage(request: Request, usage: Usage) -> bool:
    options = request.fields.get("stream_options") or {}
    return usage == "always" or (usage == "requested" and bool(options.get("include_usage")))


def chunks(*given: Any) -> Source:
    """Write a chunk for each dictionary.

    Shape:  one with `choices` holds members of the chunk, one with `delta` those of choice 0, any other is
            the delta of choice 0. Pieces are written as they are.
    """

    def render(request: Request, value: Any) -> Piece:
        if not isinstance(value, dict):
            return cast(Piece, value)
        if "choices" not in value:
            choice = value if "delta" in value else {"delta": value}
            value = {"choices": [{"index": 0, "finish_reason": None, **choice}]}
        model = request.fields.get("model", "scripted")
        identity = {"id": completion_id(request), "object": "chat.completion.chunk", "created": CREATED}
        return event(dumps({**identity, "model": model, **value}))

    return lambda request: (render(request, value) for value in given)


def pieces(*given: Piece) -> Source:
    """Write the given pieces for any request."""
    return lambda _: given


def joined(*sources: Source) -> Source:
    """Write one source after the other."""
    return lambda request: (piece for source in sources for piece in source(request))


def first(source: Source, count: int, *, cut: int = 0) -> Source:
    """Stop after `count` events; with `cut`, go on to write that many bytes of the next one."""

    def stage(request: Request) -> Iterator[Piece]:
        seen = 0
        for piece in source(request):
            if isinstance(piece, bytes):
                if seen == count:
                    if cut:
                        yield piece[:cut]
                    return
                seen += 1
            yield piece

    return stage


def insert(source: Source, at: int, *extra: Piece) -> Source:
    """Write `extra` before event number `at`; at the end if there are fewer events."""

    def stage(request: Request) -> Iterator[Piece]:
        events = iter(source(request))
        seen = 0
        while seen < at and (piece := next(events, None)) is not None:
            seen += isinstance(piece, bytes)
            yield piece
        yield from extra
        yield from events

    return stage


def each(source: Source, change: Callable[[bytes], bytes]) -> Source:
    """Change every event's bytes."""
    return lambda request: (change(piece) if isinstance(piece, bytes) else piece for piece in source(request))


def before_each(source: Source, extra: bytes) -> Source:
    r"""Put bytes before every event: a line of its own (`b"id: 1\n"`) or an event (`b"data: \n\n"`)."""
    return each(source, lambda data: extra + data)


def crlf(source: Source) -> Source:
    """End lines with CRLF."""
    return each(source, lambda data: data.replace(b"\n", b"\r\n"))


def no_space(source: Source) -> Source:
    """Write `data:` without the space."""
    return each(source, lambda data: data.replace(b"data: ", b"data:", 1))


def multi_line(source: Source) -> Source:
    """Spread the JSON of every chunk over two `data:` lines."""
    return each(source, lambda data: data.replace(b',"object"', b',\ndata: "object"', 1))


def bom(source: Source) -> Source:
    """Begin with a byte order mark."""
    return insert(source, 0, b"\xef\xbb\xbf")


def batches(source: Source, events: int) -> Source:
    """Write so many events at a time."""

    def stage(request: Request) -> Iterator[Piece]:
        written = (piece for piece in source(request) if isinstance(piece, bytes))
        while batch := b"".join(islice(written, events)):
            yield batch

    return stage
