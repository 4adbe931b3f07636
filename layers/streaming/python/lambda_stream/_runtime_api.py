"""The Runtime API's sockets: one kept-alive connection for everything but streamed replies.

Source: AWS Lambda, "Using the Lambda runtime API for custom runtimes", read 2026-11-22.
"""

from __future__ import annotations

import asyncio
import errno
import os
import select
import socket
from typing import NamedTuple

from ._errors import RuntimeApiError
from ._events import Invocation
from ._logger import logger
from ._reply import API, request_head
from ._response import STALL_S, ResponseStream

CONNECT_MS = 10
"""How long a reply's connection may hold up the event loop; after it, what is written waits for TCP."""

_HEAD_MAX_BYTES = 1024 * 1024
_LOST = (OSError, asyncio.IncompleteReadError)


class Answer(NamedTuple):
    """A status, the headers by lower-cased name, and the whole body."""

    status: int
    headers: dict[str, str]
    body: bytes


class RuntimeApi:
    """Fetches invocations from Lambda and posts what became of them. Opens no socket until it is used."""

    def __init__(self, address: str, stall_s: float = STALL_S) -> None:
        host, _, port = address.rpartition(":")
        self._address = address
        self._stall_s = stall_s
        self._host, self._port = host or address, int(port or 80)
        self._connection: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.wants_no_more = False

    async def next(self) -> Invocation:
        """Wait for the next invocation, however long it takes.

        Raises: RuntimeApiError: Lambda has none to give; the environment is of no more use.
        """
        answer = await self._request("GET", "/invocation/next")
        if self.wants_no_more:
            self.wants_no_more = False
            self.close()
        _expect(answer, 200, "/invocation/next")
        return Invocation.parse(answer.headers, answer.body)

    def want_no_more(self) -> None:
        """End this side of the connection on which `next` waits: what has been sent to it still comes."""
        self.wants_no_more = True
        if self._connection is not None:
            self._connection[1].write_eof()

    async def restored(self) -> None:
        """Report that a snapshot may be taken; returns in the environment restored from it."""
        _expect(await self._request("GET", "/restore/next"), 200, "/restore/next")
        self.close()

    async def post_result(self, invocation: Invocation, result: bytes, content_type: str) -> None:
        """Post a whole reply."""
        headers = {"Content-Type": content_type, **_echo(invocation)}
        await self._post(f"/invocation/{invocation.request_id}/response", result, headers)

    async def post_error(
        self, path: str, error_type: str, report: bytes, invocation: Invocation | None = None
    ) -> None:
        """Post an error report to one of the API's error paths."""
        headers = {
            "Content-Type": "application/vnd.aws.lambda.error+json",
            "Lambda-Runtime-Function-Error-Type": error_type,
            **(_echo(invocation) if invocation else {}),
        }
        await self._post(path, report, headers)

    def response(self, invocation: Invocation) -> ResponseStream:
        """Return the stream of this invocation's reply, not yet connected."""
        head = request_head(self._address, invocation.request_id, invocation.invocation_id)
        loop = asyncio.get_running_loop()
        return ResponseStream(loop, head, invocation.request_id, self._stall_s)

    async def connect(self, stream: ResponseStream) -> None:
        """Connect a stream, at once: a disconnect then shows even before the app's first message.

        A reply has its own connection, which Lambda wants closed after it. None is opened ahead: it may have
        died while Lambda had frozen the environment, and opening one takes less time than an engine.
        """
        reply = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        reply.setblocking(False)
        try:
            failed = reply.connect_ex((self._host, self._port))
            if failed not in (0, errno.EINPROGRESS):
                raise OSError(failed, os.strerror(failed))
            # Within a machine TCP has connected by now; macOS needs a moment, and takes no data before.
            connected = select.poll()
            connected.register(reply, select.POLLOUT)
            connected.poll(CONNECT_MS)
            await asyncio.get_running_loop().create_connection(lambda: stream, sock=reply)
        except OSError as error:
            reply.close()
            stream.connection_lost(error)

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection[1].close()
            self._connection = None

    async def _post(self, path: str, body: bytes, headers: dict[str, str]) -> None:
        """Post, and go on whatever the answer: for Lambda this invocation is over."""
        answer = await self._request("POST", path, body, headers)
        if answer.status != 202:
            logger.error("%s: expected 202 from the Runtime API but got %s", path, describe(answer))

    async def _request(
        self, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
    ) -> Answer:
        """Make one request; once more if a connection that had been kept turned out to be closed."""
        fields = {"Host": self._address, "Content-Length": str(len(body)), **(headers or {})}
        if method == "GET":
            del fields["Content-Length"]
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        request = f"{method} {API}{path} HTTP/1.1\r\n{lines}\r\n".encode("latin-1", "replace") + body
        if self._connection is not None:
            try:
                return await self._exchange(request)
            except _LOST:
                if self.wants_no_more:
                    raise
                self.close()
        return await self._exchange(request)

    async def _exchange(self, request: bytes) -> Answer:
        if self._connection is None:
            self._connection = await asyncio.open_connection(self._host, self._port, limit=_HEAD_MAX_BYTES)
        reader, writer = self._connection
        writer.write(request)
        await writer.drain()
        answer = await _read_answer(reader)
        if answer.headers.get("connection", "").lower() == "close":
            self.close()
        return answer


def describe(answer: Answer) -> str:
    """Return an unexpected answer in one line."""
    return f"{answer.status} {answer.body[:500]!r}"


def _expect(answer: Answer, status: int, path: str) -> None:
    if answer.status != status:
        raise RuntimeApiError(f"{path}: expected {status} from the Runtime API but got {describe(answer)}")


def _echo(invocation: Invocation) -> dict[str, str]:
    """Return the header that binds a reply to one delivery of its invocation."""
    return {"Lambda-Runtime-Invocation-Id": invocation.invocation_id} if invocation.invocation_id else {}


async def _read_answer(reader: asyncio.StreamReader) -> Answer:
    """Read one HTTP/1.1 answer.

    Source: RFC 9112, sections 4 to 7.
    """
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status_line, *lines = head.split("\r\n")[:-2]
    pairs = (line.partition(":") for line in lines)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _read_chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Answer(int(status_line.split(maxsplit=2)[1]), headers, body)


async def _read_chunks(reader: asyncio.StreamReader) -> bytes:
    chunks = []
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        chunks.append(await reader.readexactly(size))
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass
    return b"".join(chunks)
