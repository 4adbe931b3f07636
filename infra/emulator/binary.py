"""AWS's own Runtime Interface Emulator, which Lambda's base images have, out of the SAM CLI's wheel."""

import os
import platform
import sys
import tempfile
import zipfile
from pathlib import Path

from infra.emulator.errors import CannotInvoke
from infra.paths import ROOT
from infra.stages import Architecture

_FOLDER = ROOT / ".local" / "emulator"


def this_architecture() -> Architecture:
    """Return Lambda's name of this machine's processor.

    Raises: CannotInvoke, where Lambda has none such.
    """
    names: dict[str, Architecture] = {
        "x86_64": "x86_64",
        "amd64": "x86_64",
        "aarch64": "arm64",
        "arm64": "arm64",
    }
    machine = platform.machine().lower()
    if machine not in names:
        raise CannotInvoke(f"Expected a processor that Lambda has, {' or '.join(names)}, but got {machine}.")
    return names[machine]


def emulator_binary(folder: Path = _FOLDER) -> Path:
    """Return the emulator, unpacked beside the wheel.

    Raises: CannotInvoke.
    """
    if sys.platform != "linux":
        raise CannotInvoke(
            f"Expected Linux, for which alone AWS builds its emulator, but got {sys.platform}. "
            "`make run` answers the same requests everywhere."
        )
    wheels = sorted(folder.glob("aws_sam_cli-*.whl"))
    if not wheels:
        raise CannotInvoke(
            f"Expected AWS's emulator in {folder}, but found none. `make invoke` and `make test` fetch it."
        )
    binary = folder / f"{wheels[-1].stem}-rie"
    if not binary.exists():
        member = f"samcli/local/rapid/aws-lambda-rie-{this_architecture()}"
        with zipfile.ZipFile(wheels[-1]) as archive, tempfile.TemporaryDirectory(dir=folder) as temporary:
            unpacked = Path(temporary, "unpacked")
            unpacked.write_bytes(archive.read(member))
            unpacked.chmod(0o755)
            os.replace(unpacked, binary)
    return binary
