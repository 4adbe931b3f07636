"""What a cold start loads, from the process's start to the first completion.

A test that fails names the modules. What only some requests need is imported by the first of them; what every
completion needs is added to LOADED, with what it is for. `docs/decisions/0031-cold-start.md` says why.
"""

import json
import os
import resource
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.engines.scripted import ScriptedEngine
from tests.integration.chat.service import MODEL, URL, body
from tests.integration.streaming.conftest import LAYER, ROOT, STOCK_SCRIPT, WRAPPER, starter, url_event

# -S: without the .pth files of the test environment, which import what they like.
PYTHON = (sys.executable, "-S")
PATH = f"{ROOT}:{LAYER}:{sysconfig.get_path('purelib')}"
# What any function loads that runs on the layer and answers with Starlette's parts.
LEAST = """
import lambda_stream._runtime
import starlette.middleware.exceptions, starlette.routing
"""
# What ours loads beside it.
LOADED = {
    "functions": "our own modules",
    "httptools": "reads the replies of engines",
    "orjson": "JSON",
    "snapshot_restore_py": "closes connections before a snapshot",
    "termios": "how much a socket holds",
    "unicodedata": "the size of a prompt",
}
MOST_OF_OURS = 82
# Of the least; 1.1 to 1.3 on a loaded machine.
MOST_CPU = 1.6
NOT_LOADED = {
    *("boto3", "botocore", "click", "decimal", "fastapi", "httpx", "mangum", "pydantic", "pygments", "rich"),
    *("functions.chat.api.openapi", "functions.chat.api.responses", "functions.chat.engines.wordings"),
    "functions.shared.table",
}


def first_completion(engine: ScriptedEngine, folder: Path, *options: str) -> str:
    """Start a function as Lambda does, and end it after a completion; return what it has written."""
    event = {**url_event(URL, "POST"), "body": json.dumps(body(stream=True)), "isBase64Encoded": False}
    with ExitStack() as stack:
        environment = starter(stack, folder)(
            command=[str(WRAPPER), *PYTHON, *options, STOCK_SCRIPT],
            PYTHONPATH=PATH,
            _HANDLER="functions/chat/handler.handler",
            MODELS=json.dumps({MODEL: {"base_url": engine.base_url}}),
        )
        assert b"data: [DONE]" in environment.api.invoke(event).body
        return environment.log


def least_start(*options: str) -> str:
    """Import what is least in a new process; return what it has written."""
    environ = {**os.environ, "PYTHONPATH": PATH}
    run = subprocess.run((*PYTHON, *options, "-c", LEAST), env=environ, capture_output=True, check=True)
    return run.stderr.decode()


@pytest.fixture
def loaded(shared_engine: ScriptedEngine, tmp_path: Path) -> set[str]:
    """Return the modules that a first completion loads."""
    return imported(first_completion(shared_engine, tmp_path, "-X", "importtime"))


def imported(log: str) -> set[str]:
    """Return the modules that Python says it has imported, or tried to."""
    lines = (line for line in log.splitlines() if line.startswith("import time:"))
    return {line.rpartition("|")[2].strip() for line in lines}


def test_a_first_completion_loads_the_modules_that_are_listed(loaded: set[str]) -> None:
    assert "functions.chat.app" in loaded
    more = loaded - imported(least_start("-X", "importtime"))
    assert {name for name in more if name.split(".")[0] not in LOADED} == set()
    assert {name for name in loaded if NOT_LOADED & {name, name.split(".")[0]}} == set()
    ours = sorted(name for name in loaded if name.startswith("functions"))
    assert len(ours) <= MOST_OF_OURS, ours


def test_a_first_completion_takes_little_more_than_the_least(
    shared_engine: ScriptedEngine, tmp_path: Path
) -> None:
    first_completion(shared_engine, tmp_path), least_start()  # both write the compiled files
    ours, least = zip(
        *((cpu_s(lambda: first_completion(shared_engine, tmp_path)), cpu_s(least_start)) for _ in range(3)),
        strict=True,
    )
    assert min(ours) / min(least) <= MOST_CPU


def cpu_s(work: Callable[[], object]) -> float:
    """Return the CPU time of the processes that a work starts and ends."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
