"""One local gateway before two functions: the chat function, and `/raw`, which passes bytes through."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.bundle import ROOT
from infra.local.console import Console
from infra.local.lambda_service.function import LambdaFunction
from infra.local.lambda_service.service import run_lambda_service
from infra.local.processes import Guardian


@contextmanager
def gateway(engine_url: str, models: str) -> Iterator[int]:
    """Serve both in a child process; yield the port. It also ends when this process does."""
    command = (sys.executable, "-m", "bench.gateway", engine_url, models)
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            yield int(child.stdout.readline())
        finally:
            child.communicate()


async def serve(engine_url: str, models: str, console: Console) -> None:
    """Print the port, and serve until stdin ends."""
    command = (sys.executable, "-m", "bench.raw_function", engine_url)
    raw = LambdaFunction(name="raw", handler="none", command=command)
    chat = LambdaFunction(
        name="chat", handler="functions/chat/handler.handler", environment={"MODELS": models}
    )
    with Guardian() as guardian:
        routes = [("/raw", raw), ("/", chat)]
        async with run_lambda_service(routes, guardian=guardian, console=console) as service:
            await service.prepare()
            print(service.port, flush=True)
            ended = asyncio.Event()
            asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
            await ended.wait()


if __name__ == "__main__":
    with open(os.devnull, "w") as nothing:
        asyncio.run(serve(sys.argv[1], sys.argv[2], Console(out=nothing, log=nothing)))
