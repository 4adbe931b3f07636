"""What can be typed, and what is printed of mistakes."""

import re

import click
import pytest

from functions.keys.__main__ import run
from functions.keys.commands import cli
from functions.keys.session import PROGRAM, Session
from functions.shared.key_text import digest, new_key
from tests.unit.keys.store import DAY_S, NOW, MemoryStore, invoke, invoke_in, session_of

# Of a key's length and form; it opens nothing.
KEY = "sk-" + "A1" * 24 + "B"
COMMANDS = (
    *("create", "list", "show", "update", "topup", "disable", "enable", "rotate", "delete", "restore"),
    *("history", "usage", "recount", "replay"),
)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return the first line of what a wrong command line prints."""
    assert run(arguments, session_of(MemoryStore())) == 2
    out, err = capsys.readouterr()
    assert not out
    assert re.fullmatch(rf".*\nHelp: {PROGRAM}( \w+)? --help\n", err)
    assert KEY not in err
    return err.splitlines()[0]


def test_a_new_key_may_have_every_limit() -> None:
    store = MemoryStore()
    invoke(
        store,
        *("create", "--name", " alice ", "--models", "default,small", "--models", "large"),
        *("--rpm", "60", "--tpm", "20000", "--budget-tokens", "1000000", "--expires", "90d"),
        *("--concurrent", "4"),
    )
    (key,) = store.keys.values()
    assert key.concurrent == 4
    assert (key.name, key.models) == ("alice", frozenset({"default", "small", "large"}))
    assert (key.requests_per_minute, key.tokens_per_minute, key.budget_tokens) == (60, 20000, 1000000)
    assert key.expires_at == NOW + 90 * DAY_S


def test_a_new_key_needs_a_name_alone() -> None:
    store = MemoryStore()
    invoke(store, "create", "--name", "Zoë 日本")
    (key,) = store.keys.values()
    assert (key.name, key.models, key.expires_at, key.limited) == ("Zoë 日本", frozenset(), None, False)


def test_usage_is_by_day_and_of_30_days_by_default() -> None:
    data = invoke(MemoryStore(), "usage").data
    assert (data["by"], data["key"], data["since"]) == ("day", None, "2026-10-26T00:00:00Z")
    data = invoke(MemoryStore(), "usage", "--by", "model", "--since", "2026-11-01").data
    assert (data["by"], data["since"]) == ("model", "2026-11-01T00:00:00Z")


@pytest.mark.parametrize(
    "arguments",
    [
        ("--table", "t", "--endpoint", "http://e", "--region", "r", "--json", "list"),
        ("list", "--table", "t", "--endpoint", "http://e", "--region", "r", "--json"),
        ("--table", "t", "--region", "r", "list", "--endpoint", "http://e", "--json"),
        ("--table", "other", "--json", "list", "--table", "t", "--endpoint", "http://e", "--region", "r"),
    ],
)
def test_shared_options_may_be_given_before_the_command_or_after_it(arguments: tuple[str, ...]) -> None:
    session = session_of(MemoryStore())
    invoke_in(session, *arguments)
    location = session.location
    assert (location.table, location.stack, location.endpoint_url, location.region) == (
        *("t", None, "http://e", "r"),
    )
    assert session.options["json"]


@pytest.mark.parametrize("option", ["--rpm", "--tpm", "--budget", "--budget-tokens"])
@pytest.mark.parametrize("text", ["0", "-1", "1.5", "sixty", "", "1 1", "١", "1000000000000001", "9" * 5000])
def test_limits_are_whole_numbers(option: str, text: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(capsys, "create", "--name", "alice", f"{option}={text}")
    wanted = "expected a whole number from 1 to 10^15, such as 500, 20k, 1.5M, 1_000_000 or 1e6, but got"
    assert re.search(
        rf"Invalid value for '(--budget' / ')?{option}(' / '--budget-tokens)?': {re.escape(wanted)}", error
    )
    assert len(error) < 300


@pytest.mark.parametrize("text", ["", " ", "a" * 65, "a\nb", "a\0b", "a\x1b[31mb", "\ud800"])
def test_names_can_be_shown(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(capsys, "create", f"--name={text}")
    assert "Invalid value for '--name': expected 1 to 64 printable characters, but got" in error
    assert error.isprintable()


def test_a_key_is_no_name(capsys: pytest.CaptureFixture[str]) -> None:
    assert "but got what looks like a key" in refused(capsys, "create", "--name", KEY)


@pytest.mark.parametrize("text", ["", ",", "a,", "a,,b", "a,\n"])
def test_models_have_names(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    error = refused(capsys, "create", "--name", "alice", f"--models={text}")
    assert "expected names of models, separated by commas, as in default,small, but got" in error


@pytest.mark.parametrize("command", ["show", "disable", "enable", "rotate", "usage"])
@pytest.mark.parametrize(
    ("text", "got"), [(KEY, "what looks like the key itself"), ("", "none"), (" ", "none")]
)
def test_a_key_is_named_by_its_id(
    command: str, text: str, got: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(capsys, command, text)
    assert error.endswith(f"expected an id or a name as `list` shows them, but got {got}.")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (("make",), "No such command 'make'."),
        (("usages",), "Did you mean 'usage'?"),
        (("--json",), "Missing command."),
        (("create",), "Missing option '--name'."),
        (("show",), "Missing argument 'ID'."),
        (("replay",), "Missing argument 'FILE'."),
        (("list", "--jso"), "No such option '--jso'."),
        (("list", "--\x1b[31m"), "No such option '--\\x1b[31m'."),
        (("list", KEY), "Got unexpected extra argument (sk-…"),
        (
            ("usage", "--by", "week"),
            "expected day, model or key, or several of them, as in day,model, but got 'week'.",
        ),
        (("usage", "--by", KEY), "as in day,model, but got 'sk-…'."),
        (("usage", "--since", "2027-01-31"), "expected a time in the past"),
        (
            ("create", "--name", "a", "--expires", "soon"),
            "'--expires': expected a span such as 90d,",
        ),
        (("create", "--name", "a", "--expires", "2020-01-01"), "expected a time in the future"),
        (("list", "--table", "a", "--stack", "b"), "Expected --table or --stack, but got both."),
        (("--stack", "a", "list", "--table", "b"), "Expected --table or --stack, but got both."),
        (("list", "--table"), "requires an argument"),
    ],
)
def test_a_wrong_command_line(
    arguments: tuple[str, ...], error: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert error in refused(capsys, *arguments)


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_explains_itself_with_its_options_defaults_and_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for option in ("-h", "--help"):
        assert run([command, option], session_of(MemoryStore())) == 0
        text = capsys.readouterr().out
        assert text.startswith(f"Usage: {PROGRAM} {command} [OPTIONS]")
    for shared in ("--table NAME", "--stack NAME", "--endpoint URL", "--region NAME", "--json", "KEYS_TABLE"):
        assert shared in text
    example = text.partition("Example:\n")[2].strip()
    assert example.startswith(f"{PROGRAM} {command}")
    arguments = example.removeprefix(f"{PROGRAM} {command}").split()
    cli.commands[command].make_context(command, arguments, obj=Session(NOW, {}))


@pytest.mark.parametrize(("arguments", "status"), [(["-h"], 0), (["--help"], 0), ([], 2)])
def test_the_help_names_every_command_and_its_page(
    arguments: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments, session_of(MemoryStore())) == status
    out, err = capsys.readouterr()
    text = err if status else out
    assert re.findall(r"^  (\w+)  ", text.partition("Commands:")[2], re.MULTILINE) == list(COMMANDS)
    assert "docs/keys.md" in text


# a key that a person chose


HERE = ("--table", "keys", "--endpoint", "http://127.0.0.1:1")
FROM_ENV = ("create", "--name", "development", "--key-from-env", "DEV_KEY")


def test_a_chosen_key_is_read_from_the_variable_and_kept_by_its_digest() -> None:
    store = MemoryStore()
    result = invoke(store, *FROM_ENV, *HERE, DEV_KEY="your_api_key_here")
    assert result.data["key"] == "your_api_key_here"
    assert [key.digest for key in store.keys.values()] == [digest("your_api_key_here")]


def test_a_chosen_key_may_be_one_of_ours() -> None:
    key = new_key()
    assert invoke(MemoryStore(), *FROM_ENV, *HERE, DEV_KEY=key).data["key"] == key


def test_the_variable_is_read_only_where_the_option_names_it() -> None:
    assert invoke(MemoryStore(), "create", "--name", "alice", *HERE, DEV_KEY="secret").data["key"] != "secret"


def test_aws_gets_no_keys_that_can_be_guessed() -> None:
    with pytest.raises(click.UsageError, match="only with --endpoint") as failure:
        invoke(MemoryStore(), *FROM_ENV, DEV_KEY="secret")
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize("text", ["secret ", "secret\n", "sécret", f"sk-{'x' * 43}secret"])
def test_what_is_no_key_is_refused_and_not_quoted(text: str) -> None:
    with pytest.raises(click.UsageError, match=r"Expected DEV_KEY to hold a key, .*but got ") as failure:
        invoke(MemoryStore(), *FROM_ENV, *HERE, DEV_KEY=text)
    assert "cret" not in str(failure.value)


def test_a_variable_that_is_not_set_is_named() -> None:
    with pytest.raises(click.UsageError, match=r"Expected DEV_KEY to hold a key, .*but got nothing"):
        invoke(MemoryStore(), *FROM_ENV, *HERE)
