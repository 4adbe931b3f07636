"""A scripted Runtime API on a raw socket: it keeps exact bytes, and breaks where a test says."""

import json
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

TIMEOUT_S = 20


@dataclass
class Post:
    """What a function posted: the bytes as they came and when."""

    head: bytes
    raw: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    arrivals: list[float] = field(default_factory=list)
    end: bytes = b""
    count: int = 0
    total: int = 0

    @property
    def path(self) -> str:
        return self.head.split(b" ", 2)[1].decode()

    @property
    def request_id(self) -> str:
        """Whose reply it is; of other posts, the part of the path in that place."""
        return self.path.split("/")[4]

    @property
    def headers(self) -> dict[str, str]:
        return parse_headers(self.head)

    @property
    def prelude(self) -> Any:
        encoded, delimiter, rest = self.chunks[0].partition(b"\0" * 8)
        assert delimiter
        assert not rest
        return json.loads(encoded)

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks[1:])

    @property
    def trailers(self) -> dict[str, str]:
        return parse_headers(b"\r\n" + self.end.removeprefix(b"0\r\n"))

    def json(self) -> Any:
        return json.loads(self.raw)


@dataclass
class Script:
    """How one reply is received: `chunks` of it, slowed by `pace`, then an answer, a break or both.

    `drop`: a whole reply is not answered, and its connection closed.
    """

    status: int = 202
    chunks: int | None = None
    reset: bool = False
    pace: Callable[[int], object] | None = None
    keep: bool = True
    answer: bool = True
    early: bool = False
    drop: bool = False


@dataclass
class Delivery:
    event: bytes
    headers: dict[str, str]
    script: Script


class RuntimeApi:
    """Serves one environment; `posts` holds what it posted, in order.

    `scripts` are those of replies, by the ids of their requests; `refusals` are the statuses of answers to
    the next requests for an invocation.
    """

    def __init__(self) -> None:
        self.posts: queue.Queue[Post] = queue.Queue()
        self._next_at: queue.Queue[float] = queue.Queue()
        self.connections = 0
        self.refusals: list[int] = []
        self._deliveries: queue.Queue[Delivery | None] = queue.Queue()
        self.scripts: dict[str, Script] = {}
        self._number = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = [self._listener]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for opened in list(self._open):
            self._deliveries.put(None)
            shut(opened)
        for thread in self._threads:
            thread.join(TIMEOUT_S)

    @property
    def address(self) -> str:
        host, port = self._listener.getsockname()
        return f"{host}:{port}"

    def deliver(
        self,
        event: Any,
        *,
        script: Script | None = None,
        deadline_s: float = 10,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Queue an invocation and return its request id."""
        self._number += 1
        request_id = f"request-{self._number}"
        fields = {
            "Lambda-Runtime-Aws-Request-Id": request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((time.time() + deadline_s) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": "arn:aws:lambda:eu-central-1:123456789012:function:chat",
            "Content-Type": "application/json",
            **(headers or {}),
        }
        encoded = event if isinstance(event, bytes) else json.dumps(event).encode()
        self._deliveries.put(Delivery(encoded, fields, script or Script()))
        return request_id

    def invoke(self, event: Any, **options: Any) -> Post:
        """Deliver an invocation and return what the function posted to it."""
        self.deliver(event, **options)
        return self.posts.get(timeout=TIMEOUT_S)

    def wait_next(self) -> float:
        """Wait until the function requests another invocation; return when it did."""
        return self._next_at.get(timeout=TIMEOUT_S)

    def drop_connections(self) -> None:
        """Close what is open, as a server does with connections that have idled."""
        for opened in self._open[1:]:
            shut(opened)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._converse, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _converse(self, connection: socket.socket) -> None:
        reader = connection.makefile("rb")
        try:
            while head := read_head(reader):
                if head.startswith(b"GET"):
                    self._answer_get(connection, head)
                elif not self._answer_post(connection, reader, Post(head)):
                    return
        except (OSError, ValueError):
            return
        finally:
            reader.close()
            connection.close()

    def _answer_get(self, connection: socket.socket, head: bytes) -> None:
        if b"/restore/next" in head:
            self.posts.put(Post(head))
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            return
        self._next_at.put(time.monotonic())
        if self.refusals:
            connection.sendall(b"HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n" % self.refusals.pop())
            return
        delivery = self._deliveries.get()
        if delivery is None:
            raise OSError("shut down")
        self.scripts[delivery.headers["Lambda-Runtime-Aws-Request-Id"]] = delivery.script
        fields = {**delivery.headers, "Content-Length": str(len(delivery.event))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        try:
            connection.sendall(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode() + delivery.event)
        except OSError:
            self._deliveries.put(delivery)
            raise

    def _answer_post(self, connection: socket.socket, reader: Any, post: Post) -> bool:
        """Receive one post as the script says; false once its socket is broken."""
        length = post.headers.get("content-length")
        script = self.scripts.get(post.request_id) or Script()
        complete = True
        if length is None:
            complete = receive_chunks(reader, post, script)
        else:
            post.raw = reader.read(int(length))
            complete = not script.drop
        if script.early or (complete and script.answer):
            connection.sendall(b"HTTP/1.1 %d Answer\r\nContent-Length: 0\r\n\r\n" % script.status)
        elif script.reset:
            linger = struct.pack("ii", 1, 0)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        if not complete:
            shut(connection, hard=script.reset)
        post.arrivals.append(time.monotonic())
        self.posts.put(post)
        return complete


def receive_chunks(reader: Any, post: Post, script: Script) -> bool:
    """Read chunks to their end or to the script's."""
    while script.chunks is None or post.count < script.chunks:
        line = reader.readline()
        if not line:
            raise ValueError("the function broke its socket")
        size = int(line, 16)
        if not size:
            post.end = line + read_trailers(reader)
            post.raw += post.end if script.keep else b""
            return True
        chunk = reader.read(size)
        ending = reader.read(2)
        if ending != b"\r\n":
            raise ValueError("the function broke its socket")
        post.count += 1
        post.total += size
        post.arrivals.append(time.monotonic())
        if script.keep:
            post.raw += line + chunk + ending
            post.chunks.append(chunk)
        if script.pace:
            script.pace(post.total)
    return False


def read_head(reader: Any) -> bytes:
    lines = []
    while (line := reader.readline()) not in (b"", b"\r\n"):
        lines.append(line)
    return b"".join([*lines, line]) if lines else b""


def read_trailers(reader: Any) -> bytes:
    lines = []
    while (line := reader.readline()) not in (b"", b"\r\n"):
        lines.append(line)
    return b"".join([*lines, line])


def parse_headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}


def shut(opened: socket.socket, hard: bool = False) -> None:
    """Close a socket although another thread reads from it."""
    try:
        if not hard:
            opened.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    opened.close()
