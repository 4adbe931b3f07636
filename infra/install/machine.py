"""What the machine must have, and may have, before anything is installed."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Sequence

from infra.install.step import Step
from infra.paths import ROOT

OLDEST_NODE = 18
# For what pip and npm unpack before they move it, and for what the goals write when they run.
SPARE_MB = 300


class Unsuitable(Exception):
    """The machine lacks something; the text says what, and what to do next."""


def has_node() -> bool:
    """Return whether the machine has npm and a Node.js that is new enough."""
    if not shutil.which("node") or not shutil.which("npm"):
        return False
    version = subprocess.run(("node", "--version"), capture_output=True, text=True, check=False).stdout
    major = version.lstrip("v").partition(".")[0]
    return major.isdigit() and int(major) >= OLDEST_NODE


def check_machine(steps: Sequence[Step]) -> None:
    """Check that the steps can succeed here.

    Raises: Unsuitable.
    """
    if any(step.name == "venv" for step in steps):
        package = "python{}.{}-venv".format(*sys.version_info[:2])
        if not importlib.util.find_spec("ensurepip") or not importlib.util.find_spec("venv"):
            raise Unsuitable(
                f"This Python lacks the venv module. On Debian or Ubuntu: sudo apt install {package}"
            )
    # What is fetched is kept in the caches of pip and npm as well.
    needed_gb = (sum(step.fetch_mb + step.disk_mb for step in steps) + SPARE_MB) / 1000
    free_gb = shutil.disk_usage(ROOT).free / 1000**3
    if free_gb < needed_gb:
        raise Unsuitable(
            f"Expected {needed_gb:.1f} GB of free disk space at {ROOT}, but got {free_gb:.1f} GB. "
            "Free some, then run the same command again."
        )
