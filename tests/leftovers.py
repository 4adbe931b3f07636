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


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        os.environ[_VARIABLE] = secrets.token_hex(8)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """Look once the workers of pytest-xdist have ended."""
    yield
    if hasattr(session.config, "workerinput"):
        return
    left = psutil.wait_procs(list(_of_this_run()), timeout=_END_S)[1]
    lines = [f"{process.pid} {_command(process)}" for process in left if _command(process)]
    if lines:
        print("\nexpected no process to be left of this run, but got:", *lines, sep="\n  ")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _of_this_run() -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.pid != os.getpid() and process.environ().get(_VARIABLE) == os.environ[_VARIABLE]:
                yield process


def _command(process: psutil.Process) -> str:
    """Return a process's command, "" once it has ended."""
    with suppress(psutil.Error):
        return " ".join(" ".join(process.cmdline()).split())[:120]
    return ""
