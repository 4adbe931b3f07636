"""What the command line takes, and what it says of mistakes."""

import re

import pytest

from functions.keys.arguments import PROGRAM, parse
from tests.unit.keys.store import DAY_S, NOW

# Of a key's length and form; it opens nothing.
KEY = "sk-" + "A1" * 24 + "B"
COMMANDS = ("create", "list", "show", "disable", "enable", "rotate", "usage", "replay")


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    with pytest.raises(SystemExit) as stopped:
        parse(arguments, NOW)
    assert stopped.value.code == 2
    out, err = capsys.readouterr()
    assert not out
    assert re.fullmatch(rf"{PROGRAM}( \w+)?: .*\nWhat it takes: {PROGRAM}( \w+)? -h\n", err)
    assert KEY not in err
    return err.splitlines()[0]


def test_all_of_a_new_key_may_be_said() -> None:
    asked = parse(
        [
            *("create", "--name", " alice ", "--models", "default,small", "--models", "large"),
            *("--rpm", "60", "--tpm", "20000", "--budget-tokens", "1000000", "--expires", "90d"),
        ],
        NOW,
    )
    assert (asked.command, asked.name, asked.models) == ("create", "alice", ["default", "small", "large"])
    assert (asked.rpm, asked.tpm, asked.budget_tokens) == (60, 20000, 1000000)
    assert asked.expires == NOW + 90 * DAY_S


def test_a_new_key_needs_a_name_alone() -> None:
    asked = parse(["create", "--name", "Zoë 日本"], NOW)
    assert (asked.name, asked.models, asked.expires) == ("Zoë 日本", [], None)
    assert (asked.rpm, asked.tpm, asked.budget_tokens) == (None, None, None)


def test_one_call_leaves_no_models_to_the_next() -> None:
    parse(["create", "--name", "a", "--models", "x"], NOW)
    assert parse(["create", "--name", "a", "--models", "y"], NOW).models == ["y"]


def test_usage_is_by_day_and_of_30_days_unless_said() -> None:
    asked = parse(["usage"], NOW)
    assert (asked.key, asked.by, asked.since) == (None, "day", NOW - 30 * DAY_S)
    asked = parse(["usage", "alice", "--by", "model", "--since", "2026-11-01"], NOW)
    assert (asked.key, asked.by, asked.since) == ("alice", "model", 1793491200)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--table", "t", "--endpoint", "http://e", "--region", "r", "--json", "list"),
        ("list", "--table", "t", "--endpoint", "http://e", "--region", "r", "--json"),
        ("--table", "t", "--region", "r", "list", "--endpoint", "http://e", "--json"),
    ],
)
def test_where_the_keys_are_may_be_said_before_the_command_or_after_it(arguments: tuple[str, ...]) -> None:
    asked = parse(arguments, NOW)
    assert (asked.table, asked.stack, asked.endpoint, asked.region) == ("t", None, "http://e", "r")
    assert asked.json


def test_nothing_is_said_of_where_the_keys_are() -> None:
    asked = parse(["list"], NOW)
    assert (asked.table, asked.stack, asked.endpoint, asked.region) == (None, None, None, None)
    assert not asked.json


@pytest.mark.parametrize("option", ["--rpm", "--tpm", "--budget-tokens"])
@pytest.mark.parametrize(
    "text", ["0", "-1", "1.5", "1e3", "sixty", "", " 1", "١", "1000000000000001", "9" * 5000]
)
def test_limits_are_whole_numbers(option: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(capsys, "create", "--name", "alice", f"{option}={text}")
    assert f"argument {option}: expected a whole number from 1 to 10^15, but got" in error


@pytest.mark.parametrize("text", ["", " ", "a" * 65, "a\nb", "a\0b", "a\x1b[31mb", "\ud800"])
def test_names_can_be_shown(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(capsys, "create", f"--name={text}")
    assert "argument --name: expected 1 to 64 printable characters, but got" in error
    assert error.isprintable()


def test_a_key_is_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert "but got what looks like a key" in refused(capsys, "create", "--name", KEY)


@pytest.mark.parametrize("text", ["", ",", "a,", "a,,b", "a,\n"])
def test_models_have_names(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(capsys, "create", "--name", "alice", f"--models={text}")
    assert "argument --models: expected names of models between commas, as in default,small, but got" in error


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("soon", "expected 90d, 12h, 30m or a date such as 2027-01-31, but got 'soon'"),
        ("2020-01-01", "expected a time ahead of now and within 100 years, but got '2020-01-01'"),
    ],
)
def test_an_expiry_lies_ahead(text: str, error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert refused(capsys, "create", "--name", "alice", "--expires", text).endswith(f"--expires: {error}")


@pytest.mark.parametrize("command", ["show", "disable", "enable", "rotate", "usage"])
@pytest.mark.parametrize(
    ("text", "got"), [(KEY, "what looks like the key itself"), ("", "none"), (" ", "none")]
)
def test_a_key_is_named_by_its_id(
    command: str, text: str, got: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(capsys, command, text)
    assert error.endswith(f"argument ID: expected an id or a name as `list` shows them, but got {got}")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ((), "the following arguments are required: COMMAND"),
        (("make",), "invalid choice: 'make'"),
        (("create",), "the following arguments are required: --name"),
        (("show",), "the following arguments are required: ID"),
        (("replay",), "the following arguments are required: FILE"),
        (("list", "--jso"), "unrecognized arguments: --jso"),
        (("list", KEY), "unrecognized arguments: sk-…"),
        (("usage", "--by", "week"), "invalid choice: 'week'"),
        (("usage", "--by", KEY), "invalid choice: 'sk-…'"),
        (("usage", "--since", "2027-01-31"), "expected a time before now"),
        (("list", "--table", "a", "--stack", "b"), "not allowed with argument --table"),
    ],
)
def test_a_wrong_command_line(
    arguments: tuple[str, ...], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert error in refused(capsys, *arguments)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parse([command, "-h"], NOW)
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    example = text.partition("example:\n  ")[2].strip()
    assert example.startswith(f"{PROGRAM} {command}")
    parse(example.removeprefix(PROGRAM).split(), NOW)


def test_the_help_names_every_command_and_its_page(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(["-h"], NOW)
    text = capsys.readouterr().out
    assert re.findall(r"^    (\w+)  ", text, re.MULTILINE) == list(COMMANDS)
    assert "docs/keys.md" in text
