"""Packages for Lambda's system, whatever this machine is, without files that no function reads.

Lambda's Python 3.13 runs on Amazon Linux 2023 with glibc 2.34: packages built for 2.28 suit it.
"""

import shutil
import struct
import sys
from pathlib import Path

from uv import find_uv_bin

from infra.bundling.commands import run
from infra.paths import ROOT
from infra.stages import Architecture

_PLATFORMS = {"arm64": "aarch64-manylinux_2_28", "x86_64": "x86_64-manylinux_2_28"}
# Programs, and the records of what was installed: no package reads its own at run time.
_UNREAD = (
    "bin",
    ".lock",
    "*.dist-info",
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
    """Remove what no function reads."""
    for pattern in _UNREAD:
        for path in list(folder.glob(pattern)):
            _remove(path)


def strip_libraries(folder: Path) -> None:
    """Cut off what follows the loaded segments of each library: names for debuggers, 18 MB of the todos'.

    Source: elf(5), from memory: a loader reads the program headers, which are left as they are; the file
            header then says that there are no section headers.
    """
    for path in folder.rglob("*.so*"):
        content = bytearray(path.read_bytes())
        if not content.startswith(b"\x7fELF\x02\x01"):  # 64 bits, little-endian
            continue
        (headers,) = struct.unpack_from("<Q", content, 0x20)
        size, count = struct.unpack_from("<HH", content, 0x36)
        segments = [struct.unpack_from("<8xQ16xQ", content, headers + size * n) for n in range(count)]
        struct.pack_into("<Q", content, 0x28, 0)
        struct.pack_into("<HHH", content, 0x3A, 0, 0, 0)
        end = max(headers + size * count, *(offset + length for offset, length in segments))
        path.write_bytes(content[:end])


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink()
