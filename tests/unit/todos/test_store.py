"""What the store does without a database. The rest is in `tests/integration/todos`."""

import pytest

from functions.todos.store import _literally


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
def test_what_like_takes_for_a_wildcard_is_escaped(text: str, pattern: str) -> None:
    assert _literally(text) == pattern
