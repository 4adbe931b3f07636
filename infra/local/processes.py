"""Child processes that cannot outlive us.

Each child leads a process group of its own; the group is killed as one. Where this process itself is killed
and can do nothing more, the guardian does it: a small shell that reads our list of groups from a pipe,
and whose pipe ends when we do.
"""

import asyncio
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
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
_PASSED_ON = ("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR")
_PIPE_DRAIN_S = 0.5


def passed_on() -> dict[str, str]:
    """Return what of our environment a process of the deployment starts with."""
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ}


class Guardian:
    """Kills the children if we die without doing so."""

    def __enter__(self) -> Self:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", _GUARDIAN], stdin=subprocess.PIPE, bufsize=0, start_new_session=True
        )
        return self

    def watch(self, group: int) -> None:
        self._tell(f"+ {group}\n")

    def forget(self, group: int) -> None:
        self._tell(f"- {group}\n")

    def _tell(self, line: str) -> None:
        assert self._shell.stdin
        with suppress(BrokenPipeError):
            self._shell.stdin.write(line.encode())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._shell.communicate()


class _Watch(asyncio.SubprocessProtocol):
    """Passes on what a child prints, line by line however long, and tells its end and that of its output."""

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

    def __init__(self, transport: asyncio.SubprocessTransport, watch: _Watch, guardian: Guardian) -> None:
        self._transport, self._watch, self._guardian = transport, watch, guardian
        self._pid = transport.get_pid()
        self._alive = True
        guardian.watch(self._pid)

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

        Shape:  `inherited` are the descriptors of ours that it keeps open.
        """
        # Not asyncio's Process: until Python 3.13 its wait() lasts as long as anybody holds the output open.
        transport, watch = await asyncio.get_running_loop().subprocess_exec(
            lambda: _Watch(on_line),
            *command,
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            pass_fds=inherited,
        )
        return cls(transport, watch, guardian)

    async def wait(self) -> str:
        """Wait for the end; return how it ended. Of its group nobody is left."""
        await self._watch.exited.wait()
        self.kill()
        self._guardian.forget(self._pid)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._watch.silent.wait(), _PIPE_DRAIN_S)
        self._transport.close()
        status = self._transport.get_returncode() or 0
        return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"

    def interrupt(self) -> None:
        """Ask the child itself to end, as Ctrl-C does."""
        if self._alive:
            with suppress(ProcessLookupError):
                self._transport.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """Kill the whole group, once."""
        if self._alive:
            self._alive = False
            with suppress(ProcessLookupError):
                os.killpg(self._pid, signal.SIGKILL)


async def run(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    directory: Path,
    guardian: Guardian,
    inherited: Sequence[int] = (),
) -> tuple[bool, list[str]]:
    """Run a command to its end, which a cancellation brings at once.

    Shape:  whether it succeeded, and the lines that it printed.
    """
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
    """Wait until a child is ready, or has ended, or it has taken too long; return whether it is."""
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({waiting, ending}, timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    return ready.is_set()
