"""Bundles that were built before, in `.local/bundles`, each in a folder named by what it was made from.

Two builders may meet: each builds in a folder of its own, and whoever is done first puts it in place.
"""

import os
import re
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from infra.bundling.commands import ROOT
from infra.bundling.errors import BundleError
from infra.bundling.recipe import Recipe

_UNREMARKABLE_S = 1.0
# Of one title: those of both stages, and those of the last change.
_KEPT = 4


class BundleCache:
    """Builds what it does not have."""

    def __init__(self, folder: Path = ROOT / ".local" / "bundles") -> None:
        self._folder = folder

    def get(self, recipe: Recipe) -> Path:
        """Return the folder of a bundle, complete. Its files are not to be changed.

        Raises: BundleError.
        """
        name = re.sub(r"\W+", "-", recipe.title.lower())
        place = self._folder / f"{name}-{recipe.digest[:16]}"
        if not place.exists():
            began_s = time.monotonic()
            self._build(recipe, place)
            took_s = time.monotonic() - began_s
            if took_s > _UNREMARKABLE_S:
                print(f"Bundled: {recipe.title}, {took_s:.1f} s", file=sys.stderr, flush=True)
        os.utime(place)
        self._forget_all_but_the_latest(name)
        return place

    def _build(self, recipe: Recipe, place: Path) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix="building-") as temporary:
            built = Path(temporary, "bundle")
            built.mkdir()
            recipe.build(built)
            if recipe.has_changed():
                raise BundleError(
                    f"Expected {recipe.title} to stay as it was, but it was edited. Start again."
                )
            _settle_modes(built)
            try:
                built.rename(place)
            except OSError:
                if not place.exists():  # else another builder was faster
                    raise

    def _forget_all_but_the_latest(self, name: str) -> None:
        built = [path for path in self._folder.glob(f"{name}-*") if path.name.rpartition("-")[0] == name]
        with suppress(FileNotFoundError):  # somebody else is at it
            for path in sorted(built, key=lambda path: path.stat().st_mtime)[:-_KEPT]:
                shutil.rmtree(path, ignore_errors=True)


def link_files(bundle: Path, folder: str) -> None:
    """Put a bundle's files into a folder: the same ones, for copies of thousands take seconds."""
    shutil.copytree(bundle, folder, copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or a file system without links
        shutil.copy2(source, target)


def _settle_modes(folder: Path) -> None:
    """Let Lambda's user read everything and run what is a program, whatever our umask; nobody may write."""
    for path in (folder, *folder.rglob("*")):
        program = path.is_dir() or path.stat().st_mode & 0o100
        path.chmod((0o555 if program else 0o444) | (0o200 if path.is_dir() else 0))
