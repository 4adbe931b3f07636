"""Errors in the words of an endpoint whose callers have other names for a chat completion's parameters."""

import pytest

from functions.chat.errors import InvalidRequest

NAMES = {"messages": "input", "max_tokens": "max_output_tokens", "response_format": "text.format"}


@pytest.mark.parametrize(
    ("message", "param", "spelt", "named"),
    [
        ("Shorten 'messages'.", "messages", "Shorten 'input'.", "input"),
        ("In 'messages[0].role'.", "messages[0].role", "In 'input[0].role'.", "input[0].role"),
        ("'response_format.type'", "response_format.type", "'text.format.type'", "text.format.type"),
        ("Lower 'max_tokens' of 'messages'.", None, "Lower 'max_output_tokens' of 'input'.", None),
        ("Request fewer with `max_tokens`.", None, "Request fewer with `max_output_tokens`.", None),
        ("messages and 'messages_more'", "messages_more", "messages and 'messages_more'", "messages_more"),
    ],
)
def test_parameters_are_renamed_where_they_are_quoted(
    message: str, param: str | None, spelt: str, named: str | None
) -> None:
    error = InvalidRequest(message, param=param)
    error.rename(NAMES)
    assert (error.message, error.param) == (spelt, named)


def test_a_sentence_about_a_parameter_that_there_is_not_is_left_out() -> None:
    error = InvalidRequest("It needs 5.5 tokens. Shorten 'messages'. A lower 'max_tokens' helps. Or wait.")
    error.rename({"messages": "input", "max_tokens": ""})
    assert error.message == "It needs 5.5 tokens. Shorten 'input'. Or wait."
