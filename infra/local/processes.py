"""Child processes that cannot outlive this one.

Each child leads a process group of its own; the group is killed as one. Where this process itself is killed,
the guardian kills the groups: a small shell that reads their list from a pipe, which ends with this process.
On Linux the kernel kills the children too, so that nothing is left where the guardian is killed with it.
"""

import asyncio
import errno
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

_GUARDIAN = """
groups=
while read -r change group; do
  others=
  for g in $groups; do [ "$g" = "$group" ] || others="$others $g"; done
  groups=$others
  [ "$change" = - ] || groups="$groups $group"
done
for g in $groups; do kill -9 "-$g" 2>/dev/null; done
"""
# TEST_RUN: by it a test run finds the processes that it has left.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "TEST_RUN")
_PIPE_DRAIN_S = 0.5


def inherited_environment() -> dict[str, str]:
    """Return those of our variables that a function, or the keys' database, starts with."""
    return {name: os.environ[name] for name in _INHERITED if name in os.environ}


@cache
def ending_with_parent(number: signal.Signals = signal.SIGKILL) -> tuple[str, ...]:
    """Return what stands before a command so that the kernel ends it with its parent, () where it cannot.

    The signal comes when the thread ends that started the command; it is lost where the command changes its
    user.
    Source: setpriv(1), --pdeathsig; PR_SET_PDEATHSIG(2const); read 2026-11-26.
    """
    program = shutil.which("setpriv")
    if not program:
        return ()
    prefix = (program, "--pdeathsig", number.name.removeprefix("SIG"), "--")
    known = subprocess.run((*prefix, "true"), capture_output=True, check=False).returncode == 0
    return prefix if known else ()


class Guardian:
    """Kills the children if this process dies without having done so."""

    def __enter__(self) -> Self:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _GUARDIAN], stdin=subprocess.PIPE, bufsize=0, start_new_session=True
        )
        return self

    def watch(self, group: int) -> None:
        self._write(f"+ {group}\n")

    def forget(self, group: int) -> None:
        self._write(f"- {group}\n")

    def _write(self, line: str) -> None:
        assert self._shell.stdin
        with suppress(BrokenPipeError):
            self._shell.stdin.write(line.encode())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shell.communicate()


class _ChildProtocol(asyncio.SubprocessProtocol):
    """Passes on what a child prints, line by line however long; `exited` and `silent` are its two ends."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = b""
        self.exited = asyncio.Event()
        self.silent = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:  # noqa: ARG002
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._on_line(line.decode(errors="replace"))

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:  # noqa: ARG002
        if self._rest:
            self._on_line(self._rest.decode(errors="replace"))
        self.silent.set()

    def process_exited(self) -> None:
        self.exited.set()


class Child:
    """A child process, its group, and what it prints."""

    def __init__(
        self, transport: asyncio.SubprocessTransport, protocol: _ChildProtocol, guardian: Guardian
    ) -> None:
        self._transport, self._protocol, self._guardian = transport, protocol, guardian
        self.pid = transport.get_pid()
        self._alive = True
        guardian.watch(self.pid)

    @classmethod
    async def start(
        cls,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
        guardian: Guardian,
        on_line: Callable[[str], None],
        errors: TextIO | int = subprocess.STDOUT,
        inherited: Sequence[int] = (),
    ) -> Self:
        """Start a command in a group of its own; `on_line` gets each line that it prints.

        Shape:  `inherited` are the file descriptors that it keeps open.
        Raises: OSError, where it cannot be started.
        """
        if not shutil.which(command[0], path=environment.get("PATH")):
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), command[0])
        # Not asyncio's Process: until Python 3.13 its wait() lasts until no process holds the output open.
        transport, protocol = await asyncio.get_running_loop().subprocess_exec(
            lambda: _ChildProtocol(on_line),
            *ending_with_parent(),
            *command,
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            pass_fds=inherited,
        )
        return cls(transport, protocol, guardian)

    async def wait(self) -> str:
        """Wait for the end; return how it ended. No process of its group is left."""
        await self._protocol.exited.wait()
        self.kill()
        self._guardian.forget(self.pid)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._protocol.silent.wait(), _PIPE_DRAIN_S)
        self._transport.close()
        status = self._transport.get_returncode() or 0
        return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"

    def interrupt(self) -> None:
        """Interrupt the child, as Ctrl-C does."""
        if self._alive:
            with suppress(ProcessLookupError):
                self._transport.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill the whole group, once."""
        if self._alive:
            self._alive = False
            with suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)


async def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    guardian: Guardian,
    inherited: Sequence[int] = (),
) -> tuple[bool, list[str]]:
    """Run a command to its end; a cancellation kills it. Return whether it succeeded, and what it printed."""
    lines: list[str] = []
    child = await Child.start(
        command,
        environment=environment,
        directory=directory,
        guardian=guardian,
        on_line=lines.append,
        inherited=inherited,
    )
    try:
        return await child.wait() == "exit status 0", lines
    finally:
        child.kill()
        await child.wait()


async def until_ready(ready: asyncio.Event, ending: asyncio.Task[str], within_s: float) -> bool:
    """Wait until a child is ready, has ended, or has taken too long; return whether it is ready."""
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({waiting, ending}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return ready.is_set()
