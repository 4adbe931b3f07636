"""Where the keys are."""

import pytest

from functions.keys.arguments import parse
from functions.keys.errors import UsageError
from functions.keys.place import Place
from tests.unit.keys.store import NOW


def place(*arguments: str, **environ: str) -> Place:
    return Place.from_arguments(parse(["list", *arguments], NOW), environ)


@pytest.mark.parametrize(
    ("arguments", "environ", "table", "stack"),
    [
        (("--table", "a"), {"KEYS_TABLE": "b", "STACK": "c"}, "a", None),
        (("--stack", "a"), {"KEYS_TABLE": "b", "STACK": "c"}, None, "a"),
        ((), {"KEYS_TABLE": "b", "STACK": "c"}, "b", None),
        ((), {"KEYS_TABLE": "", "STACK": "c"}, None, "c"),
    ],
)
def test_what_was_typed_wins_and_a_table_before_a_stack(
    arguments: tuple[str, ...], environ: dict[str, str], table: str | None, stack: str | None
) -> None:
    found = place(*arguments, **environ)
    assert (found.table, found.stack) == (table, stack)


def test_which_aws_is_asked() -> None:
    found = place(
        "--table", "a", DYNAMODB_ENDPOINT="http://127.0.0.1:1", AWS_REGION="r", AWS_DEFAULT_REGION="s"
    )
    assert (found.endpoint_url, found.region) == ("http://127.0.0.1:1", "r")
    assert place("--table", "a", AWS_DEFAULT_REGION="s").region == "s"
    found = place(
        *("--table", "a", "--endpoint", "https://x", "--region", "y"),
        DYNAMODB_ENDPOINT="http://127.0.0.1:1",
        AWS_REGION="r",
    )
    assert (found.endpoint_url, found.region) == ("https://x", "y")
    found = place("--table", "a", DYNAMODB_ENDPOINT="")
    assert (found.endpoint_url, found.region) == (None, None)


def test_no_table_was_named() -> None:
    with pytest.raises(UsageError) as refused:
        place()
    assert (
        str(refused.value)
        == """\
No table was named. Say where the keys are, in one of three ways:
  --table NAME             the DynamoDB table itself
  KEYS_TABLE=NAME          the same, as a variable
  --stack NAME, or STACK   the CloudFormation stack, whose output KeysTable names the table"""
    )


def test_a_table_and_a_stack_are_one_too_many() -> None:
    asked = parse(["--stack", "a", "list", "--table", "b"], NOW)
    with pytest.raises(UsageError, match="but got both: leave one out"):
        Place.from_arguments(asked, {})


@pytest.mark.parametrize(
    "address", ["localhost:5000", "http://", "ftp://a", "http://a:b", "http://[", "http://a:0"]
)
def test_an_endpoint_is_an_address(address: str) -> None:
    with pytest.raises(UsageError, match=r"an address such as http://127\.0\.0\.1:5000, but got"):
        place("--table", "a", "--endpoint", address)
