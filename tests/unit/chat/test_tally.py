"""The engine's count of tokens, and what is not one."""

from typing import Any

import pytest

from functions.chat.tally import Tally


def test_the_engines_count_is_taken() -> None:
    tally = Tally()
    tally.take({"prompt_tokens": 7, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 2}})
    assert (tally.prompt_tokens, tally.completion_tokens, tally.cached_tokens, tally.counted) == (
        7,
        3,
        2,
        True,
    )


@pytest.mark.parametrize(
    "usage",
    [
        None,
        [],
        "7",
        {},
        {"prompt_tokens": None},
        {"prompt_tokens": -1},
        {"prompt_tokens": True},
        {"prompt_tokens": 1.5},
    ],
)
def test_what_is_no_count_changes_nothing(usage: Any) -> None:
    tally = Tally()
    tally.take(usage)
    assert tally == Tally()


@pytest.mark.parametrize("details", [None, [], {}, {"cached_tokens": None}, {"cached_tokens": "2"}])
def test_details_may_be_missing(details: Any) -> None:
    tally = Tally()
    tally.take({"prompt_tokens": 7, "completion_tokens": None, "prompt_tokens_details": details})
    assert (tally.prompt_tokens, tally.completion_tokens, tally.cached_tokens, tally.counted) == (
        7,
        0,
        0,
        True,
    )
