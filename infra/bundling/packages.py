"""Packages for Lambda's system, whatever this machine is, without files that no function reads.

Lambda's Python 3.13 runs on Amazon Linux 2023 with glibc 2.34: packages built for 2.28 suit it.
"""

import shutil
import sys
from pathlib import Path

from uv import find_uv_bin

from infra.bundling.commands import run
from infra.paths import ROOT
from infra.stages import Architecture

# The services that functions call through boto3.
SERVICES = ("dynamodb", "lambda", "secretsmanager")
_PLATFORMS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
_SERVICE_DATA = ("botocore/data", "boto3/data")
# Programs, and the records of what was installed: no package reads its own at run time.
_UNREAD = (
    "bin",
    ".lock",
    "*.dist-info",
    "boto3/examples",
    "certifi/tests",
    "**/*.pyi",
    "**/*.pyx",
    "**/*.pxd",
)


def install(requirements: Path, folder: Path, *, architecture: Architecture, python: str) -> None:
    """Install pinned packages, each checked against its hash, into a folder.

    Raises: BundleError.
    """
    run(
        (
            *(find_uv_bin(), "pip", "install", "--quiet", "--no-progress", "--python", sys.executable),
            *("--target", str(folder), "--python-platform", _PLATFORMS[architecture]),
            *(
                "--python-version",
                python,
                "--only-binary",
                ":all:",
                "--require-hashes",
                "--no-compile-bytecode",
            ),
            *("--link-mode", "copy", "-r", str(requirements)),
        ),
        purpose=f"the packages of {requirements.relative_to(ROOT)} for {architecture}",
        advice=(
            "uv needs the network for it. It does not read pip's settings: "
            "an index of your own goes into UV_DEFAULT_INDEX."
        ),
    )


def prune(folder: Path) -> None:
    """Remove what no function reads: above all, boto3's data about hundreds of other services."""
    for pattern in _UNREAD:
        for path in list(folder.glob(pattern)):
            _remove(path)
    for data in _SERVICE_DATA:
        for path in list((folder / data).glob("*/")):
            if path.is_dir() and path.name not in SERVICES:
                _remove(path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
