"""Runs the files of examples/, with another address and key."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.paths import ROOT
from tests.local_service import Service

TIMEOUT_S = 50


def start(client: str, folder: Path, service: Service) -> subprocess.Popen[str]:
    """Start an example with another address and key."""
    text = (ROOT / "examples" / client).read_text()
    assert "http://localhost:8000" in text
    copy = folder / client
    copy.write_text(
        text.replace("http://localhost:8000", service.url).replace("your_api_key_here", service.key)
    )
    interpreter = sys.executable if copy.suffix == ".py" else "node"
    return subprocess.Popen(
        (interpreter, str(copy)), cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
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
