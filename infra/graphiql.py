"""Fill `.local/graphiql` with the files of the page at /graphql: `python3 infra/graphiql.py`.

Standard library and npm only. GraphiQL 4 is the newest that ships a build for browsers: 5 needs a bundler and
makes 30 files with four times as many bytes. React 18 is the newest that ships one, too.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / ".local" / "graphiql"


@dataclass(frozen=True)
class Package:
    """One package, by its tarball's hash.

    Shape:  `files` are those that are served: path in the package → ending of the name here.
    """

    name: str
    version: str
    sha512: str
    files: dict[str, str]

    def copy_files(self, tarball: Path, folder: Path) -> None:
        """Copy the files, and the licence, to `<name>-<version><ending>`.

        Raises: SystemExit where the tarball is not the pinned one.
        """
        content = tarball.read_bytes()
        if base64.b64encode(hashlib.sha512(content).digest()).decode() != self.sha512:
            sys.exit(
                f"{self.name} {self.version} differs from the pinned one. Does a proxy change downloads?"
            )
        with tarfile.open(tarball) as archive:
            for path, ending in {**self.files, "LICENSE": ".LICENSE.txt"}.items():
                member = archive.extractfile(f"package/{path}")
                if not member:
                    sys.exit(f"Expected {path} in {tarball.name}, but found none.")
                (folder / f"{self.name}-{self.version}{ending}").write_bytes(member.read())


PACKAGES = (
    Package(
        name="react",
        version="18.3.1",
        sha512="wS+hAgJShR0KhEvPJArfuPVN1+Hz1t0Y6n5jLrGQbkb4urgPE/0Rve+1kMB1v/oWgHgm4WIcV+i7F2pTVj+2iQ==",
        files={"umd/react.production.min.js": ".js"},
    ),
    Package(
        name="react-dom",
        version="18.3.1",
        sha512="5m4nQKp+rZRb09LNH59GM4BxTh9251/ylbKIbpe7TpGxfJ+9kv6BLkLBXIjjspbgbnIBNqlI23tRnTWT0snUIw==",
        files={"umd/react-dom.production.min.js": ".js"},
    ),
    Package(
        name="graphiql",
        version="4.1.2",
        sha512="rNlzQIAzm6i2KBXmVQWBgLvt0TloxFVB2d18bukvdsvjEuFDHsKx5IVOomL1W1o5WW+tE54+ioHb2AEKzO2cUg==",
        files={"graphiql.min.js": ".js", "graphiql.min.css": ".css"},
    ),
)


def fill(folder: Path) -> None:
    """Replace the folder with one that holds these files."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="graphiql-") as temporary:
        downloads, made = Path(temporary, "downloads"), Path(temporary, "made")
        downloads.mkdir()
        made.mkdir()
        download(downloads)
        for package in PACKAGES:
            package.copy_files(downloads / f"{package.name}-{package.version}.tgz", made)
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


def download(folder: Path) -> None:
    """Download the tarballs only: installed, with their dependencies, they are 120 MB."""
    specifiers = [f"{package.name}@{package.version}" for package in PACKAGES]
    npm = shutil.which("npm")
    if not npm:
        sys.exit("The GraphQL page comes from npm, but found none. Install Node.js: https://nodejs.org")
    command = (npm, "pack", "--loglevel=error", "--ignore-scripts", *specifiers)
    if status := subprocess.run(command, cwd=folder).returncode:
        sys.exit(f"npm pack ended with status {status}")


if __name__ == "__main__":
    fill(FOLDER)
