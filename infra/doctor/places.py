"""What is written down of a region: `stages/<stage>.<region>.json`, which `infra.places` reads.

What is in it is never changed: other zones would replace the network, and all that is in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def add(file: Path, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Add to a file what it does not have, and return that."""
    before = json.loads(file.read_text()) if file.exists() else {}
    new = {name: value for name, value in chosen.items() if name not in before}
    if new:
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps(before | new, indent=2) + "\n")
    return new
