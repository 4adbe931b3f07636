"""The script that fetches GraphiQL's files."""

import base64
import hashlib
import io
import shutil
import tarfile
from pathlib import Path

import pytest

from infra import graphiql
from infra.graphiql import Package


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
    return Package("a", "1.2", sha512, {"umd/a.min.js": ".js"})


def test_files_get_their_version_and_their_licence(
    tarball: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(graphiql, "PACKAGES", (package(tarball),))
    monkeypatch.setattr(graphiql, "download", lambda folder: shutil.copy(tarball, folder))
    folder = tmp_path / ".local" / "graphiql"
    folder.mkdir(parents=True)
    (folder / "a-1.1.js").touch()
    graphiql.fill(folder)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "a-1.2.js": "package/umd/a.min.js",
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
        graphiql.download(tmp_path)
