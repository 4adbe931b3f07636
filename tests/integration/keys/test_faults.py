"""Whatever AWS does: one line with what to do next, exit status 1, no traceback, no key."""

import re
import socket
import sys
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from functions.keys import session
from tests.integration.keys.aws import ScriptedAws
from tests.integration.keys.conftest import REGION, Keys, Printed

COMMANDS = (
    ("create", "--name", "alice"),
    ("list",),
    ("show", "alice"),
    ("disable", "alice"),
    ("enable", "alice"),
    ("rotate", "alice"),
    ("usage",),
    ("usage", "alice"),
)


def line_of(printed: Printed) -> str:
    assert (printed.status, printed.out) == (1, ""), printed
    lines = printed.err.splitlines()
    assert len(lines) == 1 or re.match(
        r"If key_\w{16} was created all the same, its text is lost: ", lines[1]
    )
    assert "Traceback" not in printed.err
    assert "sk-" not in printed.err
    return printed.err


def test_an_endpoint_that_knows_no_stacks_is_reported(keys: Keys, aws: ScriptedAws) -> None:
    aws.fails("UnrecognizedClientException", 400)  # in JSON, as DynamoDB's, but CloudFormation's is XML
    printed = line_of(keys("list", "--stack", "chatbot", "--endpoint", aws.url))
    assert (
        "could not be reached (ResponseParserError). Check the network, --region, and --endpoint" in printed
    )


@pytest.mark.parametrize(
    ("code", "status", "text"),
    [
        ("AccessDeniedException", 400, "AWS does not let you use table 'keys'"),
        ("ResourceNotFoundException", 400, "There is no table 'keys'"),
        ("ProvisionedThroughputExceededException", 400, "DynamoDB accepts no more calls right now"),
        ("ThrottlingException", 400, "DynamoDB accepts no more calls right now"),
        ("UnrecognizedClientException", 400, "AWS did not get credentials that it accepts"),
        ("ExpiredTokenException", 400, "AWS did not get credentials that it accepts"),
        ("ValidationException", 400, "Table 'keys' in eu-central-1 at http://127.0.0.1:"),
        ("InternalServerError", 500, "could not be used (InternalServerError). Run the same command again"),
        ("NeverHeardOf", 400, "could not be used (NeverHeardOf). Run the same command again"),
    ],
)
def test_errors_of_aws_are_explained(keys: Keys, aws: ScriptedAws, code: str, status: int, text: str) -> None:
    aws.fails(code, status)
    for command in COMMANDS if code == "AccessDeniedException" else COMMANDS[:2]:
        printed = line_of(keys(*command, "--table", "keys", "--endpoint", aws.url))
        assert text in printed
        assert f"({code})" in printed


def test_no_table_of_that_name(keys: Keys) -> None:
    with mock_aws():
        for command in COMMANDS:
            assert "There is no table 'keys' in eu-central-1" in line_of(keys(*command, "--table", "keys"))


def test_a_table_of_something_else(keys: Keys) -> None:
    with mock_aws():
        boto3.client("dynamodb", region_name=REGION).create_table(
            TableName="other",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
        for command in COMMANDS[1:]:
            assert "or it is not a table of keys" in line_of(keys(*command, "--table", "other"))


@pytest.fixture
def silent_url() -> Iterator[str]:
    """An address that accepts connections and never responds."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"


def test_a_table_that_cannot_be_reached(
    keys: Keys, silent_url: str, unused_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert session._LONGER == 10, "a command waits longer than a function does"
    monkeypatch.setattr(session, "_LONGER", 0.2)
    for url, code in ((unused_url, "EndpointConnectionError"), (silent_url, "ReadTimeoutError")):
        printed = line_of(keys("list", "--table", "keys", "--endpoint", url))
        assert f"at {url} could not be reached ({code}). Check the network" in printed


@pytest.fixture
def unused_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


@pytest.mark.parametrize("where", [("--table", "keys"), ("--stack", "chatbot")])
def test_credentials_are_missing_or_unknown(
    keys: Keys, aws: ScriptedAws, monkeypatch: pytest.MonkeyPatch, where: tuple[str, str]
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    assert "Log in, as with" in line_of(keys("list", *where, "--endpoint", aws.url))
    monkeypatch.setenv("AWS_PROFILE", "unknown")
    assert "(ProfileNotFound). Log in," in line_of(keys("list", *where, "--endpoint", aws.url))


@pytest.mark.parametrize("where", [("--table", "keys"), ("--stack", "chatbot")])
def test_no_region(keys: Keys, monkeypatch: pytest.MonkeyPatch, where: tuple[str, str]) -> None:
    monkeypatch.delenv("AWS_REGION")
    assert "Give --region, as in --region eu-central-1" in line_of(keys("list", *where))
    assert "(InvalidRegionError)" in line_of(keys("list", *where, "--region", "eu central"))


def test_boto3_is_not_installed(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    assert "boto3 is not installed for this Python. Run make run once" in line_of(
        keys("list", "--table", "keys")
    )


def test_the_stack_names_the_table(keys: Keys, aws: ScriptedAws, monkeypatch: pytest.MonkeyPatch) -> None:
    aws.has_stack(Url="https://x", KeysTable="chatbot-keys-1")
    printed = line_of(keys("list", "--stack", "chatbot", "--endpoint", aws.url))
    assert aws.calls[0] == "Action=DescribeStacks"
    assert aws.calls[1] == "DynamoDB_20120810.Query"
    assert "There is no table 'chatbot-keys-1' of stack 'chatbot' in eu-central-1" in printed
    monkeypatch.setenv("STACK", "chatbot")
    monkeypatch.setenv("DYNAMODB_ENDPOINT", aws.url)
    aws.calls.clear()
    line_of(keys("list"))
    assert aws.calls[:2] == ["Action=DescribeStacks", "DynamoDB_20120810.Query"]


def test_the_stack_says_for_how_long_records_are_kept(aws: ScriptedAws) -> None:
    aws.has_stack(KeysTable="chatbot-keys-1", KeepRecordsDays="400")
    location, _ = session.connect(session.Location(stack="chatbot", endpoint_url=aws.url, region=REGION))
    assert location.keep_records_days == 400


def test_a_stack_without_the_table(keys: Keys, aws: ScriptedAws) -> None:
    for outputs in ({"Url": "https://x"}, {}):
        aws.has_stack(**outputs)
        printed = line_of(keys("list", "--stack", "chatbot", "--endpoint", aws.url))
        assert "has no output KeysTable (OutputNotFound). Deploy it again" in printed


def test_no_such_stack(keys: Keys, aws: ScriptedAws) -> None:
    aws.has_no_stack()
    printed = line_of(keys("list", "--stack", "chatbot", "--endpoint", aws.url))
    assert "There is no stack 'chatbot' in eu-central-1" in printed
    aws.has_no_stack("AccessDenied")
    printed = line_of(keys("list", "--stack", "chatbot", "--endpoint", aws.url))
    assert "AWS does not let you use stack 'chatbot'" in printed


def test_no_table_was_named(keys: Keys) -> None:
    printed = keys("list")
    assert (printed.status, printed.out) == (2, "")
    assert printed.err.startswith("No table was named. Say where the keys are, in one of three ways:\n")
