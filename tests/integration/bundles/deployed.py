"""A function as Lambda has it: its layers merged into one folder, its code in another, and nothing else.

No site-packages, variables or folders of this machine: only the standard library of Lambda's Python version.
"""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from infra.bundling.cache import link_files
from infra.emulator.bundled_function import BundledFunction
from tests.integration.streaming.runtime_api import RuntimeApi

POISON = "raise RuntimeError('compiled again, although there is a .pyc file')\n"
# Started by its path, as a program: Python looks for no .pyc file of it.
_PROGRAM = Path("python/lambda_stream/__main__.py")


@dataclass(frozen=True)
class Deployed:
    """A function's folders, and the Python that runs it."""

    name: str
    opt: Path
    task: Path
    python: str

    @property
    def handler(self) -> str:
        return f"functions.{self.name}.handler.handler"

    def command(self, *flags: str) -> list[str]:
        """Return what Lambda runs; -I, -S: without anything of this machine but the standard library."""
        wrapper = str(self.opt / "lambda-stream")
        return [wrapper, self.python, "-I", "-S", *flags, "/var/runtime/bootstrap.py"]

    def modules(self) -> list[Path]:
        """Return the source files."""
        return [path for folder in (self.opt, self.task) for path in folder.rglob("*.py")]

    def poison_sources(self) -> None:
        """Make every module fail if it is compiled; the files in the cache stay as they are."""
        for path in self.modules():
            if path != self.opt / _PROGRAM:
                path.unlink()
                path.write_text(POISON)


def deploy(function: BundledFunction, folder: Path) -> Deployed:
    """Merge the layers as Lambda does."""
    opt, task = folder / "opt", folder / "task"
    for layer in function.layers:
        link_files(layer, str(opt))
    link_files(function.task, str(task))
    return Deployed(function.name, opt, task, function.python)


@contextmanager
def running(
    deployed: Deployed, log: Path, *, flags: Sequence[str] = (), **variables: str
) -> Iterator[RuntimeApi]:
    """Start an environment, with these flags of Python; yield the Runtime API that it calls."""
    environment = {
        "PATH": os.defpath,
        "LANG": "en_US.UTF-8",
        "LAMBDA_TASK_ROOT": str(deployed.task),
        "AWS_LAMBDA_FUNCTION_NAME": deployed.name,
        "_HANDLER": deployed.handler,
        **variables,
    }
    with RuntimeApi() as api, log.open("wb") as output:
        process = subprocess.Popen(
            deployed.command(*flags),
            env={**environment, "AWS_LAMBDA_RUNTIME_API": api.address},
            cwd=deployed.task,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield api
        finally:
            process.terminate()
            try:
                process.wait(5)
            finally:
                process.kill()
                process.wait()
