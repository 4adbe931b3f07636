"""The Python that compiles: its version decides the format of the .pyc files."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from uv import find_uv_bin

from infra.bundling.commands import run
from infra.bundling.errors import BundleError
from infra.paths import ROOT

_DOWNLOADED = ROOT / ".local" / "python"
_VERSION = "import sys; print('{}.{}'.format(*sys.version_info[:2]), sys.implementation.name)"


@cache
def find_python(version: str, *, download: bool = True) -> str:
    """Return the path of a Python of this version; download one where there is none.

    Shape:  `version` as in "3.13".
    Raises: BundleError.
    """
    found = next((path for path in _known(version) if is_python(path, version)), None)
    if not found and download:
        run(
            (find_uv_bin(), "python", "install", "--no-bin", version),
            purpose=f"a Python {version}, which compiles what is deployed, on this machine or from uv",
            advice=f"Install Python {version} so that `python{version}` runs, then start again.",
            variables={"UV_PYTHON_INSTALL_DIR": str(_DOWNLOADED)},
        )
        found = next((path for path in _downloaded(version) if is_python(path, version)), None)
    if not found:
        raise BundleError(
            f"Expected a Python {version}, which compiles what is deployed, but found none on this machine. "
            f"Install it so that `python{version}` runs, or run `uv python install {version}`."
        )
    return found


def is_python(path: str, version: str) -> bool:
    """Return whether a file runs, and is CPython of this version: pyenv leaves ones that do not."""
    try:
        done = subprocess.run((path, "-I", "-S", "-c", _VERSION), capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.stdout.split() == [version, "cpython"]


def _known(version: str) -> Iterator[str]:
    """Yield candidates, the cheapest to find first."""
    yield sys.executable
    on_path = shutil.which(f"python{version}")
    if on_path:
        yield on_path
    yield from _downloaded(version)
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from map(str, sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"), reverse=True))
    found = subprocess.run(
        (find_uv_bin(), "python", "find", "--no-python-downloads", "--system", version),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    yield from found.stdout.split("\n")[:1] if not found.returncode else ()


def _downloaded(version: str) -> Iterator[str]:
    yield from map(str, sorted(_DOWNLOADED.glob(f"cpython-{version}.*/bin/python{version}"), reverse=True))
