"""`python infra/install/npm.py LOCK FOLDER`: install what a package-lock.json pins."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path


def main(lock: Path, folder: Path) -> int:
    """Copy the lock from its folder, and install; return the exit status."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(lock / name, folder)
    command = ("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
    return subprocess.run(command, cwd=folder, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
