"""What a scripted engine does with a request: callables `(request, reply)`. Compose them or write more.

whole replies  Chat (Sse or Completion, as requested), Sse, Flat, Completion, Status, Replay, Models
no reply       Hang, Drop, Reset
choosing       After (some work), InTurn (faults first, then good), ByModel
status shapes  vllm_error, llama_error, fastapi_error, string_error, plain_error, html
"""

import asyncio
import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from typing import Any

from tests.engines import events
from tests.engines.recordings import Recording
from tests.engines.wire import Behaviour, Reply, Request

SSE = "text/event-stream; charset=utf-8"
LAST_CHUNK = b"0\r\n\r\n"


class End(Enum):
    """How a chunked reply ends after its last written piece."""

    COMPLETE = "the terminating chunk; the connection stays"
    CUT = "TCP closed without the terminating chunk"
    HALF_CHUNK = "TCP closed inside a chunk whose size promised more"
    RESET = "TCP reset"
    HANG = "nothing more until the client disconnects"


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Return a status line and headers."""
    fields = {"server": "scripted", **headers}
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{k}: {v}" for k, v in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def chunk(data: bytes) -> bytes:
    """Return an HTTP chunk; nothing for no data, which would end the message."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


async def end_chunked(reply: Reply, last: bytes, end: End) -> None:
    """Write the last chunk and end the reply, well or badly."""
    if end is End.COMPLETE:
        return reply.finish(last + LAST_CHUNK)
    await reply.write(last)
    if end is End.HANG:
        return await reply.hang()
    if end is End.RESET:
        return reply.reset()
    if end is End.HALF_CHUNK:
        await reply.write(b'40\r\ndata: {"id":"chatc')
    return reply.close()


@dataclass(frozen=True)
class Sse:
    """Answer with an event stream: one HTTP chunk and one write for each piece of the source.

    `split` cuts the body every so many bytes instead, wherever that falls.
    """

    source: events.Source = field(default_factory=events.tokens)
    end: End = End.COMPLETE
    split: int | None = None
    content_type: str = SSE
    headers: Mapping[str, str] = field(default_factory=dict)

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Write the stream, each pause measured from when the one before was due."""
        fields = {"content-type": self.content_type, "transfer-encoding": "chunked", **self.headers}
        await reply.head(head(200, fields))
        due, held = time.monotonic(), b""
        for piece in self._pieces(request):
            await reply.write(held)
            if isinstance(piece, bytes):
                held = chunk(piece)
            else:
                held, due = b"", due + piece
                await asyncio.sleep(max(0.0, due - time.monotonic()))
        await end_chunked(reply, held, self.end)

    def _pieces(self, request: Request) -> Iterable[events.Piece]:
        pieces = self.source(request)
        if self.split is None:
            return pieces
        return split_every(b"".join(p for p in pieces if isinstance(p, bytes)), self.split)


def split_every(data: bytes, size: int) -> Iterator[bytes]:
    """Cut into pieces of `size` bytes; the last may be shorter."""
    return (data[start : start + size] for start in range(0, len(data), size))


@dataclass(frozen=True)
class Flat:
    """Stream tokens as fast as the socket takes them: one HTTP chunk per event, many per write.

    `count` None: as many as the request allows. `varied`: each differs from the last one by more than text.
    """

    count: int | None = None
    per_write: int = 64
    varied: bool = False

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Write the stream; nothing is computed per event."""
        chunks = events.Chunks(request)
        count = events.token_count(request) if self.count is None else self.count
        one = chunk(chunks.content(0, " word"))
        other = one.replace(b'"created":1', b'"created":2') if self.varied else one
        block = (one + other) * (self.per_write // 2)
        await reply.head(head(200, {"content-type": SSE, "transfer-encoding": "chunked"}))
        await reply.write(chunk(chunks.role(0)))
        for _ in range(count // self.per_write):
            await reply.write(block)
        last = [chunks.finish(0, "length"), *self._usage(request, chunks, count), events.DONE]
        reply.finish(one * (count % self.per_write) + b"".join(map(chunk, last)) + LAST_CHUNK)

    @staticmethod
    def _usage(request: Request, chunks: events.Chunks, count: int) -> list[bytes]:
        requested = (request.fields.get("stream_options") or {}).get("include_usage")
        return [chunks.usage(count)] if requested else []


@dataclass(frozen=True)
class Completion:
    """Answer with a whole completion.

    `message`, `choice` and `top` change members of the message, of its choice and of the reply; `without`
    leaves some of the reply's out. `keep` sends that many bytes of the JSON under a correct content-length;
    `missing` closes that many bytes before a content-length that promised them.
    """

    finish: str | None = "stop"
    content: str | None = "The capital of France is Paris."
    delay_s: float = 0.0
    message: Mapping[str, Any] = field(default_factory=dict)
    choice: Mapping[str, Any] = field(default_factory=dict)
    top: Mapping[str, Any] = field(default_factory=dict)
    without: Sequence[str] = ()
    keep: int | None = None
    missing: int = 0

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Write the reply in one go."""
        await asyncio.sleep(self.delay_s)
        fields = {k: v for k, v in self.fields(request).items() if k not in self.without}
        data = events.dumps(fields).encode()[: self.keep]
        await reply.head(head(200, {"content-type": "application/json", "content-length": str(len(data))}))
        reply.finish(data[: len(data) - self.missing])
        if self.missing:
            reply.close()

    def fields(self, request: Request) -> dict[str, Any]:
        """Return the reply's fields, in vLLM's shape with its extra keys."""
        choice = {"logprobs": None, "finish_reason": self.finish, "stop_reason": None, "token_ids": None}
        message = {"role": "assistant", "content": self.content, "refusal": None, "annotations": None}
        message |= {"audio": None, "function_call": None, "reasoning": None, **self.message}
        count = request.fields.get("n") or 1
        return {
            "id": events.completion_id(request),
            "object": "chat.completion",
            "created": events.CREATED,
            "model": request.fields.get("model", "scripted"),
            "choices": [
                {"index": index, "message": message, **choice, **self.choice} for index in range(count)
            ],
            "service_tier": None,
            "system_fingerprint": "vllm-0.32.0-ff78bf91",
            "usage": events.usage_of(8 * count),
            "prompt_logprobs": None,
            "kv_transfer_params": None,
            **self.top,
        }


@dataclass(frozen=True)
class Chat:
    """Answer with a stream or a completion, as the request's `stream` says."""

    stream: Behaviour = field(default_factory=Sse)
    reply: Behaviour = field(default_factory=Completion)

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Pass on to one of the two."""
        await (self.stream if request.fields.get("stream") else self.reply)(request, reply)


@dataclass(frozen=True)
class Status:
    """Answer with any status and body, and a correct content-length."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    async def __call__(self, request: Request, reply: Reply) -> None:  # noqa: ARG002
        """Write the reply in one go."""
        fields = {"content-type": self.content_type, "content-length": str(len(self.body)), **self.headers}
        reply.finish(head(self.status, fields) + self.body)


@dataclass(frozen=True)
class Raw:
    """Answer with given bytes, status line and headers included, then close."""

    data: bytes

    async def __call__(self, request: Request, reply: Reply) -> None:  # noqa: ARG002
        """Write the bytes in one go."""
        reply.finish(self.data)
        reply.close()


@dataclass(frozen=True)
class Replay:
    """Answer with a recorded reply: its own bytes in one write, or its body in new chunks.

    `split`: bytes per chunk and write; `per_event`: one event a write; `crlf`: line ends of the events.
    """

    recording: Recording
    split: int | None = None
    per_event: bool = False
    crlf: bool = False

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Write the reply, then close, as the recorded engines did."""
        if not (self.split or self.per_event or self.crlf):
            return await Raw(self.recording.raw)(request, reply)
        kept = {k: v for k, v in self.recording.headers.items() if k != "content-length"}
        await reply.head(head(self.recording.status, {**kept, "transfer-encoding": "chunked"}))
        *pieces, last = self._pieces()
        for piece in pieces:
            await reply.write(chunk(piece))
        await end_chunked(reply, chunk(last), End.COMPLETE)
        return reply.close()

    def _pieces(self) -> Iterable[bytes]:
        body = self.recording.body.replace(b"\n", b"\r\n") if self.crlf else self.recording.body
        if self.split:
            return split_every(body, self.split)
        blank = b"\r\n\r\n" if self.crlf else b"\n\n"
        return re.findall(b"(?s).*?%b|.+" % blank, body) if self.per_event else [body]


@dataclass(frozen=True)
class Models:
    """Answer GET /v1/models."""

    ids: Sequence[str] = ("scripted",)

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Write the list in vLLM's shape."""
        shape = {"object": "model", "created": events.CREATED, "owned_by": "vllm", "max_model_len": 2048}
        listing = {"object": "list", "data": [{"id": name, **shape} for name in self.ids]}
        await Status(200, events.dumps(listing).encode())(request, reply)


@dataclass(frozen=True)
class After:
    """Work for so long, then do what `then` does."""

    work_s: float
    then: Behaviour

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Wait, then pass on."""
        await asyncio.sleep(self.work_s)
        await self.then(request, reply)


@dataclass(frozen=True)
class Hang:
    """Accept the request and never answer."""

    async def __call__(self, request: Request, reply: Reply) -> None:  # noqa: ARG002
        """Wait until the client disconnects."""
        await reply.hang()


@dataclass(frozen=True)
class Drop:
    """Close the connection without a byte of a reply."""

    async def __call__(self, request: Request, reply: Reply) -> None:  # noqa: ARG002
        """Close."""
        reply.close()


@dataclass(frozen=True)
class Reset:
    """Reset the connection without a byte of a reply."""

    async def __call__(self, request: Request, reply: Reply) -> None:  # noqa: ARG002
        """Reset."""
        reply.reset()


@dataclass
class InTurn:
    """Answer with each fault once, in order, then always with `then`."""

    faults: Sequence[Behaviour]
    then: Behaviour = field(default_factory=Chat)
    requests: int = 0

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Pass on to the one whose turn it is."""
        turn, self.requests = self.requests, self.requests + 1
        await (self.faults[turn] if turn < len(self.faults) else self.then)(request, reply)


@dataclass(frozen=True)
class ByModel:
    """Answer as the request's `model` says: one engine, many faults."""

    behaviours: Mapping[str, Behaviour]
    otherwise: Behaviour = field(default_factory=Chat)

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Pass on by the model's name."""
        await self.behaviours.get(str(request.fields.get("model")), self.otherwise)(request, reply)


def vllm_error(
    status: int, message: str = "no", *, param: str | None = None, headers: Mapping[str, str] | None = None
) -> Status:
    """Answer with an error as vLLM does: an int code, a class name or the phrase as type."""
    kind = {400: "BadRequestError", 404: "NotFoundError", 500: "InternalServerError"}
    error = {"message": message, "type": kind.get(status, HTTPStatus(status).phrase)}
    body = events.dumps({"error": {**error, "param": param, "code": status}})
    return Status(status, body.encode(), headers=headers or {})


def llama_error(
    status: int, message: str = "no", kind: str = "invalid_request_error", **extra: int
) -> Status:
    """Answer with an error as llama.cpp does: an int code, no param, at times extra numbers."""
    body = events.dumps({"error": {"code": status, "message": message, "type": kind, **extra}})
    return Status(status, body.encode(), "application/json; charset=utf-8")


def fastapi_error(status: int, detail: Any = "Not Found") -> Status:
    """Answer with `{"detail": ...}`; detail is a string, or a list as for a 422."""
    return Status(status, events.dumps({"detail": detail}).encode())


def string_error(status: int, message: str = "Unauthorized") -> Status:
    """Answer with an error that is a string, as vLLM does for 401."""
    return Status(status, events.dumps({"error": message}).encode())


def plain_error(status: int, text: str = "no") -> Status:
    """Answer with plain text, as proxies do."""
    return Status(status, text.encode(), "text/plain")


def html(status: int = 200) -> Status:
    """Answer with a page, as a captive or misrouted proxy does."""
    return Status(status, b"<!DOCTYPE html><title>Welcome</title><h1>Welcome</h1>", "text/html")
