"""Todo functions in processes of their own, as Lambda runs them, each with a Runtime API."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.lambda_service.function import LambdaFunction
from infra.paths import ROOT
from tests.integration.streaming.runtime_api import RuntimeApi

EVENT = json.loads((Path(__file__).parents[2] / "events/todos_v1.json").read_text())


@dataclass
class FunctionProcess:
    """An environment of the function; `log` is what it writes."""

    api: RuntimeApi
    process: "subprocess.Popen[bytes]"
    log: Path

    def start(self, query: str, **variables: object) -> None:
        """Send a request without waiting for its reply."""
        self.api.deliver(EVENT | {"body": json.dumps({"query": query, "variables": variables})})

    def reply(self) -> Any:
        """Return the next reply."""
        return json.loads(self.api.posts.get(timeout=20).body)

    def execute(self, query: str, **variables: object) -> Any:
        """Send a request; return its reply."""
        self.start(query, **variables)
        return self.reply()


@contextmanager
def function_process(url: str, log: Path, **variables: str) -> Iterator[FunctionProcess]:
    """Start the function with a database; kill it in the end."""
    function = LambdaFunction(
        "todos", "functions/todos/handler.handler", environment={"DATABASE_URL": url, **variables}
    )
    with RuntimeApi() as api, log.open("wb") as output:
        process = subprocess.Popen(
            function.command,
            env=function.sandbox_environment(api.address),
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            api.wait_next()  # the time limit of an event begins before the function has started
            yield FunctionProcess(api, process, log)
        finally:
            process.kill()
            process.wait()
