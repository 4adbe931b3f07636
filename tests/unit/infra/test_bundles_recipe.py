"""Equal inputs give one digest, on every machine; whatever else is in a bundle gives another."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from infra.bundling.recipe import Recipe


def tree(folder: Path) -> Path:
    """Make the files of a small bundle."""
    for name in ("chat/app.py", "chat/errors.py", "shared/keys.py", "program"):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return folder


def recipe(root: Path, title: str = "chat", facts: tuple[str, ...] = ("3.13",)) -> Recipe:
    sources = (root / "program", root / "chat", root / "shared")
    return Recipe(title=title, sources=sources, facts=facts, build=lambda _: None, root=root)


def test_place_and_time_are_not_in_the_digest(tmp_path: Path) -> None:
    here, there = tree(tmp_path / "here"), tree(tmp_path / "there")
    os.utime(there / "program", (0, 0))
    (there / "chat" / "__pycache__").mkdir()
    for name in ("chat/__pycache__/app.pyc", "chat/.DS_Store", "chat/app.py~"):
        (there / name).write_text("left behind")
    assert recipe(here).digest == recipe(there).digest


def test_title_and_facts_are_in_the_digest(tmp_path: Path) -> None:
    root = tree(tmp_path)
    digests = {
        recipe(root).digest,
        recipe(root, title="todos").digest,
        recipe(root, facts=("3.14",)).digest,
        recipe(root, facts=()).digest,
    }
    assert len(digests) == 4


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda root: (root / "chat/app.py").write_text("other"), id="content"),
        pytest.param(lambda root: (root / "chat/new.py").touch(), id="a new file"),
        pytest.param(lambda root: (root / "chat/app.py").unlink(), id="a file less"),
        pytest.param(lambda root: (root / "chat/app.py").rename(root / "chat/apt.py"), id="its name"),
        pytest.param(
            lambda root: (root / "chat/errors.py").rename(root / "shared/errors.py"), id="its folder"
        ),
        pytest.param(lambda root: (root / "program").chmod(0o755), id="that it is a program"),
    ],
)
def test_each_change_of_a_file_changes_the_digest(tmp_path: Path, change: Callable[[Path], object]) -> None:
    root = tree(tmp_path)
    before = recipe(root).digest
    change(root)
    assert recipe(root).digest != before
