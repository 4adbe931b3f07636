"""Tables on terminals of any width and encoding: nothing is lost, nothing controls the terminal."""

import io
import re
import sys

import pytest
from rich.cells import cell_len

from functions.keys import key_views
from functions.keys.characters import visible
from functions.keys.tables import Details, Rows, render
from tests.unit.keys.store import NOW, a_key

LONG = a_key(
    name="n" * 64,
    models=frozenset({"a-model-with-a-long-name", "another"}),
    expires_at=int(NOW) + 1,
    requests_per_minute=10**15 - 1,
    tokens_per_minute=10**15 - 1,
    budget_tokens=10**15 - 1,
)
NAMES = ("alice", "Zoë 日本 🦆", "n" * 64, "[bold]:duck: 日本[/bold]", "with several words", "日" * 64)


class Stdout(io.TextIOWrapper):
    """A stdout of some encoding."""

    def __init__(self, encoding: str, *, terminal: bool) -> None:
        super().__init__(io.BytesIO(), encoding=encoding)
        self._terminal = terminal

    def isatty(self) -> bool:
        return self._terminal


def terminal(monkeypatch: pytest.MonkeyPatch, columns: int, encoding: str = "utf-8") -> None:
    """Have stdout be a terminal without colours."""
    monkeypatch.setattr(sys, "stdout", Stdout(encoding, terminal=True))
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("TERM", "dumb")


WIDTHS = pytest.mark.parametrize("width", [40, 60, 80, 100, 180])


@WIDTHS
@pytest.mark.parametrize("name", NAMES, ids=range(len(NAMES)))
def test_at_any_width_nothing_overflows_and_nothing_is_lost(
    monkeypatch: pytest.MonkeyPatch, width: int, name: str
) -> None:
    terminal(monkeypatch, width)
    keys = [a_key(name=name), a_key(2), LONG]
    text = render(key_views.keys_table(keys, {}, NOW))
    assert max(map(cell_len, text.splitlines())) <= width
    for key in keys:
        assert key.id in text, "ids stay whole"
    pressed = re.sub(r"\s", "", text)
    for whole in ("n" * 64, "a-model-with-a-long-name", "999,999,999,999,999"):
        assert whole in pressed if width < 180 else whole[:8] in pressed
    assert "…" not in text.replace(LONG.hint, "")


def test_on_a_narrow_terminal_each_row_is_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal(monkeypatch, 40)
    rows = Rows(
        ("ID", "NAME", "RPM", "TPM", "MODELS"),
        [
            ("key_0000000000000001", "alice", 60, 20_000, "a-long-name, another-long-name, a-third"),
            ("key_0000000000000002", "Bob the Builder", 5, None, "all"),
            ("key_0000000000000003", "zoe", None, None, None),
        ],
        folding=("NAME", "MODELS"),
        heading=2,
    )
    assert (
        render(rows)
        == """\
key_0000000000000001  alice
  RPM 60  TPM 20,000
  MODELS a-long-name, another-long-name,
  a-third
key_0000000000000002  Bob the Builder
  RPM 5  MODELS all
key_0000000000000003  zoe"""
    )


def test_ids_stay_whole_and_columns_move_together_before_rows_become_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rows = Rows(("KEY", "OK", "CUT"), [(f"alice in a team {LONG.id}", 1, 2)], folding=("KEY",))
    shown = {}
    for width in (50, 31, 28, 26):
        terminal(monkeypatch, width)
        shown[width] = render(rows).splitlines()
    assert shown == {
        50: [
            "KEY                                   OK  CUT",
            "alice in a team key_0000000000000001   1    2",
        ],
        31: ["KEY                     OK  CUT", "alice in a team          1    2", LONG.id],
        28: ["KEY                   OK CUT", "alice in a team        1   2", LONG.id],
        26: ["alice in a team", LONG.id, "  OK 1  CUT 2"],
    }


def test_in_a_pipe_each_row_is_a_line_of_all_columns() -> None:
    rows = Rows(("NAME", "RPM", "NOTE"), [("n" * 200, None, None), ("b", 5000, None)], sparse=("NOTE",))
    assert [line.split() for line in render(rows).splitlines()] == [
        ["NAME", "RPM", "NOTE"],
        ["n" * 200, "-", "-"],
        ["b", "5,000", "-"],
    ]


@WIDTHS
def test_on_a_terminal_columns_that_are_empty_are_left_out(
    monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    terminal(monkeypatch, width)
    rows = Rows(("NAME", "RPM", "NOTE"), [("a", None, None), ("b", 5, None)], sparse=("RPM", "NOTE"))
    assert render(rows).splitlines()[0].split() == ["NAME", "RPM"]


@WIDTHS
def test_long_details_are_folded_beside_their_name(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    terminal(monkeypatch, width)
    names = ", ".join(f"a-model-of-this-name-{number}" for number in range(10))
    lines = render(Details({"id": "key_0", "models": names, "created": "now"})).splitlines()
    assert lines[2].startswith(" " * 9 + "a-model")
    assert all(len(line) <= width for line in lines)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_no_name_controls_a_terminal(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    """Names are checked when they are typed, but a table may hold others."""
    terminal(monkeypatch, 60, encoding)
    name = "a\x1b[31m\x07\r\n\u202e\u2066\u200b\x9b\ud800z"
    assert visible(name) == "a\\x1b[31m\\x07\\r\n\\u202e\\u2066\\u200b\\x9b\\ud800z"
    text = render(key_views.keys_table([a_key(name=name)], {}, NOW))
    assert all(each.isprintable() or each == "\n" for each in text)


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", "Zoë 日本 sk-…Ab3d"),
        ("ascii", r"Zo\xeb \u65e5\u672c sk-...Ab3d"),
        ("latin-1", r"Zoë \u65e5\u672c sk-...Ab3d"),
        ("cp1252", r"Zoë \u65e5\u672c sk-...Ab3d"),
    ],
)
def test_what_an_encoding_lacks_is_written_readably(
    monkeypatch: pytest.MonkeyPatch, encoding: str, shown: str
) -> None:
    monkeypatch.setattr(sys, "stdout", Stdout(encoding, terminal=False))
    assert visible("Zoë 日本 sk-…Ab3d") == shown
    lines = render(Rows(("NAME", "RPM"), [("Zoë 日本 sk-…Ab3d", 1), ("b", 2)])).splitlines()
    assert lines[1] == f"{shown}    1"
    assert len({cell_len(line) for line in lines}) == 1, "the columns are aligned"
