"""What a bundle is made from, and how."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from infra.paths import ROOT

# In no bundle, and in no digest: what Python, editors and systems leave behind.
_IGNORED = ("__pycache__", "*.pyc", ".*", "*~")
_OWN_CODE = Path(__file__).parent


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How one bundle is made.

    Shape:  `title` is for people. `sources` are the files and folders below `root` that decide what is in it,
            `facts` what else does; `build` fills an empty folder.
    """

    title: str
    sources: tuple[Path, ...]
    facts: tuple[str, ...] = ()
    build: Callable[[Path], None]
    root: Path = ROOT

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hex) of all that decides what is in it, as it was at first: the same everywhere."""
        return self._compute_digest()

    def has_changed(self) -> bool:
        """Return whether a source has changed since the digest was made."""
        return self._compute_digest() != self.digest

    def _compute_digest(self) -> str:
        digest = hashlib.sha256("\0".join((self.title, *self.facts)).encode())
        for root, source in (*((self.root, source) for source in self.sources), (ROOT, _OWN_CODE)):
            for file in files_of(source):
                mode = "x" if file.stat().st_mode & 0o100 else "-"
                digest.update(f"\0{file.relative_to(root).as_posix()}\0{mode}\0".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
        return digest.hexdigest()


def files_of(source: Path) -> Iterator[Path]:
    """Yield a file, or the files of a folder, in an order that every machine agrees on."""
    if not source.is_dir():
        yield source
        return
    for path in sorted(source.iterdir(), key=lambda path: path.name):
        if not any(path.match(pattern) for pattern in _IGNORED):
            yield from files_of(path)


def copy_files(files: Iterable[Path], folder: Path, *, relative_to: Path) -> None:
    """Copy files into a folder, each to its own place there."""
    for file in files:
        target = folder / file.relative_to(relative_to)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(file, target)
