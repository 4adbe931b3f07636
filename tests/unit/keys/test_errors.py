"""No message repeats a key."""

import pytest

from functions.keys.errors import redacted
from functions.shared.key_text import hint

KEY = f"sk-{'Ab3' * 16}x"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"no {KEY} here", "no sk-… here"),
        (f"no '{KEY}' here", "no 'sk-…' here"),
        (f"--rpm={KEY}", "--rpm=sk-…"),
        (f"{KEY}\n{KEY}", "sk-…\nsk-…"),
        (f"{hint(KEY)}  alice", f"{hint(KEY)}  alice"),
    ],
)
def test_keys_are_left_out_and_hints_stay(text: str, shown: str) -> None:
    assert redacted(text) == shown
