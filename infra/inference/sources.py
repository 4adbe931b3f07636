"""The source of `programs/`, which run on AWS, each as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

_FOLDER = Path(__file__).parent / "programs"


def source(name: str, language: Literal["py", "sh"] = "py") -> str:
    """Return a program's source."""
    return (_FOLDER / f"{name}.{language}").read_text()
