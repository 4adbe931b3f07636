"""A run that leaves a process fails, and says which."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.paths import ROOT

TESTS = """
import subprocess

def test_one():
    subprocess.Popen(["sleep", "300"], start_new_session=True, stdout=subprocess.DEVNULL)

def test_other():
    subprocess.run(["true"])
"""


@pytest.mark.nightly
def test_a_process_that_is_left_fails_the_run(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(TESTS)
    options = ("-q", "-n2", "-c", os.devnull, "-p", "tests.leftovers", "-W", "ignore", "--timeout=30")
    done = subprocess.run(
        (sys.executable, "-m", "pytest", *options, str(tmp_path)),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    left = re.search(r"no process to be left of this run, but got:\n  (\d+) sleep 300\n", done.stdout)
    assert left, done.stdout + done.stderr
    os.kill(int(left[1]), signal.SIGKILL)
    assert "2 passed" in done.stdout
    assert done.returncode == 1
