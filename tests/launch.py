"""Start `python -m infra.local` in a child process."""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache

from infra.paths import ROOT

_READY = "Ctrl-C stops everything."
_UNSET = dict.fromkeys(
    (
        "DATABASE_URL",
        "AUTH",
        "DEV_KEY",
        "HOSTS",
        "MAX_BODY_BYTES",
        "MAX_EVENT_BYTES",
        "MEDIA_HOSTS",
        "EXTRA_FIELDS",
        "PRICES",
    ),
    "",
)


@cache
def postgres_dir() -> str:
    """Return where the services that this process starts keep their Postgres: not where the clone's is."""
    (ROOT / ".local").mkdir(exist_ok=True)
    directory = tempfile.mkdtemp(dir=ROOT / ".local", prefix="test-postgres-")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    return directory


def start(**variables: str) -> "subprocess.Popen[str]":
    """Start the process; its output and errors come through one pipe."""
    return subprocess.Popen(
        (sys.executable, "-m", "infra.local"),
        cwd=ROOT,
        env={**os.environ, **_UNSET, "POSTGRES_DIR": postgres_dir(), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def url_when_ready(process: "subprocess.Popen[str]") -> str:
    """Read what it prints until it is ready."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if line.strip() == _READY:
            return (
                next(line for line in lines if "answers on" in line)
                .split()[-1]
                .replace("localhost", "127.0.0.1")
            )
    raise RuntimeError("infra.local did not come up:\n" + "".join(lines))
