"""The script that fetches what web pages load."""

import base64
import hashlib
import io
import shutil
import tarfile
from pathlib import Path

import pytest

from infra import pages
from infra.pages import PAGES, Package


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    path = tmp_path / "a-1.2.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name in ("package/LICENSE", "package/umd/a.min.js", "package/other.js"):
            member = tarfile.TarInfo(name)
            member.size = len(name)
            archive.addfile(member, io.BytesIO(name.encode()))
    return path


def package(tarball: Path) -> Package:
    sha512 = base64.b64encode(hashlib.sha512(tarball.read_bytes()).digest()).decode()
    return Package("a", "1.2", sha512, {"umd/a.min.js": "a.js"})


def test_files_come_with_their_licence(
    tarball: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "download", lambda folder, _: shutil.copy(tarball, folder))
    folder = tmp_path / ".local" / "graphiql"
    folder.mkdir(parents=True)
    (folder / "a-1.1.js").touch()
    pages.fill(folder, (package(tarball),))
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "a.js": "package/umd/a.min.js",
        "a-1.2.LICENSE.txt": "package/LICENSE",
    }
    assert [path.name for path in folder.parent.iterdir()] == ["graphiql"]


def test_a_changed_package_is_refused(tarball: Path, tmp_path: Path) -> None:
    pinned = package(tarball)
    tarball.write_bytes(tarball.read_bytes() + b"\0")
    with pytest.raises(SystemExit, match=r"a 1\.2 differs from the pinned one"):
        pinned.copy_files(tarball, tmp_path)


def test_a_machine_without_npm_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(SystemExit, match="npm"):
        pages.download(tmp_path, ())


@pytest.mark.parametrize(
    ("name", "stem"), [("marked", "marked-1.2"), ("@highlightjs/cdn-assets", "highlightjs-cdn-assets-1.2")]
)
def test_a_package_is_found_by_the_name_that_npm_gives_its_tarball(name: str, stem: str) -> None:
    assert Package(name, "1.2", "", {}).stem == stem


@pytest.mark.parametrize("page", PAGES)
def test_no_file_of_a_page_replaces_another(page: str) -> None:
    names = [name for package in PAGES[page] for name in package.files.values()]
    assert len(names) == len(set(names))
