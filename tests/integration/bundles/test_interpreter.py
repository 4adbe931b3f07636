"""Finding a Python among what machines have under its name."""

import os
import sys
from pathlib import Path

import pytest

from infra.bundling import interpreter
from infra.bundling.errors import BundleError
from infra.bundling.interpreter import find_python, is_python

_RUNNING = "{}.{}".format(*sys.version_info[:2])
# As pyenv leaves it for a version that is not chosen.
_SHIM = "#!/bin/sh\necho 'pyenv: python9.9: command not found' >&2\nexit 127\n"
_FAKE = "#!/bin/sh\necho '9.9 cpython'\n"


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine with a broken python9.9 on PATH, and nothing else."""
    program(tmp_path / "shims/python9.9", _SHIM)
    monkeypatch.setenv("PATH", f"{tmp_path / 'shims'}:{os.defpath}")
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    monkeypatch.setattr(interpreter, "_DOWNLOADED", tmp_path / "downloaded")
    find_python.cache_clear()
    return tmp_path


def test_the_running_one_comes_first() -> None:
    assert find_python(_RUNNING) == sys.executable


def test_one_on_path(machine: Path) -> None:
    found = program(machine / "shims/python9.9", _FAKE)
    assert find_python("9.9") == str(found)


@pytest.mark.parametrize(
    "place", ["pyenv/versions/9.9.1/bin/python9.9", "downloaded/cpython-9.9.1-linux/bin/python9.9"]
)
def test_one_elsewhere(machine: Path, place: str) -> None:
    found = program(machine / place, _FAKE)
    assert find_python("9.9") == str(found)


@pytest.mark.parametrize(
    ("text", "fits"),
    [(_FAKE, True), (_SHIM, False), ("#!/bin/sh\necho 9.8 cpython\n", False), ("no program", False)],
    ids=["fits", "a shim", "another version", "no program"],
)
def test_only_what_runs_counts(machine: Path, text: str, fits: bool) -> None:
    assert is_python(str(program(machine / "python9.9", text)), "9.9") is fits
    assert not is_python(str(machine / "nowhere"), "9.9")


def test_none_and_no_download() -> None:
    with pytest.raises(BundleError, match=r"Expected a Python 9.9, .* Install it so that `python9.9` runs"):
        find_python("9.9", download=False)


def test_none_to_download() -> None:
    with pytest.raises(BundleError, match=r"from uv, but got:\n(.|\n)*Install Python 9.9"):
        find_python("9.9")
