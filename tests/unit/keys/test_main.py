"""The exit status, and a new key's text: it is printed whole, or its loss is reported."""

import builtins
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from functions.keys.__main__ import main, run
from infra.bundling.python_recipes import function_recipe
from tests.unit.keys.store import MemoryStore, a_key, session_of

ROOT = Path(__file__).resolve().parents[3]


class Stdout(io.TextIOWrapper):
    """A stdout of some encoding."""

    def __init__(self, encoding: str, *, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, errors="replace")
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal

    @property
    def printed(self) -> str:
        buffer = self.buffer
        assert isinstance(buffer, io.BytesIO)
        return buffer.getvalue().decode(self.encoding)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("arguments", [["create", "--name", "Zoë 日本"], ["rotate", "Zoë 日本"]])
@pytest.mark.parametrize("columns", ["20", "80"])
def test_a_new_keys_text_is_printed_whole(
    monkeypatch: pytest.MonkeyPatch, encoding: str, terminal: bool, arguments: list[str], columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    for form in ([], ["--json"]):
        key = a_key(name="Zoë 日本")
        store = MemoryStore({key.id: key} if arguments[0] == "rotate" else {})
        monkeypatch.setattr(sys, "stdout", out := Stdout(encoding, terminal=terminal))
        assert run([*arguments, *form], session_of(store)) == 0
        (kept,) = store.keys.values()
        if form:
            data = json.loads(out.printed)
            assert data["name"] == "Zoë 日本"
            text = data["key"]
        else:
            (text,) = (line.strip() for line in out.printed.splitlines() if line.startswith("  sk-"))
        assert text.endswith(kept.hint[-4:])
        assert len(text) == 52


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1", "cp1252"])
def test_json_is_utf_8_whatever_the_encoding(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    key = a_key(name="Zoë 日本 🦆")
    monkeypatch.setattr(sys, "stdout", out := Stdout(encoding))
    assert run(["list", "--json"], session_of(MemoryStore({key.id: key}))) == 0
    assert '"name": "Zoë 日本 🦆"' in out.printed
    assert out.encoding == "utf-8"


def test_json_of_what_is_no_text_is_json_still(monkeypatch: pytest.MonkeyPatch) -> None:
    key = a_key(name="half \ud83e")
    monkeypatch.setattr(sys, "stdout", out := Stdout("latin-1"))
    assert run(["list", "--json"], session_of(MemoryStore({key.id: key}))) == 0
    assert json.loads(out.printed)[0]["name"] == "half \ud83e"


def test_warnings_end_with_status_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text('{"usage":{}}\n')
    assert run(["replay", str(log)], session_of(MemoryStore())) == 1
    assert capsys.readouterr().err == "line 1: Expected a usage record, but members are missing.\n"


@pytest.mark.parametrize("missing", ["click", "rich"])
def test_a_python_without_the_packages_is_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], missing: str
) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any) -> Any:
        if name.partition(".")[0] == missing:
            raise ModuleNotFoundError(name=missing)
        return real(name, *arguments)

    for name in [*sys.modules]:
        if name.startswith("functions.keys.") and name != "functions.keys.__main__":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(builtins, "__import__", without)
    assert main(["list"]) == 1
    assert (
        f"The package {missing} is not installed for this Python. Run make run once"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("stream", ["stdin", "stdout"])
def test_a_closed_stream_is_explained_before_anything_is_done(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], stream: str
) -> None:
    monkeypatch.setattr(sys, stream, None)
    assert main(["create", "--name", "alice"]) == 1
    assert capsys.readouterr().err.startswith("Expected standard input and output to be open, but one is")


@pytest.mark.parametrize("function", ["chat", "todos"])
def test_no_bundle_holds_the_command_or_its_packages(function: str) -> None:
    sources = function_recipe(function, python="3.13").sources
    assert sources
    assert not [path for path in sources if path.is_relative_to(ROOT / "functions/keys")]
    pinned = (ROOT / f"requirements/{function}.txt").read_text()
    # Prisma's client declares click, which it needs for a command line of its own.
    users = re.findall(r"^(?:click|rich)==(?:.|\n)*?# via(.*(?:\n    #   .*)*)", pinned, re.MULTILINE)
    assert [name for text in users for name in text.replace("#", " ").split()] == (
        ["prisma"] if function == "todos" else []
    )


def test_help_on_a_full_disk_is_no_traceback() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("only Linux has a disk that is always full")
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            (sys.executable, "-m", "functions.keys", "--help"),
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith("Cannot print the result: No space left on device.")
