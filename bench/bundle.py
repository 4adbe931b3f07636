"""What each function is deployed with, and nothing else: cold starts are measured on it.

The test environment holds packages that others import where they find them (httpx imports rich).
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CHAT = ROOT / ".local/bundle"
TODOS = ROOT / ".local/bundle-todos"
_REQUIREMENTS = {CHAT: "bundle.txt", TODOS: "todos.txt"}


def prepare() -> None:
    """Install the bundles into the clone, compiled, unless they are there."""
    for bundle, name in _REQUIREMENTS.items():
        requirements = ROOT / "requirements" / name
        stamp = bundle / "stamp"
        wanted = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
        if not stamp.exists() or stamp.read_text() != wanted:
            print(f"Installing what {name} lists ...", file=sys.stderr, flush=True)
            pip = [sys.executable, "-m", "pip", "install", "-q", "--require-hashes", "--upgrade"]
            subprocess.run([*pip, "--target", bundle, "-r", requirements], check=True)
            stamp.write_text(wanted)
    _copy_prisma_client()
    folders = ["functions", "layers/streaming/python", "bench", str(TODOS / "prisma")]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *folders], cwd=ROOT, check=True)


def _copy_prisma_client() -> None:
    """Take over what `prisma generate` made in the environment of the tests."""
    generated = Path(sysconfig.get_path("purelib"), "prisma")
    shutil.copytree(
        generated, TODOS / "prisma", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
