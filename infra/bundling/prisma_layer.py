"""The parts of layers/prisma: RDS's certificates, the packages of migrations."""

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

from infra.bundling.commands import node, run
from infra.bundling.errors import BundleError
from infra.paths import ROOT

PRISMA = ROOT / "layers" / "prisma"
LOCK = PRISMA / "package-lock.json"
# Only Prisma's own client and Prisma Studio use them.
_UNUSED_PARTS = ("prisma/prisma-client", "prisma/build/public")
_ADVICE = "`make synth` and `make test` install them; so does `npm ci` in layers/prisma."


@cache
def _locked() -> dict[str, dict[str, Any]]:
    """Return the lock file's entry of each package, by its path below layers/prisma; "" is our own."""
    packages: dict[str, dict[str, Any]] = json.loads(LOCK.read_text())["packages"]
    return packages


def certificate_sources() -> tuple[Path, ...]:
    """Return the files that decide about the certificates."""
    return (LOCK, *sorted(PRISMA.glob("rds-ca*")))


def add_certificates(folder: Path) -> None:
    """Write rds-ca/<region>.pem for each region.

    Raises: BundleError.
    """
    if not (PRISMA / "node_modules").is_dir():
        raise BundleError(f"Expected the packages of layers/prisma, but they are not installed. {_ADVICE}")
    script = (node(), str(PRISMA / "rds-ca.mjs"), str(folder))
    run(script, purpose="the certificates of RDS", advice=_ADVICE)


def add_migrating_packages(folder: Path) -> None:
    """Copy the packages that `prisma migrate deploy` needs into node_modules.

    Raises: BundleError.
    """
    names = [name.removeprefix("node_modules/") for name, each in _locked().items() if not each.get("dev")]
    for name in names:
        if not name or "/node_modules/" in name:
            continue
        installed = PRISMA / "node_modules" / name
        if not installed.is_dir():
            raise BundleError(f"Expected the package {name} in layers/prisma, but found none. {_ADVICE}")
        ignored = shutil.ignore_patterns("*.map", "*.d.ts")
        shutil.copytree(installed, folder / "node_modules" / name, ignore=ignored)
    for part in _UNUSED_PARTS:
        shutil.rmtree(folder / "node_modules" / part)
