"""The CDK's own command line, as a user calls it, against an account on this machine."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from infra.paths import search_path
from tests.deploy.account import ID, REGION, ROOT, Account

_CDK = (str(ROOT / "node_modules" / ".bin" / "cdk"),)
_APP = f"{sys.executable} -m tests.deploy.app"
_SHOWN_LINES = 60
_ALWAYS = ("--no-notices", "--no-color")
_POLLING = Path(__file__).parent / "polling.js"
ORIGIN = "https://app.example.com"
# Each stage, and with which changes.
_ASSEMBLIES: tuple[tuple[str, dict[str, str]], ...] = (
    ("serverless", {}),
    ("serverless", {"cors_origins": ORIGIN}),
    ("dev", {}),
    ("prod", {}),
)


class Toolkit:
    """The command line for one stage, of those which are synthesised once, into one folder."""

    def __init__(self, account: Account, folder: Path, stage: str) -> None:
        self.account = account
        self._folder = folder
        self._stage = stage
        self._environment = _environment(account)

    def run(self, *arguments: str, timeout_s: float = 300, **changes: str) -> str:
        """Run one of its commands to the end; return what it printed.

        Shape:  `changes` of the stage, as in one of the assemblies.
        Raises: AssertionError, with the last lines of the command and of the account.
        """
        status, output = self._run(arguments, changes, timeout_s)
        assert status == 0, self._failure(arguments, f"succeed, but got exit status {status}", output)
        return output

    def refusal(self, *arguments: str, timeout_s: float = 300) -> str:
        """Run one of its commands, which has to fail; return what it printed."""
        status, output = self._run(arguments, {}, timeout_s)
        assert status == 1, self._failure(arguments, f"fail, but got exit status {status}", output)
        return output

    def program(self, module: str, *arguments: str, **variables: str) -> tuple[int, str]:
        """Run one of the programs of `make deploy`, without a terminal; return its status and its output.

        Shape:  `variables` of the program; a deployment's templates are those of this stage.
        """
        with_app = ("--app", str(self._assembly({}))) if module.startswith("infra.deploy") else ()
        command = (sys.executable, "-m", module, *with_app, *arguments)
        return _run(command, self._environment | {"STAGE": self._stage} | variables, 300)

    def resources(self) -> dict[tuple[str, str], str]:
        """Return the type of each resource in the templates.

        Shape:  (stack, logical id) → type.
        """
        return {
            (path.name.partition(".")[0], name): each["Type"]
            for path in self._assembly({}).glob("*.template.json")
            for name, each in json.loads(path.read_text())["Resources"].items()
        }

    def _run(self, arguments: tuple[str, ...], changes: dict[str, str], timeout_s: float) -> tuple[int, str]:
        command = (*_CDK, *arguments, "--app", str(self._assembly(changes)), *_ALWAYS)
        return _run(command, self._environment, timeout_s)

    def _assembly(self, changes: dict[str, str]) -> Path:
        """Return the folder of the stage's templates and bundles.

        All assemblies are synthesised at the first call for one of them: the app takes longer than they do.
        """
        assembly = self._folder / _name(self._stage, *changes)
        if not (assembly / "manifest.json").exists():
            first, *others = (
                (str(self._folder / _name(stage, *more)), {"stage": stage, **_context(more)})
                for stage, more in _ASSEMBLIES
            )
            context = [f"{name}={value}" for name, value in first[1].items()]
            context.append(f"beside={json.dumps(dict(others))}")
            options = [word for each in context for word in ("--context", each)]
            command = (*_CDK, "synth", "--quiet", *options, "--app", _APP, "--output", first[0], *_ALWAYS)
            status, output = _run(command, self._environment, 300)
            assert status == 0, self._failure(("synth",), f"succeed, but got exit status {status}", output)
            assert assembly.is_dir(), f"expected a row of _ASSEMBLIES for {self._stage} with {changes}"
        return assembly

    def _failure(self, arguments: tuple[str, ...], expected: str, output: str) -> str:
        last = "\n".join(output.splitlines()[-_SHOWN_LINES:])
        return (
            f"expected `cdk {' '.join(arguments)}` to {expected}:\n{last}\n"
            f"--- the account output:\n{self.account.log_tail()}"
        )


def _name(stage: str, *changes: str) -> str:
    return "-".join(("cdk.out", stage, *changes))


def _context(changes: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in changes.items()}


def bootstrap(account: Account) -> None:
    """Prepare the account for deployments, as is done once in an account; this needs no app."""
    folder = account.log.parent
    command = (*_CDK, "bootstrap", f"aws://{ID}/{REGION}", "--output", str(folder), *_ALWAYS)
    status, output = _run(command, _environment(account), 300, folder)
    assert status == 0, f"expected `cdk bootstrap` to succeed, but got:\n{output}\n{account.log_tail()}"


def _environment(account: Account) -> dict[str, str]:
    ours = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return {
        **ours,
        **account.environment,
        "PATH": search_path(),
        "CI": "true",
        "NODE_OPTIONS": f'--require="{_POLLING}"',
        "CDK_DISABLE_CLI_TELEMETRY": "true",
        "JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION": "18,20",
    }


def _run(
    command: tuple[str, ...], environment: dict[str, str], timeout_s: float, folder: Path = ROOT
) -> tuple[int, str]:
    """Run a command in a process group of its own, which ends with it."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return -signal.SIGKILL, f"{output}\n(killed after {timeout_s:g} s)"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return process.returncode, output
