"""The hook refuses what it cannot work with, and says what to do."""

import os
import subprocess
import sys
from pathlib import Path

import prisma_in_process
import pytest

_CLIENT = """
class Prisma:
    _active_provider = "sqlite"
    def __init__(self, use_dotenv): pass
"""


@pytest.mark.parametrize(
    ("version", "client", "text"),
    [
        ("0.14.0", None, "Expected version 0.15.0 of `{}`, but got 0.14.0. Run: pip install prisma==0.15.0"),
        ("0.15.0", None, "Expected a generated client in `{}`. Run: prisma generate"),
        ("0.15.0", _CLIENT, "Expected a client for postgresql in `{}`, but it is for sqlite"),
    ],
)
def test_what_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: str, client: str | None, text: str
) -> None:
    package = tmp_path / f"client_{len(text)}"
    package.mkdir()
    (package / "__init__.py").write_text(f"__version__ = {version!r}")
    if client:
        (package / "client.py").write_text(client)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError) as caught:
        prisma_in_process.install(package.name)
    assert str(caught.value).startswith(text.format(package.name))


def test_installing_imports_no_compiler_and_can_be_repeated() -> None:
    script = (
        "import sys, prisma_in_process as p; p.install(); p.install(); sys.exit('wasmtime' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    assert subprocess.run((sys.executable, "-c", script), env=environment, check=False).returncode == 0
