"""`stages/<stage>.<region>.json`: the zones and the database's version of a stage in a region.

It is written once, and committed: synthesis reads it, so that a deployment from another machine is the same.
What is in it is never changed: other zones would replace the network, and all that is in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from infra.paths import ROOT

FOLDER = ROOT / "stages"


def place_file(folder: Path, stage: str, region: str) -> Path:
    """Return where the choices for a stage in a region are."""
    return folder / f"{stage}.{region}.json"


def read(file: Path) -> dict[str, Any]:
    """Return what a file has, {} where there is none.

    Raises: ValueError: it is not a JSON object.
    """
    if not file.exists():
        return {}
    try:
        found = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file}: expected JSON, but got {error}") from None
    if not isinstance(found, dict):
        raise ValueError(f"{file}: expected an object, but got {type(found).__name__}")
    return found


def add(file: Path, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Add to a file what it does not have, and return that."""
    before = read(file)
    new = {name: value for name, value in chosen.items() if name not in before}
    if new:
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(before | new, indent=2) + "\n")
    return new
