"""Runs the files of examples/, with another address and key."""

import os
import subprocess
import sys
from collections.abc import Sequence

from infra.paths import ROOT
from tests.local_service import Service

TIMEOUT_S = 50


def start(example: str, service: Service) -> subprocess.Popen[str]:
    """Start an example with another address and key."""
    interpreter = sys.executable if example.endswith(".py") else "node"
    address = (f"{service.url}/graphql",) if example.startswith("todos") else ()
    keys = dict.fromkeys(("OPENAI_API_KEY", "API_KEY"), service.key)
    return subprocess.Popen(
        (interpreter, example, *address),
        cwd=ROOT / "examples",
        env={**os.environ, "OPENAI_BASE_URL": f"{service.url}/v1", **keys},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def finish(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    """Wait for examples; return what they printed, which must be all that they had to say."""
    try:
        outputs = [process.communicate(timeout=TIMEOUT_S) for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert [(process.returncode, error) for process, (_, error) in zip(processes, outputs, strict=True)] == [
        (0, "")
    ] * len(processes)
    return [out for out, _ in outputs]
