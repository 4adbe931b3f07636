"""An engine that scales to zero: its ECS service in moto, and its tasks on this machine."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from moto.server import ThreadedMotoServer

from tests.aws import dummy_credentials
from tests.engines.behaviours import Chat, Status
from tests.engines.scripted import HOST, ScriptedEngine
from tests.engines.wire import Behaviour, Reply, Request

REGION = "us-east-1"
CREDENTIALS = dummy_credentials(REGION)
_WATCH_S = 0.05


@contextmanager
def moto_server() -> Iterator[str]:
    """Run moto's server, empty, and yield its address."""
    server = ThreadedMotoServer(ip_address=HOST, port=0, verbose=False)
    server.start()
    url = "http://{}:{}".format(*server.get_host_and_port())
    try:
        yield url
    finally:
        reset = urllib.request.Request(f"{url}/moto-api/reset", method="POST")
        urllib.request.urlopen(reset, timeout=5).close()
        server.stop()


class Keyed:
    """Accepts only requests with the engine's key, as vLLM does."""

    def __init__(self, key: str, behaviour: Behaviour | None = None) -> None:
        self._key, self._behaviour = key, behaviour or Chat()

    async def __call__(self, request: Request, reply: Reply) -> None:
        """Reply, or refuse with 401."""
        right = request.headers.get("authorization") == f"Bearer {self._key}"
        await (self._behaviour if right else Status(401, b'{"error":"Unauthorized"}'))(request, reply)


class ColdEngine:
    """An ECS service that may be scaled to zero, and its engine: up `start_s` after the service wants a task.

    Shape:  `changes` is the number of running tasks after each change. While `is_held` the engine does not
            start. `up_at` is when it started, by `time.monotonic()`.
    """

    def __init__(self, aws_url: str, behaviour: Behaviour, *, start_s: float) -> None:
        self.ecs = boto3.client("ecs", endpoint_url=aws_url, region_name=REGION)
        self.ecs.create_cluster(clusterName="engines")
        container: Any = {"name": "vllm", "image": "vllm", "memory": 1}
        self.ecs.register_task_definition(family="vllm", containerDefinitions=[container])
        created = self.ecs.create_service(
            cluster="engines", serviceName="tiny", taskDefinition="vllm", desiredCount=0
        )
        self.arn = str(created["service"]["serviceArn"])
        self.engine = ScriptedEngine(behaviour)
        self.changes: list[int] = []
        self.up_at: list[float] = []
        self.is_held = False
        self._starting: asyncio.Task[None] | None = None
        self._start_s = start_s
        # Refuses connections while the engine is down, and keeps others off the port.
        self._port = socket.socket()
        self._port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._port.bind((HOST, 0))

    @property
    def base_url(self) -> str:
        """Return the address of the engine, if it runs."""
        return f"http://{HOST}:{self._port.getsockname()[1]}/v1"

    @property
    def desired(self) -> int:
        """Return the number of tasks that the service is to run."""
        (service,) = self.ecs.describe_services(cluster="engines", services=[self.arn])["services"]
        return int(service["desiredCount"])

    def scale_to_zero(self) -> None:
        """Scale to zero, as happens when the engine is idle, and wait until it has stopped."""
        self.ecs.update_service(cluster="engines", service=self.arn, desiredCount=0)
        self.wait_until(lambda: not self._is_up())

    def wait_until(self, condition: Callable[[], object], timeout_s: float = 10) -> None:
        """Wait until something is true."""
        until = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < until, f"expected the condition within {timeout_s} s"
            time.sleep(0.01)

    def _is_up(self) -> bool:
        return bool(self.changes) and self.changes[-1] > 0

    async def watch(self) -> None:
        """Start and stop the engine as the service wants, until cancelled."""
        wanted_at = 0.0
        while True:
            desired = await asyncio.to_thread(lambda: self.desired)
            if not desired:
                wanted_at = 0.0
                await self.stop()
            elif not self._is_up():
                wanted_at = wanted_at or time.monotonic()
                if time.monotonic() - wanted_at >= self._start_s and not self.is_held:
                    self._starting = asyncio.create_task(self._start(desired))
                    await asyncio.shield(self._starting)
            await asyncio.sleep(_WATCH_S)

    async def _start(self, desired: int) -> None:
        self.up_at.append(time.monotonic())
        await self.engine.start(self._port.getsockname()[1])
        self.changes.append(desired)

    async def stop(self) -> None:
        """Stop the engine if it is up, or about to be: its watcher may have been cancelled meanwhile."""
        if self._starting:
            await self._starting
        if self._is_up():
            await self.engine.stop()
            self.changes.append(0)

    def close(self) -> None:
        """Free the port and the client."""
        self._port.close()
        self.ecs.close()


@contextmanager
def cold_engine(aws_url: str, behaviour: Behaviour | None = None, *, start_s: float) -> Iterator[ColdEngine]:
    """Run a service that is scaled to zero, and its tasks in a thread with a loop of its own."""
    cold = ColdEngine(aws_url, behaviour or Chat(), start_s=start_s)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="cold-engine", daemon=True)
    thread.start()
    watching = asyncio.run_coroutine_threadsafe(cold.watch(), loop)
    try:
        yield cold
        assert not watching.done(), watching.exception()
    finally:
        watching.cancel()
        asyncio.run_coroutine_threadsafe(cold.stop(), loop).result(5)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        cold.close()
