"""`python -m infra.local` in a child process, started and stopped as `make run` and Ctrl-C do.

Its environments serve as many requests at a time as PER_ENVIRONMENT says, the variable of `make run`: the
tests of what clients see pass with `make test-all PER_ENVIRONMENT=64` too.
"""

import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO

import httpx
import psutil
import pytest

from tests import launch

UNSET = {"BACKEND": "", "BACKEND_KEY": "", "CONCURRENCY": "", "TIMEOUT_S": ""}
PER_ENVIRONMENT = int(os.environ.get("PER_ENVIRONMENT") or 1)
of_one_per_environment = pytest.mark.skipif(
    PER_ENVIRONMENT != 1, reason="counts environments that serve one request at a time"
)
_READY_S = 30
_STOP_S = 2.0


@dataclass(frozen=True)
class Service:
    """Where the API answers."""

    url: str
    key: str = "your_api_key_here"

    def client(self) -> httpx.Client:
        """Return a client for it, to be closed by its user."""
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=30, trust_env=False)


class Output:
    """What a process has printed so far."""

    def __init__(self, stream: IO[str]) -> None:
        self._text = ""
        self._more = threading.Condition()
        self._thread = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self._thread.start()

    def __str__(self) -> str:
        return self._text

    def wait_for(self, condition: Callable[[str], object], timeout_s: float = 5) -> str:
        """Wait until the text fulfils a condition or ends; return it."""
        with self._more:
            self._more.wait_for(lambda: condition(self._text) or not self._thread.is_alive(), timeout_s)
            assert condition(self._text), f"expected other output, but got {self._text}"
            return self._text

    def close(self) -> None:
        """Wait for the end, which comes with the end of the process."""
        self._thread.join(5)

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._more:
                    self._text += line
                    self._more.notify_all()


class LocalService:
    """The whole service on this machine."""

    def __init__(self, variables: dict[str, str]) -> None:
        began_s = time.monotonic()
        self._process = launch.start(**{**UNSET, "PORT": "0", **variables})
        self._tree = psutil.Process(self._process.pid)
        assert self._process.stdout
        self.out = Output(self._process.stdout)
        try:
            self.banner = self.out.wait_for(lambda text: "Ctrl-C" in text, _READY_S)
        except BaseException:
            self._end()
            raise
        self.ready_after_s = time.monotonic() - began_s
        address = re.search(r"http://localhost:(\d+)", self.banner)
        assert address
        self.port = int(address[1])
        key = re.search(r"^  key +(.+)$", self.banner, re.MULTILINE)
        self.service = Service(f"http://127.0.0.1:{self.port}", key[1] if key else Service.key)

    def functions(self) -> list[psutil.Process]:
        """Return the processes of functions: those with the address of a Runtime API."""
        return [child for child in self._tree.children() if _is_function(child)]

    def processes(self) -> list[psutil.Process]:
        """Return it and all that it has started."""
        return [self._tree, *self._tree.children(recursive=True)]

    def listening(self) -> set[str]:
        """Return the addresses on which it and its children listen."""
        sockets = [each for process in self.processes() for each in process.net_connections("inet")]
        return {each.laddr.ip for each in sockets if each.status == psutil.CONN_LISTEN}

    def stop(self, number: signal.Signals = signal.SIGINT) -> None:
        """Stop it: at once, with exit status 0, without a traceback, leaving no process behind."""
        if self._process.poll() is not None:
            return
        children = self._tree.children(recursive=True)
        began_s = time.monotonic()
        self._process.send_signal(number)
        try:
            status = self._process.wait(10)
        finally:
            self._end()
        took_s = time.monotonic() - began_s
        assert status == 0, f"expected exit status 0, but got {status}: {self.out}"
        assert took_s < _STOP_S, f"expected the end within {_STOP_S} s, but got {took_s:.1f} s"
        assert "Traceback" not in str(self.out), str(self.out)
        left = [each for each in psutil.wait_procs(children, timeout=0.5)[1] if not _is_dead(each)]
        assert not left, f"expected no process to be left, but got {left}"

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        self.out.close()


def _is_function(process: psutil.Process) -> bool:
    with suppress(psutil.Error):
        return "AWS_LAMBDA_RUNTIME_API" in process.environ()
    return False


def _is_dead(process: psutil.Process) -> bool:
    """Return whether a process has ended, and only its entry is left, which the init process removes."""
    with suppress(psutil.NoSuchProcess):
        return process.status() == psutil.STATUS_ZOMBIE
    return True


@contextmanager
def run_local(**variables: str) -> Iterator[LocalService]:
    """Run the service for as long as the context lasts; the variables are those of `make run`."""
    local = LocalService(variables)
    try:
        yield local
    finally:
        local.stop()
