"""Text tables and what they do with what does not fit."""

import pytest

from functions.keys.tables import WIDTH, Cell, pairs, table


def test_numbers_stand_to_the_right_and_texts_to_the_left() -> None:
    rows: list[tuple[Cell, ...]] = [("alice", 5, 1), ("bob", 12345678, None)]
    assert table(("NAME", "TOKENS", "N"), rows).split("\n") == [
        "NAME       TOKENS  N",
        "alice           5  1",
        "bob    12,345,678  -",
    ]


def test_no_row_is_a_head() -> None:
    assert table(("NAME", "TOKENS"), []) == "NAME  TOKENS"


def test_no_line_ends_in_blanks() -> None:
    assert table(("A", "B"), [("x", "y"), ("x", "long")]).split("\n") == ["A  B", "x  y", "x  long"]


def test_the_widest_texts_lose_their_ends() -> None:
    lines = table(("A", "B", "C"), [("a" * 90, "b" * 20, 7)], ("A", "B")).split("\n")
    assert max(map(len, lines)) == WIDTH
    assert lines[1] == "a" * 74 + "…  " + "b" * 20 + "  7"


def test_what_may_not_be_cut_stays_whole() -> None:
    assert "a" * 120 in table(("A", "B"), [("a" * 120, "b" * 20)], ("B",))


@pytest.mark.parametrize(
    ("count", "short"),
    [
        (999999, "999,999"),
        (1000000, "1.00M"),
        (12345678, "12.3M"),
        (123456789, "123M"),
        (1234567890, "1.23G"),
        (10**15, "1000T"),
    ],
)
def test_long_numbers_lose_digits_where_the_line_is_full(count: int, short: str) -> None:
    columns = ("A", "N", "B")
    assert table(columns, [("a" * 90, count, "b")]).split("\n")[1] == "a" * 90 + f"  {short}  b"
    assert f"{count:,}" in table(columns, [("a", count, "b")])


def test_wide_and_combining_characters_are_counted_as_shown() -> None:
    assert table(("A", "B"), [("日本", "x"), ("e\u0301", "x"), ("abcd", "x")]).split("\n")[1:] == [
        "日本  x",
        "e\u0301     x",
        "abcd  x",
    ]
    cut = table(("A", "B"), [("日" * 60, "b")], ("A",)).split("\n")[1]
    assert cut == "日" * 48 + "…  b"


def test_pairs_fold_below_themselves() -> None:
    assert pairs([("id", "x"), ("models", "some words")]) == "id      x\nmodels  some words"
    folded = pairs([("models", ", ".join(["a-model-of-this-name"] * 10))]).split("\n")
    assert len(folded) == 3
    assert all(len(line) <= WIDTH for line in folded)
    assert all(line.startswith(" " * 8 + "a-model") for line in folded[1:])
