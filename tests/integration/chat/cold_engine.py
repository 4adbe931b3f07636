"""An engine that scales to zero: its service and its machines in moto, its tasks on this machine, and the
function that starts and stops it, behind an address that responds as Lambda's API does.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import socket
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

import boto3
import pytest
from moto.server import ThreadedMotoServer

from functions.shared.items import SCHEMA
from tests.aws import dummy_credentials
from tests.engines.behaviours import Chat, Status
from tests.engines.scripted import HOST, ScriptedEngine
from tests.engines.wire import Behaviour, Reply, Request

REGION = "us-east-1"
CREDENTIALS = dummy_credentials(REGION)
_WATCH_S = 0.1
_TASK: dict[str, Any] = {
    "cluster": "engines",
    "taskDefinition": "vllm",
    "launchType": "FARGATE",  # moto needs no machine for it
    "networkConfiguration": {"awsvpcConfiguration": {"subnets": []}},
}
SCALER_ARN = f"arn:aws:lambda:{REGION}:123456789012:function:scaler"
# What the function's environment has.
SCALER = {
    "CLUSTER": "engines",
    "SERVICE": "tiny",
    "GROUP": "machines",
    "TABLE": "table",
    "MODEL": "tiny",
    "IDLE_MINUTES": "20",
    "HELD_STREAMS": "20",
    "START_S": "60",
}
Handler = Callable[[dict[str, Any], object], dict[str, Any]]


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
    """A service that may be scaled to zero, and its engine: up `start_s` after task and machine are wanted.

    Shape:  `task` is the id of the ECS task that runs. `changes` is the number of running tasks after each
            change. While `is_held` the engine does not start. `up_at` is when it started, by
            `time.monotonic()`.
    """

    def __init__(self, aws_url: str, behaviour: Behaviour, *, start_s: float) -> None:
        self.ecs = boto3.client("ecs", endpoint_url=aws_url, region_name=REGION)
        self.groups = boto3.client("autoscaling", endpoint_url=aws_url, region_name=REGION)
        self.task = ""
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
    def desired(self) -> tuple[int, int]:
        """Return the numbers of tasks and of machines that there are to be."""
        (service,) = self.ecs.describe_services(cluster="engines", services=["tiny"])["services"]
        (group,) = self.groups.describe_auto_scaling_groups(AutoScalingGroupNames=["machines"])[
            "AutoScalingGroups"
        ]
        return int(service["desiredCount"]), int(group["DesiredCapacity"])

    def scale_to_zero(self) -> None:
        """Scale to zero, as by hand, and wait until the engine has stopped."""
        self.groups.set_desired_capacity(AutoScalingGroupName="machines", DesiredCapacity=0)
        self.ecs.update_service(cluster="engines", service="tiny", desiredCount=0)
        self.wait_until(lambda: not self.is_up())

    def wait_until(self, condition: Callable[[], object], timeout_s: float = 10) -> None:
        """Wait until something is true."""
        until = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < until, f"expected the condition within {timeout_s} s"
            time.sleep(0.01)

    def is_up(self) -> bool:
        """Return whether the engine runs."""
        return bool(self.changes) and self.changes[-1] > 0

    async def watch(self) -> None:
        """Start and stop the engine as the service wants, until cancelled."""
        wanted_at = 0.0
        while True:
            desired = await asyncio.to_thread(lambda: self.desired)
            if desired != (1, 1):
                wanted_at = 0.0
                await self.stop()
            elif not self.is_up():
                wanted_at = wanted_at or time.monotonic()
                if time.monotonic() - wanted_at >= self._start_s and not self.is_held:
                    self._starting = asyncio.create_task(self._start())
                    await asyncio.shield(self._starting)
            await asyncio.sleep(_WATCH_S)

    async def _start(self) -> None:
        self.up_at.append(time.monotonic())
        await self.engine.start(self._port.getsockname()[1])
        (task,) = (await asyncio.to_thread(self.ecs.run_task, **_TASK))["tasks"]
        self.task = str(task["taskArn"]).rpartition("/")[2]
        self.changes.append(1)

    async def stop(self) -> None:
        """Stop the engine if it is up, or about to be: its watcher may have been cancelled meanwhile."""
        if self._starting:
            await self._starting
        if self.is_up():
            await self.engine.stop()
            await asyncio.to_thread(self.ecs.stop_task, cluster="engines", task=self.task)
            self.changes.append(0)

    def close(self) -> None:
        """Free the port and the clients."""
        self._port.close()
        self.ecs.close()
        self.groups.close()


def _make_engine(ecs: Any, groups: Any, dynamodb: Any) -> None:
    dynamodb.create_table(TableName=SCALER["TABLE"], **SCHEMA)
    ecs.create_cluster(clusterName="engines")
    container: Any = {"name": "vllm", "image": "vllm", "memory": 1}
    ecs.register_task_definition(family="vllm", containerDefinitions=[container])
    ecs.create_service(cluster="engines", serviceName="tiny", taskDefinition="vllm", desiredCount=0)
    groups.create_launch_configuration(
        LaunchConfigurationName="gpu", ImageId="ami-12c6146b", InstanceType="g6.xlarge"
    )
    groups.create_auto_scaling_group(
        AutoScalingGroupName="machines",
        LaunchConfigurationName="gpu",
        MinSize=0,
        MaxSize=1,
        DesiredCapacity=0,
        AvailabilityZones=[f"{REGION}a"],
    )


@contextmanager
def scaler_function(aws_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Handler]:
    """Make a service without tasks, a group without machines and a table; load the scaler for them.

    Yields its handler; chat functions reach it as Lambda's.
    """
    for name, value in {**CREDENTIALS, **SCALER, "AWS_ENDPOINT_URL": aws_url}.items():
        monkeypatch.setenv(name, value)
    clients = [
        boto3.client(name, endpoint_url=aws_url, region_name=REGION)
        for name in ("ecs", "autoscaling", "dynamodb")
    ]
    _make_engine(*clients)
    for client in clients:
        client.close()
    level = logging.getLogger().level
    module = importlib.import_module("functions.scaler.handler")
    try:
        with lambda_api(module.handler) as url:
            monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", url)
            yield module.handler
    finally:
        module.aws.drain()
        del sys.modules["functions.scaler.handler"]
        logging.getLogger().setLevel(level)


@contextmanager
def lambda_api(handler: Handler) -> Iterator[str]:
    """Run a function as Lambda's `Invoke` does, and yield the address.

    Source: "Invoke", Lambda's API reference, read 2026-11-27.
    """

    class Api(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["content-length"])))
            assert self.path.endswith(f"/functions/{quote(SCALER_ARN, safe='')}/invocations"), self.path
            reply: object
            try:
                reply, failed = handler(event, None), {}
            except Exception as error:  # noqa: BLE001
                reply = {"errorType": type(error).__name__, "errorMessage": str(error)}
                failed = {"x-amz-function-error": "Unhandled"}
            content = json.dumps(reply).encode()
            self.send_response(200)
            for name, value in {"content-length": str(len(content)), **failed}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer((HOST, 0), Api) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://{HOST}:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def cold_engine(aws_url: str, behaviour: Behaviour | None = None, *, start_s: float) -> Iterator[ColdEngine]:
    """Scale the service to zero, and run its tasks in a thread with a loop of its own."""
    cold = ColdEngine(aws_url, behaviour or Chat(), start_s=start_s)
    cold.scale_to_zero()
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
