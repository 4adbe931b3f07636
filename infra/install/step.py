"""One step of set-up: a command, and the stamp that says what it was last run for."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from dataclasses import dataclass
from pathlib import Path

from infra.paths import ROOT

STAMPS = ROOT / ".local" / "stamps"
VENV_PYTHON = ROOT / ".venv" / "bin" / "python"
# Not passed to commands: they change where pip installs, or leave packages without .pyc files.
UNSET = ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")


class StepFailed(Exception):
    """A step's command failed; its output is in `step.log_file`."""

    def __init__(self, step: Step) -> None:
        super().__init__(step.title)
        self.step = step


@dataclass(frozen=True)
class Step:
    """`command`, run in `folder`, makes it from `sources`: files and whole folders.

    Steps of one `stage` are independent and may run at the same time.
    Units: `fetch_mb` and `disk_mb` were measured on Linux, x86-64; 0 is less than half an MB.
    """

    stage: int
    name: str
    title: str
    fetch_mb: int
    disk_mb: int
    command: tuple[str, ...]
    sources: tuple[str, ...] = ()
    folder: str = "."

    @property
    def log_file(self) -> Path:
        return STAMPS / f"{self.name}.log"

    @property
    def stamp_file(self) -> Path:
        return STAMPS / self.name

    def stamp(self) -> str:
        """Return a digest of the Python and of all sources."""
        digest = hashlib.sha256(platform.python_version().encode())
        for source in self.sources:
            path = ROOT / source
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    digest.update(file.read_bytes())
        return digest.hexdigest()

    def is_done(self) -> bool:
        """Return whether the step was completed for these sources."""
        if not VENV_PYTHON.exists() or not self.stamp_file.exists():
            return False
        return self.stamp_file.read_text() == self.stamp()

    def run(self) -> None:
        """Run the command, its output into the log, and leave the stamp.

        Raises: StepFailed.
        """
        self.stamp_file.unlink(missing_ok=True)
        kept = {name: value for name, value in os.environ.items() if name not in UNSET}
        # Our programs come first, and Prisma does not look for a newer version of itself.
        path = os.pathsep.join((str(VENV_PYTHON.parent), os.environ.get("PATH", os.defpath)))
        environment = {**kept, "PATH": path, "CHECKPOINT_DISABLE": "1", "PRISMA_HIDE_UPDATE_MESSAGE": "1"}
        with self.log_file.open("wb") as log:
            ended = subprocess.run(
                self.command,
                cwd=ROOT / self.folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if ended.returncode:
            raise StepFailed(self)
        self.stamp_file.write_text(self.stamp())
