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
_PIPE_DRAIN_S = 0.5


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


class Child:
    """A child process, its group, and what it prints."""

    def __init__(
        self, process: asyncio.subprocess.Process, guardian: Guardian, on_line: Callable[[str], None]
    ) -> None:
        self._process = process
        self._guardian = guardian
        self._output = asyncio.create_task(_read_lines(process.stdout, on_line))
        self._alive = True
        guardian.watch(process.pid)

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
    ) -> Self:
        """Start a command in a group of its own; `on_line` gets each line that it prints."""
        process = await asyncio.create_subprocess_exec(
            *command,
            env=environment,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        return cls(process, guardian, on_line)

    async def wait(self) -> str:
        """Wait for the end; return how it ended. Of its group nobody is left."""
        status = await self._process.wait()
        self.kill()
        self._guardian.forget(self._process.pid)
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._output, _PIPE_DRAIN_S)
        return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"

    def kill(self) -> None:
        """Kill the whole group, once."""
        if self._alive:
            self._alive = False
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)


async def _read_lines(stream: asyncio.StreamReader | None, on_line: Callable[[str], None]) -> None:
    """Read to the end, line by line, however long a line is."""
    assert stream
    rest = b""
    while chunk := await stream.read(65536):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            on_line(line.decode(errors="replace"))
    if rest:
        on_line(rest.decode(errors="replace"))
