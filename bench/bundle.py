"""The packages that the chat function is deployed with, and no others, to measure cold starts.

The test environment has packages that others import if they are installed (httpx imports rich).
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHAT = ROOT / ".local/bundle"


def prepare() -> None:
    """Install the bundles into the clone, compiled, unless they are there."""
    prepare_chat(ROOT)
    _compile(ROOT, "bench")


def prepare_chat(root: Path) -> Path:
    """Install the chat function's packages into a checkout, compile its code, and return their folder."""
    packages = root / ".local/bundle"
    _install(root / "requirements/bundle.txt", packages)
    _compile(root, "functions", "layers/streaming")
    return packages


def _install(requirements: Path, target: Path) -> None:
    stamp = target / "stamp"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Installing what {requirements} lists ...", file=sys.stderr, flush=True)
        pip = [sys.executable, "-m", "pip", "install", "-q", "--require-hashes", "--upgrade"]
        subprocess.run([*pip, "--target", target, "-r", requirements], check=True)
        stamp.write_text(wanted)


def _compile(root: Path, *folders: str) -> None:
    subprocess.run([sys.executable, "-m", "compileall", "-q", *folders], cwd=root, check=True)
