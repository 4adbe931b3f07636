"""The packages that a function is deployed with, and no others, to measure cold starts.

The test environment has packages that others import if they are installed (httpx imports rich).
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from infra.install import packages

ROOT = Path(__file__).resolve().parents[1]
CHAT = ROOT / ".local/bundle"
HELLO = ROOT / ".local/hello"


def prepare() -> None:
    """Install the bundles into the clone, compiled, unless they are there."""
    prepare_chat(ROOT)
    install(ROOT / "requirements/hello.txt", HELLO)
    _compile(ROOT, "bench")


def prepare_chat(root: Path) -> Path:
    """Install the chat function's packages into a checkout, compile its code, and return their folder."""
    folder = root / ".local/bundle"
    install(root / "requirements/chat.txt", folder)
    _compile(root, "functions", "layers/streaming")
    return folder


def install(requirements: Path, target: Path) -> None:
    """Install what a lock pins into a folder of its own, unless it is there."""
    stamp = target / "stamp"
    wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        print(f"Installing what {requirements} lists ...", file=sys.stderr, flush=True)
        shutil.rmtree(target, ignore_errors=True)  # of packages that it no longer lists
        if packages.main(str(requirements), str(target)):
            sys.exit(f"The packages of {requirements} could not be installed.")
        stamp.write_text(wanted)


def _compile(root: Path, *folders: str) -> None:
    subprocess.run([sys.executable, "-m", "compileall", "-q", *folders], cwd=root, check=True)
