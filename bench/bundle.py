"""What a function is deployed with, and nothing else: cold starts are measured on it.

The test environment holds packages that others import where they find them (httpx imports rich).
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BUNDLE = ROOT / ".local/bundle"
_REQUIREMENTS = ROOT / "requirements/bundle.txt"


def prepare() -> None:
    """Install the bundle into the clone, compiled, unless it is there."""
    stamp = BUNDLE / "stamp"
    wanted = hashlib.sha256(_REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print("Installing what the function is deployed with ...", file=sys.stderr, flush=True)
        pip = [sys.executable, "-m", "pip", "install", "-q", "--require-hashes", "--upgrade"]
        subprocess.run([*pip, "--target", BUNDLE, "-r", _REQUIREMENTS], check=True)
        stamp.write_text(wanted)
    folders = ["functions", "layers/streaming/python", "bench"]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *folders], cwd=ROOT, check=True)
