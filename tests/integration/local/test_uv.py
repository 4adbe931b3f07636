"""Plain `uv` in a clone: a newcomer's `uv sync` and `uv run` find versions that go together."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from infra.paths import ROOT


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_every_group_can_be_installed(tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)

    environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    only_streaming = ("--frozen", "--only-group", "streaming")
    for arguments in (
        ("lock",),
        ("sync", "--frozen", "--dry-run"),
        ("run", *only_streaming, "python", "-c", "import mangum"),
    ):
        command = (str(ROOT / ".venv/bin/uv"), *arguments)
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, check=False, text=True
        )
        assert done.returncode == 0, done.stderr
