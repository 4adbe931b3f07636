"""Where things are: in this clone, and on this machine."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def search_path() -> str:
    """Return where programs are looked for: first among those of our Python, where setup may put Node.js."""
    return os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)))
