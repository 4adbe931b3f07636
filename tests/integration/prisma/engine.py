"""The query engine as a process, queried over HTTP as Prisma Client Python does."""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.integration.prisma.project import ENGINES, clean_environment

PROGRAM = ENGINES / "query-engine"
_READY_WITHIN_S = 10


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class QueryEngine:
    def __init__(self, process: "subprocess.Popen[str]", port: int, key: str = "") -> None:
        self.process = process
        self.port = port
        headers = {"authorization": f"Bearer {key}"} if key else {}
        base_url = f"http://127.0.0.1:{port}"
        self.http = httpx.Client(base_url=base_url, headers=headers, timeout=20, trust_env=False)

    def execute(self, query: str, transaction: str | None = None) -> Any:
        """Execute a query; return its result, or raise the engine's error."""
        headers = {"X-transaction-id": transaction} if transaction else {}
        reply = self.post("/", {"query": query, "variables": {}, "operation_name": "query"}, headers)
        return reply["data"]["result"]

    def raw(self, sql: str, *parameters: object, transaction: str | None = None) -> list[Any]:
        """Run SQL; return the rows."""
        arguments = f"query: {json.dumps(sql)} parameters: {json.dumps(json.dumps(parameters))}"
        rows: list[Any] = self.execute(f"mutation {{ result: queryRaw({arguments}) }}", transaction)["rows"]
        return rows

    def post(self, path: str, content: object, headers: dict[str, str] | None = None) -> Any:
        reply = self.http.post(path, content=json.dumps(content), headers=headers)
        assert reply.status_code == 200
        body = reply.json()
        if "errors" in body:
            raise EngineError(body["errors"][0])
        return body


class DidNotStart(Exception):
    """The text is what it said."""


class EngineError(Exception):
    def __init__(self, error: dict[str, Any]) -> None:
        self.code = error["user_facing_error"].get("error_code")
        super().__init__(error["user_facing_error"]["message"])


@contextmanager
def query_engine(url: str, schema: Path, **variables: str) -> Iterator[QueryEngine]:
    """Start an engine; it is gone at the end."""
    port = free_port()
    process = subprocess.Popen(
        (str(PROGRAM), "-p", str(port), "--enable-metrics", "--enable-raw-queries"),
        env=clean_environment(PRISMA_DML_PATH=str(schema), DATABASE_URL=url, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    engine = QueryEngine(process, port, variables.get("QUERY_ENGINE_KEY", ""))
    try:
        _wait(engine)
        yield engine
    finally:
        engine.http.close()
        process.kill()
        process.wait()
        assert process.stdout
        process.stdout.close()


def _wait(engine: QueryEngine) -> None:
    end_s = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < end_s:
        try:
            assert engine.http.get("/status").json() == {"status": "ok"}
        except httpx.ConnectError:
            if engine.process.poll() is not None:
                break
            time.sleep(0.01)
        except httpx.TransportError:
            break
        else:
            return
    engine.process.terminate()
    raise DidNotStart(engine.process.communicate()[0])


def stop(pid: int, number: signal.Signals) -> float:
    """Send a signal to a process; return the seconds until it has gone."""
    process = psutil.Process(pid)
    began_s = time.monotonic()
    os.kill(pid, number)
    process.wait(5)
    return time.monotonic() - began_s
