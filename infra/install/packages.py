"""Install pinned packages, into this environment or into a folder of their own.

    .venv/bin/python infra/install/packages.py requirements/run.txt
    .venv/bin/python infra/install/packages.py requirements/clients.txt .local/clients

uv does it, where it can: with pip, all that the tests need took five times as long. pip does it where uv is
missing or fails, and says what was wrong.
"""

from __future__ import annotations

import compileall
import os
import re
import subprocess
import sys
import sysconfig
from ast import literal_eval
from collections.abc import Mapping
from pathlib import Path

PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input")
UV = Path(sys.executable).with_name("uv")
# What pip is configured with → the same for uv, as a variable, and what separates several values there.
OF_PIP = {
    "index-url": ("UV_DEFAULT_INDEX", ""),
    "extra-index-url": ("UV_INDEX", " "),
    "find-links": ("UV_FIND_LINKS", ","),
    "trusted-host": ("UV_INSECURE_HOST", " "),
    "cert": ("SSL_CERT_FILE", ""),
    "proxy": ("ALL_PROXY", ""),
}
# Most of their modules are never imported; those that are get compiled then.
COMPILED_ON_IMPORT = re.compile(r"/(aws_cdk|sympy|networkx|mpmath|moto|agents|pip)/")


def main(lock: str, folder: str = "") -> int:
    """Install, then compile on all cores; return the exit status."""
    into = ("--no-deps", "--target", folder) if folder else ()
    if _by_uv(lock, into) and (status := _by_pip(lock, into)):
        return status
    if not folder:
        # Some packages hold files for other versions of Python: those that do not compile are left.
        compileall.compile_dir(
            sysconfig.get_path("purelib"), quiet=2, workers=0, rx=COMPILED_ON_IMPORT, force=False
        )
    return 0


def _by_uv(lock: str, into: tuple[str, ...]) -> int:
    if not UV.exists():
        return 1
    listed = subprocess.run((*PIP, "config", "list"), capture_output=True, text=True, check=False).stdout
    command = (str(UV), "pip", "install", "--python", sys.executable, "--require-hashes", "-r", lock, *into)
    return subprocess.run(command, env={**variables(listed), **os.environ}, check=False).returncode


def _by_pip(lock: str, into: tuple[str, ...]) -> int:
    upgrade = ("--upgrade",) if into else ()  # pip leaves a folder as it is otherwise
    command = (*PIP, "install", "--no-compile", "--require-hashes", "-r", lock, *into, *upgrade)
    return subprocess.run(command, check=False).returncode


def variables(listed: str) -> Mapping[str, str]:
    """Return the variables that have uv find packages where pip is configured to.

    Shape:  `listed` is what `pip config list` prints.
    """
    # Copies: `prisma generate` writes into its package, and must not reach the cache of uv. Any index will
    # do, as the lock has the hashes.
    found = {"UV_LINK_MODE": "copy", "UV_INDEX_STRATEGY": "unsafe-best-match", "UV_NO_PROGRESS": "1"}
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        name, separator = OF_PIP.get(key.rpartition(".")[2], ("", ""))
        if name and (separator or name not in found):  # variables come first, and win
            values = literal_eval(value).split()
            found[name] = separator.join(filter(None, (found.get(name), *values)))
    return found


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
