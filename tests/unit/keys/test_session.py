"""Where the keys are, and what is printed if AWS cannot be used."""

import getpass
import os
import socket
from pathlib import Path

import click
import pytest

from functions.keys.__main__ import run
from functions.keys.session import Location, Session, advice
from functions.shared.keys import KeysUnavailable, KeyTaken
from functions.shared.usage import NONE
from tests.unit.keys.store import NOW, MemoryStore, a_record, session_of

# Of a key's length and form; it opens nothing.
KEY = "sk-" + "A1" * 24 + "B"
TABLE = Location(table="keys", region="eu-central-1")
STACK = Location(stack="chatbot", endpoint_url="http://127.0.0.1:5000")


@pytest.mark.parametrize(
    ("options", "environ", "table", "stack"),
    [
        ({"table": "a"}, {"KEYS_TABLE": "b", "STACK": "c"}, "a", None),
        ({"stack": "a"}, {"KEYS_TABLE": "b", "STACK": "c"}, None, "a"),
        ({}, {"KEYS_TABLE": "b", "STACK": "c"}, "b", None),
        ({}, {"KEYS_TABLE": "", "STACK": "c"}, None, "c"),
    ],
)
def test_options_win_over_variables_and_a_table_over_a_stack(
    options: dict[str, str], environ: dict[str, str], table: str | None, stack: str | None
) -> None:
    found = Location.of(options, environ)
    assert (found.table, found.stack) == (table, stack)


def test_which_aws_is_called() -> None:
    variables = {"DYNAMODB_ENDPOINT": "http://127.0.0.1:1", "AWS_REGION": "r", "AWS_DEFAULT_REGION": "s"}
    found = Location.of({"table": "a"}, variables)
    assert (found.endpoint_url, found.region) == ("http://127.0.0.1:1", "r")
    assert Location.of({"table": "a"}, {"AWS_DEFAULT_REGION": "s"}).region == "s"
    found = Location.of({"table": "a", "endpoint": "https://x", "region": "y"}, variables)
    assert (found.endpoint_url, found.region) == ("https://x", "y")
    found = Location.of({"table": "a"}, {"DYNAMODB_ENDPOINT": ""})
    assert (found.endpoint_url, found.region) == (None, None)


def test_no_table_was_named() -> None:
    with pytest.raises(click.UsageError) as refused:
        Location.of({}, {})
    assert (
        refused.value.message
        == """\
No table was named. Say where the keys are, in one of three ways:
  --table NAME             the DynamoDB table itself
  KEYS_TABLE=NAME          the same, as a variable
  --stack NAME, or STACK   the CloudFormation stack, whose output KeysTable names the table"""
    )


@pytest.mark.parametrize(
    "address", ["localhost:5000", "http://", "ftp://a", "http://a:b", "http://[", "http://a:0"]
)
def test_an_endpoint_is_a_url(address: str) -> None:
    with pytest.raises(click.UsageError, match=r"a URL such as http://127\.0\.0\.1:5000, but got"):
        Location.of({"table": "a", "endpoint": address}, {})


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("NoCredentialsError", "AWS did not get credentials that it accepts (NoCredentialsError). Log in,"),
        ("ExpiredTokenException", "AWS did not get credentials that it accepts (ExpiredTokenException). Log"),
        (
            "AccessDeniedException",
            "AWS does not let you use table 'keys' in eu-central-1 (AccessDeniedException). Use another",
        ),
        ("NoRegionError", "Expected the name of an AWS region (NoRegionError). Give --region,"),
        (
            "ResourceNotFoundException",
            "There is no table 'keys' in eu-central-1 (ResourceNotFoundException). Check its name,",
        ),
        (
            "ValidationException",
            "Table 'keys' in eu-central-1 did not accept the call (ValidationException)",
        ),
        ("ThrottlingException", "DynamoDB accepts no more calls right now (ThrottlingException). Wait a"),
        (
            "EndpointConnectionError",
            "Table 'keys' in eu-central-1 could not be reached (EndpointConnectionError). Check the network,",
        ),
        ("Strange", "Table 'keys' in eu-central-1 could not be used (Strange). Run the same command again;"),
    ],
)
def test_each_code_has_its_line(code: str, text: str) -> None:
    line = advice(code, TABLE)
    assert line.startswith(text)
    assert line.endswith(".")
    assert "\n" not in line


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
    both = Location(table="keys-1", stack="chatbot")
    assert advice("ResourceNotFoundException", both).startswith(
        "There is no table 'keys-1' of stack 'chatbot' ("
    )


def test_the_stack_is_looked_up_once() -> None:
    looked_up = []

    def connect(location: Location) -> tuple[Location, MemoryStore]:
        looked_up.append(location)
        return both, store

    store, both = MemoryStore(), Location(table="keys-1", stack="chatbot")
    session = Session(NOW, {"STACK": "chatbot"}, connect=connect)
    assert session.store is session.store is store
    assert (looked_up, session.location) == ([Location(stack="chatbot")], both)


def failed(capsys: pytest.CaptureFixture[str], error: Exception, *arguments: str, answered: int = 0) -> str:
    """Return what a command prints whose table fails."""
    assert run(arguments or ("list",), session_of(MemoryStore(failing=error, answered=answered))) == 1
    out, err = capsys.readouterr()
    assert not out
    return err


def test_a_failure_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    err = failed(capsys, KeysUnavailable("ThrottlingException"))
    assert err == advice("ThrottlingException", Location(table="keys")) + "\n"


def test_what_was_done_before_a_failure_is_reported(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_text(a_record(1, key_id=NONE).to_json() + "\n" + a_record(2, key_id=NONE).to_json())
    err = failed(capsys, KeysUnavailable("ThrottlingException"), "replay", str(log), answered=1)
    assert err.splitlines()[1:] == [
        "1 usage record was written. Replay the whole log again: each counts once."
    ]


def test_a_key_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    err = failed(capsys, KeyTaken("There is one already."), "create", "--name", "alice")
    assert err == "There is one already. Run the same command again.\n"


def test_an_error_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        run(["list"], session_of(MemoryStore(failing=ZeroDivisionError())))


# who makes changes


def actor(called_by: str | None = None, **variables: str) -> str:
    variables = {"KEYS_TABLE": "keys", **variables}
    store = MemoryStore(called_by=called_by)
    return Session(NOW, variables, connect=lambda location: (location, store)).actor


def test_a_variable_names_who_makes_changes() -> None:
    assert actor("user/alice", KEYS_ACTOR=" deploy job 7 ") == "deploy job 7"


def test_aws_names_who_makes_changes() -> None:
    assert actor("assumed-role/Admin/alice") == "assumed-role/Admin/alice"
    aws = "https://vpce-1.dynamodb.eu-central-1.vpce.amazonaws.com"
    assert actor("user/alice", DYNAMODB_ENDPOINT=aws) == "user/alice"


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:5000", "http://dynamodb:8000", "http://localhost:1"])
def test_on_a_table_of_this_machine_it_is_the_user(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "zoe")
    assert actor("user/alice", DYNAMODB_ENDPOINT=endpoint) == f"zoe@{socket.gethostname()}"


def test_it_is_the_user_where_aws_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "zoe")
    assert actor() == f"zoe@{socket.gethostname()}"


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def unnamed() -> str:
        raise KeyError

    monkeypatch.setattr(getpass, "getuser", unnamed)
    assert actor() == f"{os.getuid()}@{socket.gethostname()}"


def test_who_makes_changes_is_one_short_line_without_a_key() -> None:
    shown = actor(KEYS_ACTOR="a\x1b[31m\nb " + KEY + " " + "c" * 200)
    assert shown.startswith("a?[31m?b sk-… ccc")
    assert len(shown) == 128
