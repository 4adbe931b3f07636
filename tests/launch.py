"""Start `python -m infra.local` in a child process."""

import os
import subprocess
import sys

from infra.local.function import ROOT

_READY = "Ctrl-C stops everything."


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
