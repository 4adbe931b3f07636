"""How a key's new text reaches the one who runs the command: no text is lost before another is delivered.

A text is printed once and stored nowhere, so a change that took the old one away first could leave no text at
all. Therefore, in this order:

1. stdout is tried, before anything is changed: it is open for writing, not full, and someone reads it.
2. Ctrl-C, SIGTERM and SIGHUP are held until the command ends.
3. The new text is stored. A rotated key's old text stays accepted, without an end.
4. The new text is printed, flushed and, from a pipe, read.
5. Only then the old text gets its end: now, or after the grace period.

If 4 fails, a new key is deleted again, and a rotated one gets its old text back. If 5 fails, both texts are
accepted. What holds is reported on stderr, with the command that completes it, and the exit status is not 0.
SIGKILL, or a loss of power, after 3 leaves a new key that can be rotated or deleted, or a rotated one whose
old text is accepted; after 4, `rotate ID --finish` ends the old text.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import Any

# The exit status of a command whose reader has gone, as after `| head`.
BROKEN_PIPE = 141
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
_WAITING = b"\nWaiting until the new key is printed, for it would be lost.\n"
# More than anything that is printed with a key.
_ENOUGH_BYTES = 65536
# How long a pipe's reader is waited for.
_READ_WITHIN_S = 10.0
_PAUSE_S = 0.005


@dataclass(frozen=True)
class NewText:
    """A key's new text that is being delivered.

    Shape:  `finish`: to be called once it is printed; returns what else to print for people. `lost`: to be
            called if it was not; returns what holds now and what to do. `unread`: the same, for a text that
            was written, but whose reader has gone since.
    Raises: KeysUnavailable, `finish` alone.
    """

    finish: Callable[[], str]
    lost: Callable[[], str]
    unread: Callable[[], str]


class StdoutUnusable(Exception):
    """Nothing was changed, for stdout would not have taken the new text."""

    def __init__(self, error: OSError) -> None:
        super().__init__(
            f"Nothing was changed: the new key could not be printed ({error.strerror}). Free some space, or"
            " print it elsewhere."
        )
        self.status = BROKEN_PIPE if error.errno == errno.EPIPE else 1


class HeldSignals:
    """The signals that end a command: while they are held, they are only noted."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._noted = False

    def hold(self) -> None:
        """Hold them from now on."""
        for name in _SIGNALS:
            number = getattr(signal, name, None)  # Windows has no SIGHUP
            if number is not None and number not in self._before:
                self._before[number] = signal.signal(number, self._note)

    def release(self) -> None:
        """Let them act as before. Those that came are over: the command has done what it had to."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before.clear()

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        first, self._noted = not self._noted, True
        if first and sys.stderr and sys.stderr.isatty():
            with suppress(OSError):
                os.write(sys.stderr.fileno(), _WAITING)  # print may be at work already


def check_stdout() -> None:
    """Make sure that stdout takes a text, as far as that can be known without writing one.

    Raises: StdoutUnusable.
    """
    descriptor = _descriptor()
    if descriptor is None:
        return
    try:
        os.write(descriptor, b"")  # of a full device, or one that is open for reading alone
        if _gone(descriptor):
            raise OSError(errno.EPIPE, os.strerror(errno.EPIPE))
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            disk = os.fstatvfs(descriptor)
            if disk.f_blocks and disk.f_bavail * disk.f_frsize < _ENOUGH_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError as error:
        raise StdoutUnusable(error) from None


def arrived() -> bool:
    """Return whether what was written to stdout has arrived, as far as that can be known."""
    descriptor = _descriptor()
    if descriptor is None:
        return True
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return not _gone(descriptor)
    until_s = time.monotonic() + _READ_WITHIN_S
    while _unread_bytes(descriptor) and not _gone(descriptor) and time.monotonic() < until_s:
        time.sleep(_PAUSE_S)
    return not _unread_bytes(descriptor)  # a reader may have read it just before it went


def _descriptor() -> int | None:
    """Return stdout's descriptor; None where it cannot be examined: it is no file, or of Windows."""
    try:
        return sys.stdout.fileno() if hasattr(select, "poll") else None
    except (OSError, ValueError):
        return None


def _gone(descriptor: int) -> bool:
    """Return whether the reader of a pipe has gone, or a terminal was closed."""
    poll = select.poll()
    poll.register(descriptor, 0)
    return bool(poll.poll(0))


def _unread_bytes(descriptor: int) -> int:
    """Return how much of a pipe has not been read yet."""
    import fcntl
    import termios

    unread = fcntl.ioctl(descriptor, termios.FIONREAD, b"\0" * 4)
    return int.from_bytes(unread, sys.byteorder)
