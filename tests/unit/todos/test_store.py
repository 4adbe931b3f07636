"""The part of the store that needs no database; `tests/integration/todos` tests the others."""

import pytest

from functions.todos.store import escape_wildcards


@pytest.mark.parametrize(
    ("text", "pattern"),
    [
        ("", ""),
        ("plain é 😀 '\"", "plain é 😀 '\""),
        ("100%", "100\\%"),
        ("a_b", "a\\_b"),
        ("a\\b", "a\\\\b"),
        ("\\%_\\\\", "\\\\\\%\\_\\\\\\\\"),
    ],
)
def test_wildcards_are_escaped(text: str, pattern: str) -> None:
    assert escape_wildcards(text) == pattern
