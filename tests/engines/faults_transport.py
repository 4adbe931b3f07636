"""An engine as a socket: what each of its connections does is a list of steps, below HTTP if need be."""

import json
import select
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

LINGER_ZERO = struct.pack("ii", 1, 0)
GIVE_UP_S = 10.0
COMPLETION = json.dumps(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"},
        ],
    }
).encode()


def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
    """Return one event of a streamed completion."""
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    value = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    return b"data: " + json.dumps({**value, "choices": [choice]}).encode() + b"\n\n"


FIRST_EVENT = chunk({"role": "assistant", "content": "Hi"})
EVENTS = FIRST_EVENT + chunk({}, "stop") + b"data: [DONE]\n\n"


def whole(status: int, body: bytes, headers: str = "") -> bytes:
    """Return a reply with its length."""
    head = f"HTTP/1.1 {status} X\r\n{headers}content-length: {len(body)}\r\n\r\n"
    return head.encode() + body


class Conversation:
    """One connection, as the engine sees it."""

    def __init__(self, engine: "SocketEngine", sock: socket.socket) -> None:
        self._engine, self.sock = engine, sock
        sock.settimeout(GIVE_UP_S)

    def read(self) -> None:
        """Read a whole request: from here on, the engine may run it."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self._receive()
        head, _, body = data.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        while len(body) < int(lengths[0].partition(b":")[2]):
            body += self._receive()
        self._engine.requests.append(body)

    def _receive(self) -> bytes:
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError("the gateway closed the connection")
        return data

    @property
    def wants_stream(self) -> bool:
        """Return whether the last request was for a stream."""
        return bool(json.loads(self._engine.requests[-1]).get("stream"))


Step = Callable[[Conversation], None]


def read(of: Conversation) -> None:
    """Read a whole request."""
    of.read()


def read_some(of: Conversation) -> None:
    """Read the first bytes of a request, and leave the rest unread."""
    of.sock.recv(20)


def see(of: Conversation) -> None:
    """Wait until a request has arrived, and read nothing of it."""
    select.select([of.sock], [], [], GIVE_UP_S)


def close(of: Conversation) -> None:
    """Close the connection, as a process that ends does too."""
    of.sock.close()


def reset(of: Conversation) -> None:
    """Reset the connection."""
    of.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_ZERO)
    of.sock.close()


def hang(of: Conversation) -> None:
    """Do nothing until the gateway closes the connection, and read nothing that comes meanwhile."""
    with suppress(OSError):
        poll = select.poll()
        poll.register(of.sock, select.POLLRDHUP | select.POLLHUP)
        poll.poll(GIVE_UP_S * 1000)


def good(of: Conversation) -> None:
    """Answer well, as a stream if that was requested."""
    kind, body = ("text/event-stream", EVENTS) if of.wants_stream else ("application/json", COMPLETION)
    of.sock.sendall(whole(200, body, f"content-type: {kind}\r\n"))


def pause(seconds: float) -> Step:
    """Work, or wait."""
    return lambda _: time.sleep(seconds)


def send(data: bytes, of_each: int | None = None) -> Step:
    """Send bytes, at once or a few at a time."""

    def step(of: Conversation) -> None:
        for start in range(0, len(data), of_each or len(data)):
            of.sock.sendall(data[start : start + (of_each or len(data))])
            if of_each:
                time.sleep(0.002)

    return step


@dataclass
class SocketEngine:
    """What it was sent: the bodies of the requests that it read whole, and how many connections were made."""

    base_url: str = ""
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0


@contextmanager
def socket_engine(
    first: Sequence[Step], *, later: Sequence[Step] = (read, good) * 9, tls: ssl.SSLContext | None = None
) -> Iterator[SocketEngine]:
    """Run an engine whose first connection takes the given steps; later ones answer well, unless given."""
    listener = socket.create_server(("127.0.0.1", 0))
    origin = "https://localhost" if tls else "http://127.0.0.1"
    engine = SocketEngine(f"{origin}:{listener.getsockname()[1]}/v1")
    sockets: list[socket.socket] = []

    def converse(sock: socket.socket, steps: Sequence[Step]) -> None:
        with suppress(OSError):
            if tls:
                sock = tls.wrap_socket(sock, server_side=True)
                sockets.append(sock)
            conversation = Conversation(engine, sock)
            for step in steps:
                step(conversation)

    def accept() -> None:
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                sockets.append(sock)
                engine.connections += 1
                steps = first if engine.connections == 1 else later
                threading.Thread(target=converse, args=(sock, steps), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield engine
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for sock in sockets:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
