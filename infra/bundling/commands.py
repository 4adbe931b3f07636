"""Programs that bundling runs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.bundling.errors import BundleError
from infra.paths import ROOT

_LINES = 8
# Not passed on: they lead a Python to packages that are not in the bundle.
_UNSET = ("PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "VIRTUAL_ENV")


def run(
    command: Sequence[str], *, purpose: str, advice: str, variables: Mapping[str, str] | None = None
) -> None:
    """Run a program to its end.

    Raises: BundleError, with the last lines that it printed.
    """
    kept = {name: value for name, value in os.environ.items() if name not in _UNSET}
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**kept, **(variables or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip()][-_LINES:]
        output = "\n".join(lines) or f"exit status {done.returncode}"
        raise BundleError(f"Expected {purpose}, but got:\n{output}\n{advice}")


def node() -> str:
    """Return Node.js: the one that setup put beside our Python, else that of the machine.

    Raises: BundleError.
    """
    places = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
    found = shutil.which("node", path=places)
    if not found:
        raise BundleError("Expected Node.js as `node`, but found none. Install it: https://nodejs.org")
    return found
