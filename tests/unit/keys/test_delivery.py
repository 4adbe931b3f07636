"""No text of a key is lost, whatever happens to the terminal, to the table or to the command.

What holds after each fault: a text that was delivered whole is accepted, or none was lost: the old one is
accepted still, the new key is gone, or stderr says what is.
"""

import io
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from functions.keys.__main__ import main, run
from functions.keys.history import Change
from functions.keys.session import PROGRAM, Session
from functions.keys.stored_keys import ChangeUnknown
from functions.shared.key_text import digest
from functions.shared.keys import Key, KeysUnavailable
from tests.unit.keys.store import MemoryStore, a_key, session_of

COMMANDS = {
    "create": ("create", "--name", "alice"),
    "create --json": ("create", "--name", "alice", "--json"),
    "rotate": ("rotate", "alice"),
    "rotate --json": ("rotate", "alice", "--json"),
    "rotate --grace": ("rotate", "alice", "--grace", "24h"),
    "rotate --grace --json": ("rotate", "alice", "--grace", "24h", "--json"),
}
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
OLD = a_key()


class Ended(BaseException):
    """What a signal does to a process that does not hold it, or SIGKILL to any."""


@dataclass
class Moments:
    """The moments before and after each call of the table and each write; `at` one, `fault` happens."""

    at: int = -1
    fault: Callable[[], None] = lambda: None
    passed: int = 0

    def __call__(self) -> None:
        self.passed += 1
        if self.passed - 1 == self.at:
            self.fault()


class WatchedStdout(io.TextIOWrapper):
    """A stdout whose writes are such moments."""

    def __init__(self, moments: Moments) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")
        self._moments = moments

    def write(self, text: str) -> int:
        self._moments()
        written = super().write(text)
        self._moments()
        return written

    def flush(self) -> None:
        self._moments()
        super().flush()
        self._moments()

    @property
    def delivered(self) -> str:
        """What has reached the other side."""
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue().decode()


@dataclass
class WatchedStore(MemoryStore):
    """A table whose calls are such moments."""

    moments: Moments = field(default_factory=Moments)

    def __getattribute__(self, name: str) -> Any:
        value = super().__getattribute__(name)
        if name not in ("find", "listed", "add", "rotate", "end_replaced", "take_back", "delete", "change"):
            return value

        def call(*arguments: Any) -> Any:
            self.moments()
            result = value(*arguments)
            self.moments()
            return result

        return call


@dataclass
class Outcome:
    """What a command leaves."""

    status: int | None
    texts: list[str]
    accepted: set[str]
    stderr: str
    moments: int


def outcome(
    command: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    at: int = -1,
    fault: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run a command with a fault at one moment."""
    moments = Moments(at, fault)
    store = WatchedStore({OLD.id: OLD} if command.startswith("rotate") else {}, moments=moments)
    status = None
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", stdout := WatchedStdout(moments))
        with suppress(Ended, KeyboardInterrupt, OSError):
            status = run(COMMANDS[command], session_of(store))
    return Outcome(
        status,
        re.findall(r"sk-\w{49}", stdout.delivered),
        {key.digest for key in store.keys.values() if key.deleted_at is None}
        | {each.digest for texts in store.texts.values() for each in texts},
        capsys.readouterr().err,
        moments.passed,
    )


@contextmanager
def ending(*signals: signal.Signals) -> Iterator[None]:
    """Have signals that are not held end what runs, but for the tests."""

    def end(*_: object) -> None:
        raise Ended

    before = {each: signal.signal(each, end) for each in signals}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def check(left: Outcome, command: str, *, killed: bool = False) -> None:
    """Check that a command has lost no text."""
    for text in left.texts:
        assert digest(text) in left.accepted, "a text that was delivered is accepted"
    if command.startswith("rotate"):
        assert left.texts or OLD.digest in left.accepted, "the old text is accepted until there is another"
    elif not killed and left.accepted and not left.texts:
        assert re.search(r"rotate key_\w+ gives the key another text", left.stderr), left.stderr
    if left.status == 0:
        assert left.texts


@pytest.mark.parametrize("number", SIGNALS, ids=lambda each: each.name)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_signal_loses_a_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, number: signal.Signals
) -> None:
    total = outcome(command, monkeypatch, capsys).moments
    assert total > 4
    finished = 0
    with ending(number):
        for at in range(total):
            left = outcome(command, monkeypatch, capsys, at, lambda: os.kill(os.getpid(), number))
            check(left, command)
            finished += left.status == 0
            assert left.status == 0 or not left.texts, "once it is printed, the command ends well"
    assert finished >= total - 4, "but for the moments before anything is changed"


@pytest.mark.parametrize("command", COMMANDS)
def test_no_sudden_end_loses_a_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    def kill() -> None:
        raise Ended

    total = outcome(command, monkeypatch, capsys).moments
    for at in range(total):
        check(outcome(command, monkeypatch, capsys, at, kill), command, killed=True)


@pytest.mark.parametrize("error", [KeysUnavailable("ReadTimeoutError"), ChangeUnknown("ReadTimeoutError")])
@pytest.mark.parametrize("command", COMMANDS)
def test_no_failure_of_the_table_loses_a_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, error: Exception
) -> None:
    def fail() -> None:
        if sys._getframe(2).f_code.co_name == "call":
            raise error

    total = outcome(command, monkeypatch, capsys).moments
    for at in range(total):
        left = outcome(command, monkeypatch, capsys, at, fail)
        check(left, command)
        if left.status and left.texts:
            assert re.search(r"The new text is accepted\. .* --finish", left.stderr)


@pytest.mark.parametrize(
    "error", [BrokenPipeError(32, "Broken pipe"), OSError(28, "No space left on device")]
)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_failure_of_stdout_loses_a_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str, error: OSError
) -> None:
    def fail() -> None:
        if sys._getframe(2).f_code.co_name in ("write", "flush"):
            raise error

    total = outcome(command, monkeypatch, capsys).moments
    failed = 0
    for at in range(total):
        left = outcome(command, monkeypatch, capsys, at, fail)
        if not left.status and not left.texts:
            failed += 1
            assert f"The new key could not be printed: {error.strerror}. " in left.stderr
            if command.startswith("rotate"):
                assert left.accepted == {OLD.digest}
                assert f"{OLD.id} has its text from before again. Try again: {PROGRAM} rotate " in left.stderr
            else:
                assert not left.accepted
                assert re.search(r" key_\w{16} was removed again\.\n", left.stderr)
    assert failed


# what a process meets


def session(store: MemoryStore) -> Callable[..., Session]:
    return lambda now, _: session_of(store, now)


@dataclass
class Left:
    """What `main` leaves."""

    status: int
    stderr: str
    store: MemoryStore


def ran(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    descriptor: int,
    *command: str,
    key: Key | None = None,
    store: MemoryStore | None = None,
) -> Left:
    """Run a command with this file as stdout."""
    store = store or MemoryStore({key.id: key} if key else {})
    monkeypatch.setattr("functions.keys.session.Session", session(store))
    with monkeypatch.context() as patch, open(descriptor, "w") as stdout:
        patch.setattr(sys, "stdout", stdout)
        status = main(command)
    return Left(status, capsys.readouterr().err, store)


def a_pipe_without_a_reader() -> int:
    reader, writer = os.pipe()
    os.close(reader)
    return writer


def a_closed_terminal() -> int:
    side, program = os.openpty()
    os.close(side)
    return program


@pytest.mark.parametrize(
    "command", [("create", "--name", "alice"), ("rotate", "alice")], ids=lambda each: each[0]
)
@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize(
    ("stdout", "status", "reason"),
    [
        (lambda: os.open("/dev/full", os.O_WRONLY), 1, "No space left on device"),
        (lambda: os.open("/dev/null", os.O_RDONLY), 1, "Bad file descriptor"),
        (a_pipe_without_a_reader, 141, "Broken pipe"),
        (a_closed_terminal, 1, "Input/output error"),
    ],
    ids=["full", "read-only", "pipe", "terminal"],
)
def test_nothing_is_changed_where_stdout_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    form: tuple[str, ...],
    stdout: Callable[[], int],
    status: int,
    reason: str,
) -> None:
    key = OLD if command[0] == "rotate" else None
    left = ran(monkeypatch, capsys, stdout(), *command, *form, key=key)
    assert left.status == status
    assert left.stderr == (
        f"Nothing was changed: the new key could not be printed ({reason}). Free some space, or print it"
        " elsewhere.\n"
    )
    assert left.store.keys == ({OLD.id: OLD} if key else {})
    assert not left.store.changes


def test_nothing_is_changed_where_a_disk_is_almost_full(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    almost = os.statvfs_result((4096, 4096, 1000, 1, 1, 1, 1, 1, 0, 255))
    monkeypatch.setattr(os, "fstatvfs", lambda _: almost)
    descriptor = os.open(tmp_path / "key", os.O_WRONLY | os.O_CREAT)
    left = ran(monkeypatch, capsys, descriptor, "create", "--name", "alice")
    assert (left.status, left.store.keys) == (1, {})
    assert "(No space left on device)" in left.stderr


@dataclass
class LeftBehind(MemoryStore):
    """A table during whose first change the other side of stdout goes."""

    other_side: int = -1

    def add(self, key: Key, change: Change | None = None) -> None:
        self._go()
        super().add(key, change)

    def rotate(self, key_id: str, digest: str, hint: str, change: Change) -> Key | None:
        self._go()
        return super().rotate(key_id, digest, hint, change)

    def _go(self) -> None:
        os.close(self.other_side)
        os.kill(os.getpid(), signal.SIGHUP)  # as the kernel does for a terminal


@pytest.mark.parametrize("form", [(), ("--json",)], ids=["text", "json"])
@pytest.mark.parametrize("command", [("create", "--name", "alice"), ("rotate", "alice")], ids=str)
@pytest.mark.parametrize(
    ("sides", "status", "reason"),
    [(os.pipe, 141, "Broken pipe"), (os.openpty, 1, "Input/output error")],
    ids=["pipe", "terminal"],
)
def test_stdout_is_lost_while_the_table_is_changed(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    sides: Callable[[], tuple[int, int]],
    status: int,
    reason: str,
    command: tuple[str, ...],
    form: tuple[str, ...],
) -> None:
    other_side, stdout = sides()
    store = LeftBehind({OLD.id: OLD} if command[0] == "rotate" else {}, other_side=other_side)
    left = ran(monkeypatch, capsys, stdout, *command, *form, store=store)
    assert left.status == status
    assert left.stderr.startswith(f"The new key could not be printed: {reason}. ")
    (key,) = store.keys.values()
    if command[0] == "rotate":
        assert (key.digest, store.texts[OLD.id]) == (OLD.digest, [])
        assert f" has its text from before again. Try again: {PROGRAM} rotate {OLD.id}\n" in left.stderr
    else:
        assert key.deleted_at is not None
        assert f"{key.id} was removed again.\n" in left.stderr


def test_a_pipe_that_is_left_unread_is_reported(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its reader goes after the text was written, without having read it."""
    reader, writer = os.pipe()
    monkeypatch.setattr("functions.keys.delivery.time.sleep", lambda _: os.close(reader))
    left = ran(monkeypatch, capsys, writer, "rotate", "alice", key=OLD)
    assert left.status == 1
    assert left.stderr == (
        "The new key was printed, but may have reached no one. The text before is still accepted. Try again:"
        f" python -m functions.keys rotate {OLD.id}\n"
    )
    assert [each.digest for each in left.store.texts[OLD.id]] == [OLD.digest]


def test_a_reader_that_goes_with_the_text_has_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    read = []

    def read_and_leave(_: float) -> None:
        read.append(os.read(reader, 4096).decode())
        os.close(reader)

    monkeypatch.setattr("functions.keys.delivery.time.sleep", read_and_leave)
    left = ran(monkeypatch, capsys, writer, "rotate", "alice", "--json", key=OLD)
    assert (left.status, left.stderr) == (0, "")
    assert digest(re.findall(r"sk-\w{49}", read[0])[0]) == left.store.keys[OLD.id].digest
    assert left.store.texts[OLD.id] == []


def test_a_reader_that_does_not_read_has_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr("functions.keys.delivery._READ_WITHIN_S", 0.02)
    left = ran(monkeypatch, capsys, writer, "create", "--name", "alice", "--json")
    (key_id,) = left.store.keys
    assert left.status == 1
    assert left.stderr == (
        f"The new key was printed, but may have reached no one. If it is lost: {PROGRAM} rotate {key_id}"
        f" gives the key another text, {PROGRAM} delete {key_id} removes it.\n"
    )
    os.close(reader)


def test_a_closed_stderr_is_no_stdout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Python prints to stdout what should go to a stderr that is closed."""
    monkeypatch.setattr(sys, "stderr", None)
    with open(tmp_path / "out", "w") as stdout:
        monkeypatch.setattr(sys, "stdout", stdout)
        assert main(["create"]) == 2
        assert sys.stderr
        sys.stderr.close()
    assert (tmp_path / "out").read_text() == ""


def test_a_terminal_shows_once_why_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    side, program = os.openpty()
    with open(program, "w") as stderr, monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", stderr)
        one = session_of(MemoryStore())
        one.held_signals.hold()
        for _ in range(3):
            os.kill(os.getpid(), signal.SIGINT)
        one.held_signals.release()
        assert os.read(side, 1000) == b"\r\nWaiting until the new key is printed, for it would be lost.\r\n"
    os.close(side)
