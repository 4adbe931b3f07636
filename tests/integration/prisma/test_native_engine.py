"""The native query engine for Lambda, fetched from a mirror on this machine that holds made-up bytes."""

import gzip
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.integration.prisma.project import LAYER, Ended, clean_environment, run

pytestmark = pytest.mark.nightly
_ENGINE = b"#!/bin/sh\necho engine\n"


class Mirror(ThreadingHTTPServer):
    """Serves every engine, each with its checksums."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requested: list[str] = []
        self.checksum_of = _ENGINE

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        self.server.requested.append(self.path)
        body = self._body()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        name = self.path.rsplit("/", 1)[1]
        content = self.server.checksum_of if name.endswith(".sha256") else _ENGINE
        if ".gz" in name:
            content = gzip.compress(content, mtime=0)
        return (
            f"{hashlib.sha256(content).hexdigest()}  {name}\n".encode()
            if name.endswith(".sha256")
            else content
        )

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(architecture: str, folder: Path, mirror: str) -> Ended:
    command = ("node", str(LAYER / "native-engine.mjs"), architecture, str(folder / "layer"))
    environment = clean_environment(HOME=str(folder), TMPDIR=str(folder), PRISMA_ENGINES_MIRROR=mirror)
    return run(command, folder, environment)


@pytest.mark.parametrize(
    ("architecture", "target"), [("x86_64", "rhel-openssl-3.0.x"), ("arm64", "linux-arm64-openssl-3.0.x")]
)
def test_it_is_fetched(mirror: Mirror, tmp_path: Path, architecture: str, target: str) -> None:
    ended = fetch(architecture, tmp_path, mirror.url)
    engine = tmp_path / "layer/query-engine"
    assert ended == Ended(0, f"{engine}\n")
    assert engine.read_bytes() == _ENGINE
    assert engine.stat().st_mode & 0o777 == 0o755
    assert any(f"/{target}/query-engine.gz" in path for path in mirror.requested)


def test_other_bytes_than_the_checksums(mirror: Mirror, tmp_path: Path) -> None:
    mirror.checksum_of = b"others"
    ended = fetch("x86_64", tmp_path, mirror.url)
    assert ended.status == 1
    assert "checksum" in ended.said
    assert not (tmp_path / "layer").exists()


def test_no_mirror(tmp_path: Path) -> None:
    ended = fetch("arm64", tmp_path, "http://127.0.0.1:1")
    assert ended.status == 1
    assert "for linux-arm64-openssl-3.0.x from http://127.0.0.1:1, but got none" in ended.said
    assert "set PRISMA_ENGINES_MIRROR" in ended.said


def test_an_unknown_architecture(tmp_path: Path) -> None:
    assert "Expected one of x86_64, arm64 as architecture, but got i386." in fetch("i386", tmp_path, "").said
