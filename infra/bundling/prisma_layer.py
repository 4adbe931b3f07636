"""The parts of layers/prisma: the native query engine, RDS's certificates, the packages of migrations."""

import json
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from infra.bundling.commands import node, run
from infra.bundling.errors import BundleError
from infra.paths import ROOT
from infra.stages import Architecture

PRISMA = ROOT / "layers" / "prisma"
LOCK = PRISMA / "package-lock.json"
ENGINE = "query-engine"
_FETCHED = ROOT / ".local" / "native-engine"
# As in native-engine.mjs.
_TARGETS = {"x86_64": "rhel-openssl-3.0.x", "arm64": "linux-arm64-openssl-3.0.x"}
# Only the query engine and Prisma Studio use them.
_UNUSED_PACKAGES = ("@prisma/client", "@prisma/adapter-pg", "@prisma/driver-adapter-utils")
_UNUSED_PARTS = ("prisma/prisma-client", "prisma/build/public")
_ADVICE = "`make synth` and `make test` install them; so does `npm ci` in layers/prisma."


@cache
def _locked() -> dict[str, dict[str, Any]]:
    """Return the lock file's entry of each package, by its path below layers/prisma; "" is our own."""
    packages: dict[str, dict[str, Any]] = json.loads(LOCK.read_text())["packages"]
    return packages


def engine_file(architecture: Architecture) -> Path:
    """Return where the native query engine of our version is, once it was fetched."""
    version = _locked()["node_modules/@prisma/engines-version"]["version"]
    return _FETCHED / f"{version}-{architecture}" / ENGINE


def engine_url(architecture: Architecture) -> str:
    """Return where the native query engine of our version is fetched from."""
    commit = _locked()["node_modules/@prisma/engines-version"]["version"].rpartition(".")[2]
    server = os.environ.get("PRISMA_ENGINES_MIRROR") or "https://binaries.prisma.sh"
    return f"{server}/all_commits/{commit}/{_TARGETS[architecture]}/{ENGINE}.gz"


def fetch_engine(architecture: Architecture) -> Path:
    """Return the native query engine, from Prisma's server unless it was fetched before.

    Raises: BundleError.
    """
    file = engine_file(architecture)
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_FETCHED) as temporary:
            _run_script(
                *("native-engine.mjs", architecture, temporary),
                purpose=f"Prisma's native query engine for {architecture}",
                advice="`make synth` works without it; a deployment needs it.",
            )
            os.replace(Path(temporary, ENGINE), file)
    return file


def certificate_sources() -> tuple[Path, ...]:
    """Return the files that decide about the certificates."""
    return (LOCK, *sorted(PRISMA.glob("rds-ca*")))


def add_certificates(folder: Path) -> None:
    """Write rds-ca.pem, and rds-ca/<region>.pem for each region.

    Raises: BundleError.
    """
    _run_script("rds-ca.mjs", str(folder), purpose="the certificates of RDS", advice=_ADVICE)


def add_migrating_packages(folder: Path) -> None:
    """Copy the packages that `prisma migrate deploy` needs into node_modules.

    Raises: BundleError.
    """
    names = [name.removeprefix("node_modules/") for name, each in _locked().items() if not each.get("dev")]
    for name in names:
        nested = not name or "/node_modules/" in name
        if nested or name in _UNUSED_PACKAGES:
            continue
        installed = PRISMA / "node_modules" / name
        if not installed.is_dir():
            raise BundleError(f"Expected the package {name} in layers/prisma, but found none. {_ADVICE}")
        ignored = shutil.ignore_patterns("*.map", "*.d.ts")
        shutil.copytree(installed, folder / "node_modules" / name, ignore=ignored)
    for part in _UNUSED_PARTS:
        shutil.rmtree(folder / "node_modules" / part)


def _run_script(name: str, *arguments: str, purpose: str, advice: str) -> None:
    if not (PRISMA / "node_modules").is_dir():
        raise BundleError(f"Expected the packages of layers/prisma, but they are not installed. {_ADVICE}")
    run((node(), str(PRISMA / name), *arguments), purpose=purpose, advice=advice)
