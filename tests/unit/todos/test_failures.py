"""What the streaming layer writes for the todo function when it fails."""

import json

import pytest
from lambda_stream._errors import DEADLINE, Failure, malformed

from functions.todos.failures import error_body


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (DEADLINE, "INTERNAL_SERVER_ERROR"),
        (Failure.raised(KeyError("secret")), "INTERNAL_SERVER_ERROR"),
        (malformed("x"), "BAD_REQUEST"),
    ],
)
def test_error_replies_are_graphqls(failure: Failure, code: str) -> None:
    expected = {"errors": [{"message": failure.message, "extensions": {"code": code}}]}
    assert json.loads(error_body(failure)) == expected
