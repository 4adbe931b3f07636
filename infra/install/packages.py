"""Install pinned packages: `.venv/bin/python infra/install/packages.py requirements/run.txt`.

pip alone would compile them one by one, for half of the time that it takes.
"""

from __future__ import annotations

import compileall
import re
import subprocess
import sys
import sysconfig

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
# Most of its modules are never imported; those that are get compiled then.
COMPILED_ON_IMPORT = re.compile(r"/aws_cdk/")


def main(lock: str) -> int:
    """Install, then compile on all cores; return pip's exit status."""
    status = subprocess.run((*PIP, "install", "--no-compile", "--require-hashes", "-r", lock)).returncode
    if status == 0:
        # Some packages hold files for other versions of Python: those that do not compile are left.
        compileall.compile_dir(
            sysconfig.get_path("purelib"), quiet=2, workers=0, rx=COMPILED_ON_IMPORT, force=False
        )
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
