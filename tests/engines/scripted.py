"""A scripted OpenAI-compatible engine on a free loopback port, for tests and for the benchmark.

GET /v1/models, /health and /state have replies of their own; every other request gets `engine.behaviour`,
which may be changed at any time. In a child process (`python -m tests.engines.scripted`), the model's name
chooses the behaviour, and GET /state returns what was seen.
"""

import argparse
import asyncio
import json
import signal
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from tests.engines import events
from tests.engines.behaviours import ByModel, Chat, Flat, Models, Sse, Status
from tests.engines.wire import Behaviour, Connection, Reply, Request

HOST = "127.0.0.1"
ROOT = Path(__file__).resolve().parents[2]


class ScriptedEngine:
    """An engine and what it saw; may be read, and `behaviour` and `models` set, from any thread."""

    def __init__(self, behaviour: Behaviour | None = None, models: Sequence[str] = ("scripted",)) -> None:
        self.behaviour: Behaviour = behaviour or Chat()
        self.models: Behaviour = Models(models)
        self.received_requests: list[Request] = []
        self.port = 0
        self._connections: set[Connection] = set()
        self._failures: list[BaseException] = []
        self._change = threading.Condition()
        self._numbers = count()
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        """Return what an OpenAI client takes as its base URL."""
        return f"http://{HOST}:{self.port}/v1"

    @property
    def requests(self) -> list[Request]:
        """Return the requests that got `behaviour`, in order of arrival."""
        return [request for request in self.received_requests if not self._answers_itself(request)]

    @property
    def open_streams(self) -> int:
        """Return how many replies are under way."""
        return sum(request.is_open for request in self.requests)

    @property
    def disconnects(self) -> list[float]:
        """Return when clients disconnected in the middle of a reply, by `time.monotonic()`."""
        return sorted(
            request.disconnected_at for request in self.requests if request.disconnected_at is not None
        )

    @property
    def connections(self) -> int:
        """Return how many connections are open, idle ones too."""
        return len(self._connections)

    def wait_until(self, condition: Callable[[], object], timeout_s: float = 5.0) -> None:
        """Block until the condition is true, looking at every change; not from the engine's own loop."""
        with self._change:
            met = self._change.wait_for(condition, timeout_s)
        assert met, f"expected the condition within {timeout_s} s, but got requests {self.requests}"

    async def start(self, port: int = 0) -> None:
        """Listen, on a free port unless one is given."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self, self._next_number), HOST, port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Close everything. Raises the first error of a behaviour that failed by itself."""
        assert self._server is not None
        self._server.close()
        lost = [connection.lost for connection in self._connections]
        for connection in self._connections:
            connection.transport.abort()
        await asyncio.gather(*(event.wait() for event in lost))
        await self._server.wait_closed()
        if self._failures:
            raise self._failures[0]

    # called by connections

    def behaviour_for(self, request: Request) -> Behaviour:
        """Return what answers this request."""
        if request.method != "GET":
            return self.behaviour
        own = {"/v1/models": self.models, "/health": Status(200), "/state": self._send_state}
        return own.get(request.path, self.behaviour)

    def opened(self, connection: Connection) -> None:
        """Remember a connection."""
        self._connections.add(connection)

    def closed(self, connection: Connection) -> None:
        """Forget a connection."""
        self._connections.discard(connection)
        self.changed()

    def received(self, request: Request) -> None:
        """Remember a request."""
        self.received_requests.append(request)
        self.changed()

    def changed(self) -> None:
        """Notify the waiting threads."""
        with self._change:
            self._change.notify_all()

    def failed(self, error: BaseException) -> None:
        """Remember a behaviour's own error."""
        self._failures.append(error)

    def _next_number(self) -> int:
        return next(self._numbers)

    @staticmethod
    def _answers_itself(request: Request) -> bool:
        return request.method == "GET" and request.path in ("/v1/models", "/health", "/state")

    async def _send_state(self, request: Request, reply: Reply) -> None:
        times = ("received_at", "first_byte_at", "ended_at", "disconnected_at")
        state = {
            "open_streams": self.open_streams,
            "disconnects": self.disconnects,
            "requests": [{name: getattr(each, name) for name in times} for each in self.requests],
        }
        await Status(200, json.dumps(state).encode())(request, reply)


@asynccontextmanager
async def scripted_engine_here(
    behaviour: Behaviour | None = None, *, models: Sequence[str] = ("scripted",)
) -> AsyncIterator[ScriptedEngine]:
    """Run an engine in the running loop."""
    engine = ScriptedEngine(behaviour, models)
    await engine.start()
    try:
        yield engine
    finally:
        await engine.stop()


@contextmanager
def scripted_engine(
    behaviour: Behaviour | None = None, *, models: Sequence[str] = ("scripted",), port: int = 0
) -> Iterator[ScriptedEngine]:
    """Run an engine in a thread with a loop of its own, on a free port unless one is given."""
    engine = ScriptedEngine(behaviour, models)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="scripted-engine", daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(engine.start(port), loop).result(5)
        try:
            yield engine
        finally:
            asyncio.run_coroutine_threadsafe(engine.stop(), loop).result(5)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.close()


@contextmanager
def refusing_engine() -> Iterator[str]:
    """Yield the base URL of a port that is taken but refuses connections."""
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        yield f"http://{HOST}:{taken.getsockname()[1]}/v1"


@dataclass(frozen=True)
class EngineProcess:
    """An engine in a child process."""

    port: int
    pid: int

    @property
    def base_url(self) -> str:
        """Return what an OpenAI client takes as its base URL."""
        return f"http://{HOST}:{self.port}/v1"

    def state(self) -> dict[str, Any]:
        """Return open_streams, disconnects and each request's times, all by `time.monotonic()`."""
        with urllib.request.urlopen(f"http://{HOST}:{self.port}/state", timeout=5) as reply:
            state: dict[str, Any] = json.load(reply)
        return state


@contextmanager
def scripted_process(*arguments: str) -> Iterator[EngineProcess]:
    """Run an engine in a child process; it also ends when this process does."""
    command = [sys.executable, "-m", "tests.engines.scripted", "--until-eof", *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            line = child.stdout.readline()
            assert line.strip().isdigit(), f"expected the engine to print its port, but got {line!r}"
            yield EngineProcess(int(line), child.pid)
        finally:
            child.terminate()


def process_behaviour(rate: float) -> ByModel:
    """Return what a child process does; `max_tokens` of the request is the number of tokens.

    Shape: model `flat` streams flat out, `varied` too, no event like the last one, `paced` at `rate` tokens a
           second, any other at once, a write each.
    """
    paced = Chat(Sse(events.tokens(None, pace_s=1 / rate)))
    flat, varied = Chat(Flat()), Chat(Flat(varied=True))
    return ByModel({"flat": flat, "varied": varied, "paced": paced}, Chat(Sse(events.tokens(None))))


async def serve(port: int, rate: float, until_eof: bool) -> None:
    """Serve until SIGTERM or SIGINT, or until stdin ends."""
    engine = ScriptedEngine(process_behaviour(rate), ("scripted", "flat", "varied", "paced"))
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if until_eof:
        loop.add_reader(sys.stdin.fileno(), stop.set)
    await engine.start(port)
    print(engine.port, flush=True)
    await stop.wait()
    await engine.stop()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m tests.engines.scripted", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0: a free one; it is printed")
    parser.add_argument("--rate", type=float, default=200.0, help="events a second of the model `paced`")
    parser.add_argument("--until-eof", action="store_true", help="end when stdin does")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.port, arguments.rate, arguments.until_eof))


if __name__ == "__main__":
    main()
