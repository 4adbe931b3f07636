import ctypes
import re
import shutil
import sys
from pathlib import Path

import asyncpg
import pytest

from functions.shared.signed import _JSON
from infra.bundling.packages import prune, strip_libraries
from infra.paths import ROOT

KEPT = {
    "typing_extensions.py",
    "starlette/testclient.py",
    "pydantic_core/_pydantic_core.cpython-313-x86_64-linux-gnu.so",
}
REMOVED = {
    ".lock",
    "bin/fastapi",
    "typing_extensions-4.16.0.dist-info/METADATA",
    "pydantic_core/_pydantic_core.pyi",
    "httptools/parser/parser.pyx",
}


def test_what_no_function_reads_is_removed(tmp_path: Path) -> None:
    for name in KEPT | REMOVED:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    prune(tmp_path)
    left = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()}
    assert left == KEPT


@pytest.mark.skipif(sys.platform != "linux", reason="its libraries are of another form")
def test_libraries_lose_what_only_debuggers_read(tmp_path: Path) -> None:
    (whole,) = Path(asyncpg.__file__).parent.glob("protocol/protocol.*.so")
    library = tmp_path / "asyncpg" / "protocol.so"
    library.parent.mkdir()
    shutil.copy(whole, library)
    other = tmp_path / "other.so"
    other.write_bytes(b"not a library")
    strip_libraries(tmp_path)
    assert library.stat().st_size < whole.stat().st_size / 4
    assert hasattr(ctypes.CDLL(str(library)), "PyInit_protocol")
    assert other.read_bytes() == b"not a library"


def test_no_bundle_has_boto3() -> None:
    """Its functions call three services without it; what calls others runs elsewhere."""
    for name in ("chat", "todos"):
        pinned = (ROOT / f"requirements/{name}.txt").read_text()
        assert "tzdata==" in pinned
        assert "boto" not in pinned
        used = {
            service
            for folder in (name, "shared")
            for path in (ROOT / "functions" / folder).rglob("*.py")
            for service in re.findall(r'\.service\(\s*"([\w-]+)"', path.read_text())
        }
        assert {"dynamodb"} <= used <= {*_JSON, "lambda"}
