"""What is said when AWS could not be asked."""

import pytest

from functions.keys.advice import advice, explained
from functions.keys.errors import CommandFailed
from functions.keys.place import Place
from functions.shared.keys import KeysUnavailable, KeyTaken

TABLE = Place(table="keys", stack=None, endpoint_url=None, region="eu-central-1")
STACK = Place(table=None, stack="chatbot", endpoint_url="http://127.0.0.1:5000", region=None)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("NoCredentialsError", "AWS does not know who you are (NoCredentialsError). Log in,"),
        ("ExpiredTokenException", "AWS does not know who you are (ExpiredTokenException). Log in,"),
        (
            "AccessDeniedException",
            "AWS does not let you use table 'keys' in eu-central-1 (AccessDeniedException). Use another",
        ),
        ("NoRegionError", "No AWS region was named (NoRegionError). Give --region,"),
        (
            "ResourceNotFoundException",
            "There is no table 'keys' in eu-central-1 (ResourceNotFoundException). Check its name,",
        ),
        (
            "ValidationException",
            "Table 'keys' in eu-central-1 does not take what was asked (ValidationException)",
        ),
        (
            "ThrottlingException",
            "DynamoDB takes no more questions right now (ThrottlingException). Wait a minute",
        ),
        (
            "EndpointConnectionError",
            "Table 'keys' in eu-central-1 could not be reached (EndpointConnectionError). Check the network,",
        ),
        ("Strange", "Table 'keys' in eu-central-1 could not be asked (Strange). Do the same again;"),
    ],
)
def test_each_code_has_its_line(code: str, text: str) -> None:
    said = advice(code, TABLE)
    assert said.startswith(text)
    assert said.endswith(".")
    assert "\n" not in said


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("ValidationError", "There is no stack 'chatbot' at http://127.0.0.1:5000 (ValidationError). Check"),
        (
            "OutputNotFound",
            "Stack 'chatbot' at http://127.0.0.1:5000 has no output KeysTable (OutputNotFound).",
        ),
    ],
)
def test_a_stack_is_named(code: str, text: str) -> None:
    assert advice(code, STACK).startswith(text)


def test_a_table_that_a_stack_named_is_named_with_it() -> None:
    both = Place(table="keys-1", stack="chatbot", endpoint_url=None, region=None)
    assert advice("ResourceNotFoundException", both).startswith(
        "There is no table 'keys-1' of stack 'chatbot' ("
    )


def explanation(error: Exception) -> str:
    with pytest.raises(CommandFailed) as failed, explained(TABLE):
        raise error
    assert failed.value.status == 1
    return str(failed.value)


def test_what_was_done_before_is_told_too() -> None:
    error = KeysUnavailable("ThrottlingException")
    error.add_note("3 usage records were written.")
    assert explanation(error).splitlines() == [
        advice("ThrottlingException", TABLE),
        "3 usage records were written.",
    ]


def test_a_key_that_is_taken() -> None:
    assert explanation(KeyTaken("There is one already.")) == "There is one already. Do the same again."


def test_what_is_not_installed() -> None:
    assert "The package boto3 is not installed" in explanation(ModuleNotFoundError(name="boto3"))


def test_what_is_none_of_its_business_passes() -> None:
    with pytest.raises(ZeroDivisionError), explained(TABLE):
        raise ZeroDivisionError
