"""`python -m tests.e2e.clients.runner PROGRAM`: call functions of a program, as `program.py` says.

A case is {"function": …, "arguments": […]}; its outcome is what the function returned or raised.
`models` takes nothing and returns ids; the others take the name of a model:

chat, tools    return the model's text
turns          returns the second text of a conversation
stream         returns the pieces of the text, as they came
structured     returns an object with `name` and `country`
completions    returns the text
embeddings     returns the numbers of two texts
"""

import asyncio
import inspect
import json
import os
import signal
import sys
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from typing import Any, TextIO

from infra.paths import ROOT
from tests.e2e.clients.table import CLIENTS, GRAPHQL_CLIENTS
from tests.e2e.faults.clients.cases import raised

TIMEOUT_S = 20
SCHEMA = ROOT / "functions/todos/schema.graphql"
# LiteLLM would fetch prices at its start, and migrate the database that an .env above its packages names.
QUIET = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_MODE": "PRODUCTION"}


def main(name: str, out: TextIO) -> None:
    """Run the cases of stdin with a program."""
    job = json.load(sys.stdin)
    os.environ |= {"OPENAI_BASE_URL": job["url"], "OPENAI_API_KEY": job["key"], **QUIET}
    os.environ |= {"GRAPHQL_URL": job["url"], "API_KEY": job["key"], "GRAPHQL_SCHEMA": str(SCHEMA)}
    client = next(client for client in (*CLIENTS, *GRAPHQL_CLIENTS) if client.file == f"{name}.py")
    if client.lock.endswith(".json"):
        npm = ROOT / client.packages / "node_modules" / client.package / "package.json"
        installed = json.loads(npm.read_text())["version"]
    else:
        installed = version(client.package)
    print(json.dumps({"version": installed}), file=out, flush=True)
    # One for all calls: a client's connections belong to it.
    asyncio.set_event_loop(loop := asyncio.new_event_loop())
    signal.signal(signal.SIGALRM, _late)
    program = import_module(f"tests.e2e.clients.{name}")
    for place, case in enumerate(job["cases"]):
        outcome = call(loop, getattr(program, case["function"]), *case["arguments"])
        print(json.dumps({"case": place, "outcome": outcome}), file=out, flush=True)


def _late(*_: object) -> None:
    raise TimeoutError(f"no end within {TIMEOUT_S} s")


def call(loop: asyncio.AbstractEventLoop, function: Callable[..., Any], *arguments: str) -> dict[str, Any]:
    """Return what a function returned, or describe what it raised."""
    signal.alarm(TIMEOUT_S)
    try:
        if inspect.iscoroutinefunction(function):
            return {"returned": loop.run_until_complete(function(*arguments))}
        return {"returned": function(*arguments)}
    except Exception as error:  # noqa: BLE001 - whatever a client raises is the outcome
        return {**raised(error, ()), "module": type(error).__module__.split(".")[0]}
    finally:
        signal.alarm(0)


if __name__ == "__main__":
    # Some clients print what their users should see.
    printed, sys.stdout = sys.stdout, sys.stderr
    main(sys.argv[1], printed)
