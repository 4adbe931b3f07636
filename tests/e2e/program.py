"""Programs of clients, each a process of its own that is given cases and prints what came of each.

stdin   {"url": the base URL, "key": …, "cases": […]}
stdout  {"version": …}, then a line for each case, in any order: {"case": its place, "outcome": …}
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from infra.paths import ROOT

FOLDER = Path(__file__).parent

Outcome = dict[str, Any]


@dataclass(frozen=True)
class Outcomes:
    """What a program printed: the client's version, and an outcome by the place of its case."""

    version: str
    by_place: Mapping[int, Outcome]


def run_program(
    command: Sequence[str],
    job: Mapping[str, Any],
    *,
    packages: str = "",
    seen: Callable[[], None] = lambda: None,
) -> Outcomes:
    """Run a program: a file below this folder, with its arguments; `seen` is called after each case.

    Shape:  `packages`: the folder, in the clone, of the packages that it imports.
    Raises: RuntimeError with what the program wrote to stderr, if it failed.
    """
    file, *arguments = command
    path = FOLDER / file
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    start = ("node", str(path)) if path.suffix == ".mjs" else (sys.executable, "-m", module)
    searched = os.pathsep.join(str(ROOT / each) for each in (packages, ".") if each)
    folders = (ROOT / packages / "bin", ROOT / packages / "node_modules/.bin", os.environ["PATH"])
    programs = os.pathsep.join(map(str, folders))
    version, outcomes = "", dict[int, Outcome]()
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            (*start, *arguments),
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": searched, "PATH": programs},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        try:
            assert process.stdin
            assert process.stdout
            with process.stdin as stdin:
                json.dump(job, stdin)
            for line in process.stdout:
                said = json.loads(line)
                version = said.get("version", version)
                if "case" in said:
                    outcomes[said["case"]] = said["outcome"]
                    seen()
            process.wait()
        finally:
            if process.poll() is None:
                # Where it hangs, so may what it has started.
                for each in psutil.Process(process.pid).children(recursive=True):
                    with suppress(psutil.NoSuchProcess):
                        each.kill()
                process.kill()
        if process.returncode or not version:
            errors.seek(0)
            raise RuntimeError(f"The client {' '.join(command)} failed:\n{errors.read()}")
    return Outcomes(version, outcomes)
