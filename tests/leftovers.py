"""A test run fails if a process is left that it started, directly or not."""

import os
import secrets
from collections.abc import Generator, Iterator
from contextlib import suppress

import psutil
import pytest

# All that a run starts inherits it; `infra.local` passes it on to functions.
_VARIABLE = "TEST_RUN"
_END_S = 3
_CDK = "/jsii-runtime.js"


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[_VARIABLE] = secrets.token_hex(8)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """Look once the workers of pytest-xdist have ended."""
    yield
    if hasattr(session.config, "workerinput"):
        return
    left = psutil.wait_procs([each for each in _of_this_run() if _command(each)], timeout=_END_S)[1]
    lines = [f"{process.pid} {command}" for process in left if (command := _command(process))]
    if lines:
        print("\nexpected no process to be left of this run, but got:", *lines, sep="\n  ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _of_this_run() -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(_VARIABLE) == os.environ[_VARIABLE]:
                yield process


def _command(process: psutil.Process) -> str:
    """Return a process's command, "" once it has ended, and for the CDK's, which ends with this process."""
    with suppress(psutil.Error):
        parent = process.parent()
        if not any(_CDK in " ".join(each.cmdline()) for each in (process, parent) if each):
            return " ".join(" ".join(process.cmdline()).split())[:120]
    return ""
