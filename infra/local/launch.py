"""Run `python -m infra.local` from another program: tests, benchmarks."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from infra.local.function import ROOT

_READY = "Ctrl-C stops everything."
_STOP_S = 5


@contextmanager
def running(**variables: str) -> Iterator[str]:
    """Start everything on a free port and yield the door's URL; stop everything at the end.

    Shape:  `variables` are those of `make run`: BACKEND, BACKEND_KEY, CONCURRENCY, TIMEOUT_S.
    Raises: RuntimeError, with all that was printed, if it does not come up.
    """
    process = start(PORT="0", **variables)
    try:
        yield url_when_ready(process)
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_S)
        process.kill()
        process.communicate()


def start(**variables: str) -> "subprocess.Popen[str]":
    """Start the process; its output and errors come through one pipe."""
    return subprocess.Popen(
        (sys.executable, "-m", "infra.local"),
        cwd=ROOT,
        env=os.environ | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def url_when_ready(process: "subprocess.Popen[str]") -> str:
    """Read what it prints until it is ready."""
    assert process.stdout
    said = []
    for line in process.stdout:
        said.append(line)
        if line.strip() == _READY:
            return said[0].split()[-1].replace("localhost", "127.0.0.1")
    raise RuntimeError("infra.local did not come up:\n" + "".join(said))
