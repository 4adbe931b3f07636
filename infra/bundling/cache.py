"""Bundles that were built before, in `.local/bundles`, each in a folder named by what it was made from.

A file lock for each title lets one process build while the others wait for the result.
"""

import fcntl
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

from infra.bundling.errors import BundleError
from infra.bundling.recipe import Recipe
from infra.paths import ROOT

# A build that takes longer is reported.
_REPORTED_S = 1.0
# Bundles of one title: those of both stages, and those of the last change.
_KEPT = 4


class BundleCache:
    """Builds what it does not have."""

    def __init__(self, folder: Path = ROOT / ".local" / "bundles") -> None:
        self._folder = folder

    def get(self, recipe: Recipe) -> Path:
        """Return the folder of a complete bundle. Its files must not be changed.

        Raises: BundleError.
        """
        name = re.sub(r"\W+", "-", recipe.title.lower())
        bundle = self._folder / f"{name}-{recipe.digest[:16]}"
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not bundle.exists():
                start_s = time.monotonic()
                self._build(recipe, bundle)
                duration_s = time.monotonic() - start_s
                if duration_s > _REPORTED_S:
                    print(f"Bundled: {recipe.title}, {duration_s:.1f} s", file=sys.stderr, flush=True)
            os.utime(bundle)
            built = [path for path in self._folder.glob(f"{name}-*") if path.name.rpartition("-")[0] == name]
            for path in sorted(built, key=lambda path: path.stat().st_mtime)[:-_KEPT]:
                shutil.rmtree(path, ignore_errors=True)
        return bundle

    def _build(self, recipe: Recipe, bundle: Path) -> None:
        with tempfile.TemporaryDirectory(dir=self._folder, prefix="building-") as temporary:
            built = Path(temporary, "bundle")
            built.mkdir()
            recipe.build(built)
            if recipe.has_changed():
                raise BundleError(
                    f"Expected {recipe.title} to stay as it was, but it was edited meanwhile. Start again."
                )
            # Lambda's user may read everything and run programs, whatever our umask; no one may write.
            for path in (built, *built.rglob("*")):
                executable = path.is_dir() or path.stat().st_mode & 0o100
                path.chmod((0o555 if executable else 0o444) | (0o200 if path.is_dir() else 0))
            built.rename(bundle)


def link_files(bundle: Path, folder: str) -> None:
    """Put a bundle's files into a folder: the same ones, for copies of thousands take seconds."""
    shutil.copytree(bundle, folder, copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        shutil.copy2(source, target)
