import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from infra.bundling import cache as cache_module
from infra.bundling.cache import BundleCache, link_files
from infra.bundling.errors import BundleError
from infra.bundling.recipe import Recipe


def recipe(build: Callable[[Path], None], title: str = "chat function", fact: str = "") -> Recipe:
    return Recipe(title=title, sources=(), facts=(fact,), build=build)


def write(folder: Path) -> None:
    (folder / "a").write_text("content")


def visible(folder: Path) -> list[Path]:
    """Return what is there besides the lock files."""
    return [path for path in folder.iterdir() if not path.name.startswith(".")]


def test_it_is_built_once(tmp_path: Path) -> None:
    built: list[Path] = []

    def build(folder: Path) -> None:
        built.append(folder)
        write(folder)

    made = recipe(build)
    first = BundleCache(tmp_path).get(made)
    assert BundleCache(tmp_path).get(made) == first
    assert (first / "a").read_text() == "content"
    assert len(built) == 1
    assert first.name.startswith("chat-function-")


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        write(folder)
        raise BundleError("no network")

    with pytest.raises(BundleError, match="no network"):
        BundleCache(tmp_path).get(recipe(fail))
    assert visible(tmp_path) == []
    assert (BundleCache(tmp_path).get(recipe(write)) / "a").exists()


def edit(source: Path) -> None:
    source.write_text("as it was bundled")


def test_a_bundle_edited_while_it_is_built_is_not_kept(tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_text("as it was hashed")
    made = Recipe(title="chat function", sources=(source,), build=lambda _: edit(source), root=tmp_path)
    with pytest.raises(BundleError, match="Expected chat function to stay as it was, but it was edited"):
        BundleCache(tmp_path / "bundles").get(made)
    assert visible(tmp_path / "bundles") == []


def test_of_two_at_once_one_builds_and_the_other_waits(tmp_path: Path) -> None:
    builds: list[Path] = []
    building, finish = threading.Event(), threading.Event()

    def build(folder: Path) -> None:
        builds.append(folder)
        building.set()
        assert finish.wait(10)
        write(folder)

    made = recipe(build)
    with ThreadPoolExecutor() as threads:
        first = threads.submit(BundleCache(tmp_path).get, made)
        assert building.wait(10)
        second = threads.submit(BundleCache(tmp_path).get, made)
        assert not wait([second], timeout=0.1).done
        finish.set()
        assert first.result(10) == second.result(10) == visible(tmp_path)[0]
    assert len(builds) == 1


def test_every_user_may_read_and_none_may_write(tmp_path: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "inner").mkdir(mode=0o700)
        for name, mode in (("inner/secretive", 0o600), ("program", 0o700)):
            (folder / name).touch()
            (folder / name).chmod(mode)

    place = BundleCache(tmp_path).get(recipe(build))
    modes = {path.name: path.stat().st_mode & 0o777 for path in (place, *place.rglob("*"))}
    assert modes == {place.name: 0o755, "inner": 0o755, "secretive": 0o444, "program": 0o555}


def test_old_bundles_are_removed(tmp_path: Path) -> None:
    cache = BundleCache(tmp_path)
    other = cache.get(recipe(write, title="chat function of others"))
    places = []
    for number in range(6):
        places.append(cache.get(recipe(write, fact=str(number))))
        os.utime(places[-1], (number, number))
        if number == 4:  # used again
            os.utime(places[1], (9, 9))
    assert {path for path in places if path.exists()} == {places[number] for number in (1, 3, 4, 5)}
    assert other.exists()


def test_a_build_that_takes_time_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cache_module, "_REPORTED_S", 60.0)
    BundleCache(tmp_path).get(recipe(write, fact="quick"))
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(cache_module, "_REPORTED_S", -1.0)
    BundleCache(tmp_path).get(recipe(write, fact="slow"))
    assert re.fullmatch(r"Bundled: chat function, \d+\.\d s\n", capsys.readouterr().err)


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_files_are_put_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    place = BundleCache(tmp_path / "bundles").get(recipe(write))
    if not links:

        def refuse(*_: object) -> None:
            raise OSError

        monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "asset"
    target.mkdir()
    link_files(place, str(target))
    assert (target / "a").read_text() == "content"
    assert (target / "a").stat().st_mode & 0o777 == 0o444
    assert (target / "a").samefile(place / "a") is links
