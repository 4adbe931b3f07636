"""Prisma's generated client, as setup leaves it among this Python's own packages."""

import shutil
from importlib.util import find_spec
from pathlib import Path

from infra.bundling.errors import BundleError
from infra.paths import ROOT

ENGINE = ROOT / "layers" / "prisma" / "python"
_COMPILER = ENGINE / "prisma_in_process" / "query_compiler.cwasm"
SCHEMA = ROOT / "functions" / "todos" / "prisma" / "schema.prisma"
_ADVICE = "`make synth` and `make test` generate it; so does `.venv/bin/prisma generate`."


def add_client(packages: Path, *, generated: Path | None = None) -> None:
    """Put the generated modules beside those of the installed package, and the engine beside them.

    Raises: BundleError, where there is no client, or one of another schema.
    """
    generated = generated or _own_package()
    schema = generated / "schema.prisma"
    if not schema.exists():
        raise BundleError(f"Expected a generated Prisma client, but found none. {_ADVICE}")
    if schema.read_bytes() != SCHEMA.read_bytes():
        raise BundleError(
            f"Expected the Prisma client of {SCHEMA.relative_to(ROOT)}, but found that of another. {_ADVICE}"
        )
    if not _COMPILER.exists():
        raise BundleError(
            f"Expected Prisma's query compiler in {_COMPILER}, but found none. `make synth` and `make test` "
            "make it; so does `.venv/bin/python infra/install/compiler.py`."
        )
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(generated, packages / "prisma", ignore=ignored, dirs_exist_ok=True)
    shutil.copytree(ENGINE, packages, ignore=ignored, dirs_exist_ok=True)
    # It has the clone's path in the names of files that Lambda does not have and nothing reads there.
    client = packages / "prisma" / "client.py"
    client.write_text(client.read_text().replace(str(ROOT), "/var/task"))


def _own_package() -> Path:
    spec = find_spec("prisma")
    if not spec or not spec.submodule_search_locations:
        raise BundleError(
            "Expected the package `prisma` beside this Python, but found none. Run `make synth`."
        )
    return Path(spec.submodule_search_locations[0])
