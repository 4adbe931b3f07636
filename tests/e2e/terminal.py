"""A program in a terminal of its own: what is typed reaches it as from a keyboard, Ctrl-C as the signal."""

import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from infra.paths import ROOT

CTRL_C, CTRL_D = "\x03", "\x04"
# Makes the pseudo-terminal the controlling one, from which signals come.
_IN_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """The terminal's side of a program."""

    def __init__(self, process: "subprocess.Popen[bytes]", side: int) -> None:
        self._process, self._side = process, side
        self._unread = ""

    def type(self, text: str) -> None:
        """Press these keys."""
        os.write(self._side, text.encode())

    def wait_for(self, text: str, timeout_s: float = 20) -> str:
        """Wait until a text is shown that was not waited for before; return all up to it."""
        until_s = time.monotonic() + timeout_s
        while text not in self._unread:
            left_s = max(0, until_s - time.monotonic())
            assert select.select([self._side], [], [], left_s)[0], (
                f"expected {text!r}, but got {self._unread!r}"
            )
            self._unread += self._read()
        shown, self._unread = (
            self._unread[: (end := self._unread.index(text) + len(text))],
            self._unread[end:],
        )
        return shown

    def wait_for_end(self) -> None:
        """Wait until the program ends."""
        self._process.wait(10)

    def _read(self) -> str:
        try:
            return os.read(self._side, 65536).decode(errors="replace")
        except OSError:
            raise AssertionError(f"the program has ended; it showed {self._unread!r}") from None


@contextmanager
def terminal(*command: str, **variables: str) -> Iterator[Terminal]:
    """Run a program in a terminal for as long as the context lasts."""
    side, program = os.openpty()
    process = subprocess.Popen(
        (sys.executable, "-c", _IN_TERMINAL, *command),
        cwd=ROOT,
        env={**os.environ, "TERM": "xterm", **variables},
        stdin=program,
        stdout=program,
        stderr=program,
        start_new_session=True,
    )
    os.close(program)
    try:
        yield Terminal(process, side)
    finally:
        process.kill()
        process.wait()
        os.close(side)
