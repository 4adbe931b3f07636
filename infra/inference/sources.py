"""The source of `programs/`, which run on AWS, each as one file on the standard library."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).parent / "programs"


def source(name: str) -> str:
    """Return a program's source."""
    return (_FOLDER / f"{name}.py").read_text()
