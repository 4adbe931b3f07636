"""Fill `.local` with what web pages load, from npm: `python3 infra/pages.py [graphiql] [chat-page]`.

Standard library and npm only; nothing is built. GraphiQL 4 is the newest that ships a build for browsers: 5
needs a bundler and makes 30 files with four times as many bytes. React 18 is the newest that ships one, too.
`docs/decisions/0018-the-chat-page.md` says why the chat page has these four.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

LOCAL = Path(__file__).resolve().parents[1] / ".local"


@dataclass(frozen=True)
class Package:
    """One package, by its tarball's hash.

    Shape:  `files` are those that are served: path in the package → name here.
    """

    name: str
    version: str
    sha512: str
    files: dict[str, str]
    licence: str = "LICENSE"

    @property
    def stem(self) -> str:
        """The name of its tarball, without the ending."""
        return f"{self.name.removeprefix('@').replace('/', '-')}-{self.version}"

    def copy_files(self, tarball: Path, folder: Path) -> None:
        """Copy the files, and the licence, to `<stem>.LICENSE.txt`.

        Raises: SystemExit where the tarball is not the pinned one.
        """
        content = tarball.read_bytes()
        if base64.b64encode(hashlib.sha512(content).digest()).decode() != self.sha512:
            sys.exit(
                f"{self.name} {self.version} differs from the pinned one. Does a proxy change downloads?"
            )
        with tarfile.open(tarball) as archive:
            for path, name in {**self.files, self.licence: f"{self.stem}.LICENSE.txt"}.items():
                member = archive.extractfile(f"package/{path}")
                if not member:
                    sys.exit(f"Expected {path} in {tarball.name}, but found none.")
                (folder / name).write_bytes(member.read())


# The folder in `.local` that a page's files go to → its packages.
PAGES = {
    "graphiql": (
        Package(
            name="react",
            version="18.3.1",
            sha512="wS+hAgJShR0KhEvPJArfuPVN1+Hz1t0Y6n5jLrGQbkb4urgPE/0Rve+1kMB1v/oWgHgm4WIcV+i7F2pTVj+2iQ==",
            files={"umd/react.production.min.js": "react-18.3.1.js"},
        ),
        Package(
            name="react-dom",
            version="18.3.1",
            sha512="5m4nQKp+rZRb09LNH59GM4BxTh9251/ylbKIbpe7TpGxfJ+9kv6BLkLBXIjjspbgbnIBNqlI23tRnTWT0snUIw==",
            files={"umd/react-dom.production.min.js": "react-dom-18.3.1.js"},
        ),
        Package(
            name="graphiql",
            version="4.1.2",
            sha512="rNlzQIAzm6i2KBXmVQWBgLvt0TloxFVB2d18bukvdsvjEuFDHsKx5IVOomL1W1o5WW+tE54+ioHb2AEKzO2cUg==",
            files={"graphiql.min.js": "graphiql-4.1.2.js", "graphiql.min.css": "graphiql-4.1.2.css"},
        ),
    ),
    "chat-page": (
        Package(
            name="lit-html",
            version="3.3.3",
            sha512="el8M6jK2o3RXBnrSHX3ZKrsN8zEV63pSExTO1wYJz7QndGYZ8353e2a5PPX+qHe2aGayfnchQmkAojaWAREOIA==",
            files={"lit-html.js": "lit-html.js"},
        ),
        Package(
            name="marked",
            version="18.2.1",
            sha512="ii4bxCTCqqwpT86XZWgJNs+ZnAIZksmLGYMViWA7PDIXYIeNo1x6cDdX3JOip9NM/cI6p8z57FxliACboTruMA==",
            files={"lib/marked.esm.js": "marked.js"},
        ),
        Package(
            name="dompurify",
            version="3.4.18",
            sha512="ofe3wI/uNm68HInABYFJYqQxRw1EaKAjNdrFVKqjUY+UZurvNd2L/HuQe097s/4RivWiZyP6tT7aoT8atjfhwg==",
            files={"dist/purify.es.mjs": "purify.js"},
        ),
        Package(
            name="@highlightjs/cdn-assets",
            version="11.12.0",
            sha512="KvOKXODaiFmId9xaq3xc5xCL66wVLUuOngDbO9B/kewbFTqdGbn2nJxNhN3H5R1cgDTVj6R8vH0zgiNDEGjpDw==",
            files={"es/highlight.min.js": "highlight.js"},
        ),
    ),
}


def fill(folder: Path, packages: Sequence[Package]) -> None:
    """Replace the folder with one that holds the files of these packages."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}-") as temporary:
        downloads, made = Path(temporary, "downloads"), Path(temporary, "made")
        downloads.mkdir()
        made.mkdir()
        download(downloads, packages)
        for package in packages:
            package.copy_files(downloads / f"{package.stem}.tgz", made)
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)


def download(folder: Path, packages: Sequence[Package]) -> None:
    """Download the tarballs only: installed, with their dependencies, GraphiQL's are 120 MB."""
    specifiers = [f"{package.name}@{package.version}" for package in packages]
    npm = shutil.which("npm")
    if not npm:
        sys.exit("The files of web pages come from npm, but found none. Install Node.js: https://nodejs.org")
    command = (npm, "pack", "--loglevel=error", "--ignore-scripts", *specifiers)
    if status := subprocess.run(command, cwd=folder).returncode:
        sys.exit(f"npm pack ended with status {status}")


if __name__ == "__main__":
    for page in sys.argv[1:] or PAGES:
        fill(LOCAL / page, PAGES[page])
