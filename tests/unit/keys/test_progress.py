"""How far a long command is, on stderr where it is a terminal."""

import io
import sys
import time

import pytest

from functions.keys import progress as module
from functions.keys.progress import progress


class Stderr(io.StringIO):
    """A stderr that is a terminal, or none."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__()
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def shown(monkeypatch: pytest.MonkeyPatch, *, terminal: bool, takes_s: float) -> str:
    """Return what stderr gets of work that takes so long, where 20 ms are a second."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(module, "_SHOWN_AFTER_S", 0.02)
    monkeypatch.setattr(sys, "stderr", stderr := Stderr(terminal=terminal))
    with progress("Reading keys", total=3) as count:
        count(2)
        time.sleep(takes_s)
    return stderr.getvalue()


def test_it_is_shown_after_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(monkeypatch, terminal=True, takes_s=0.2)
    assert "Reading keys" in text
    assert "2/3" in text
    assert text.endswith("\x1b[2K"), "the line is removed"


def test_nothing_is_shown_of_what_is_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, terminal=True, takes_s=0) == ""


def test_nothing_is_written_to_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    assert shown(monkeypatch, terminal=False, takes_s=0.05) == ""
