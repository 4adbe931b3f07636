"""`make layer`: wheels of the packages in `layers`, and the archive of the streaming layer, in `dist`."""

import shutil
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

from uv import find_uv_bin

from infra.bundling.bytecode import compile_modules
from infra.bundling.commands import run
from infra.bundling.errors import BundleError
from infra.bundling.interpreter import find_python
from infra.bundling.packages import install
from infra.paths import ROOT

STREAMING = ROOT / "layers" / "streaming"
PRISMA = ROOT / "layers" / "prisma"
COMPILER = PRISMA / "python" / "prisma_in_process" / "query_compiler.cwasm"
VERSIONS = ("3.11", "3.12", "3.13")
_WRAPPER = "lambda-stream"
_NO_DATE = (1980, 1, 1, 0, 0, 0)


def build_wheel(folder: Path, package: Path) -> Path:
    """Build a package's wheel into a folder.

    Raises: BundleError.
    """
    if package == PRISMA and not COMPILER.exists():
        raise BundleError(f"Expected {COMPILER.relative_to(ROOT)}. Set-up builds it: make layer")
    run(
        (find_uv_bin(), "build", "--quiet", "--wheel", "--out-dir", str(folder), str(package)),
        purpose=f"a wheel of {package.relative_to(ROOT)}",
        advice="uv builds it by itself, if its version is the one that requirements/test.txt pins.",
    )
    project = _project(package)
    return folder / f"{project['name'].replace('-', '_')}-{project['version']}-py3-none-any.whl"


def build_layer(folder: Path, wheel: Path) -> Path:
    """Build the layer's archive from a wheel: the same files give the same bytes.

    Raises: BundleError.
    """
    with tempfile.TemporaryDirectory() as temporary:
        opt = Path(temporary)
        packages = opt / "python"
        install(ROOT / "requirements" / "streaming.txt", packages, architecture="arm64", python=VERSIONS[0])
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(packages)
        (packages / ".lock").unlink(missing_ok=True)
        for version in VERSIONS:
            try:
                compile_modules(opt, python=find_python(version, download=False), mounted="/opt")
            except BundleError:
                print(f"Without compiled modules for Python {version}, which this machine lacks.")
        shutil.copy(STREAMING / _WRAPPER, opt)
        target = folder / f"lambda-stream-layer-{_project(STREAMING)['version']}.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for file in sorted(path for path in opt.rglob("*") if path.is_file()):
                entry = zipfile.ZipInfo(str(file.relative_to(opt)), _NO_DATE)
                entry.external_attr = (0o755 if file.name == _WRAPPER else 0o644) << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, file.read_bytes())
    return target


def _project(package: Path) -> dict[str, str]:
    found: dict[str, str] = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    return found


if __name__ == "__main__":
    try:
        _wheel = build_wheel(ROOT / "dist", STREAMING)
        print(_wheel, build_layer(ROOT / "dist", _wheel), build_wheel(ROOT / "dist", PRISMA), sep="\n")
    except BundleError as error:
        sys.exit(str(error))
