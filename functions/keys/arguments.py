"""What can be asked of `python -m functions.keys`."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from typing import Any, NoReturn, TypeVar

from . import spans
from .errors import redacted

PROGRAM = "python -m functions.keys"
_MOST = 10**15
_LONGEST_NAME = 64

_Read = TypeVar("_Read")


def parse(arguments: Sequence[str], now: float) -> argparse.Namespace:
    """Read the command line.

    Shape:  `command`, its own arguments, `table`, `stack`, `endpoint`, `region`, `json`.
    Raises: SystemExit: 0 after help, 2 after a mistake, which was explained on stderr.
    """
    parser = _Parser(
        prog=PROGRAM,
        description="Make and manage the API keys of the chat and the todo API.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", title="commands")
    _add_common(parser, None)
    for name, help_text, example, add in _COMMANDS:
        command = commands.add_parser(
            name,
            help=help_text,
            description=f"{help_text[0].upper()}{help_text[1:]}.",
            epilog=f"example:\n  {PROGRAM} {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        add(command, now)
        _add_common(command, argparse.SUPPRESS)
    return parser.parse_args(arguments)


def name(text: str) -> str:
    """Read a name for a key: a line that tables and terminals can show.

    Raises: ValueError, with a text for the user.
    """
    stripped = text.strip()
    if stripped.startswith("sk-"):
        raise ValueError("expected a name that tells whose key it is, but got what looks like a key")
    if not 0 < len(stripped) <= _LONGEST_NAME or not stripped.isprintable():
        raise ValueError(f"expected 1 to {_LONGEST_NAME} printable characters, but got {text!r}")
    return stripped


def count(text: str) -> int:
    """Read a whole number from 1 to 10^15.

    Raises: ValueError, with a text for the user.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > 16 or not 0 < int(text) <= _MOST:
        raise ValueError(f"expected a whole number from 1 to 10^15, but got {text!r}")
    return int(text)


def models(text: str) -> list[str]:
    """Read names of models between commas.

    Raises: ValueError, with a text for the user.
    """
    names = [model.strip() for model in text.split(",")]
    if not all(model and model.isprintable() for model in names):
        raise ValueError(f"expected names of models between commas, as in default,small, but got {text!r}")
    return names


def which(text: str) -> str:
    """Read what stands for a key: its id, the beginning of it, or its name.

    Raises: ValueError, with a text for the user.
    """
    if text.strip().startswith("sk-"):
        raise ValueError(
            "expected an id or a name as `list` shows them, but got what looks like the key itself"
        )
    if not text.strip():
        raise ValueError("expected an id or a name as `list` shows them, but got none")
    return text.strip()


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Explain a mistake, which argparse quotes."""
        self.exit(2, f"{self.prog}: {redacted(message)}\nWhat it takes: {self.prog} -h\n")


def _add_create(command: argparse.ArgumentParser, now: float) -> None:
    command.add_argument("--name", required=True, type=_reader(name), help="whose key it is, for `list`")
    command.add_argument(
        "--models",
        type=_reader(models),
        action="extend",
        default=[],
        metavar="A,B",
        help="the models it may use, between commas or one --models each; all unless given",
    )
    command.add_argument("--rpm", type=_reader(count), metavar="N", help="requests a minute")
    command.add_argument("--tpm", type=_reader(count), metavar="N", help="tokens a minute, prompts included")
    command.add_argument("--budget-tokens", type=_reader(count), metavar="N", help="tokens in all")
    command.add_argument(
        "--expires",
        type=_reader(lambda text: spans.after(text, now)),
        metavar="WHEN",
        help="90d, 12h, 30m from now, or a date such as 2027-01-31 (00:00 UTC); never unless given",
    )
    command.add_argument(
        "--key-from-env",
        metavar="NAME",
        help="on this machine only: the variable that holds the key itself; a new one unless given",
    )


def _add_nothing(command: argparse.ArgumentParser, _now: float) -> None:
    pass


def _add_key(command: argparse.ArgumentParser, _now: float) -> None:
    command.add_argument("key", type=_reader(which), metavar="ID", help=_WHICH)


def _add_usage(command: argparse.ArgumentParser, now: float) -> None:
    command.add_argument(
        "key", type=_reader(which), nargs="?", metavar="ID", help=f"{_WHICH}; all keys unless given"
    )
    command.add_argument(
        "--by", choices=("day", "model", "key"), default="day", help="day (UTC) unless given"
    )
    command.add_argument(
        "--since",
        type=_reader(lambda text: spans.before(text, now)),
        default="30d",
        metavar="WHEN",
        help="30d, 12h, 30m ago, or a date such as 2026-11-01 (00:00 UTC); 30d unless given",
    )


def _add_replay(command: argparse.ArgumentParser, _now: float) -> None:
    command.add_argument("file", metavar="FILE", help="lines of the functions' log; - reads standard input")


def _add_common(parser: argparse.ArgumentParser, default: Any) -> None:
    """Add what every command takes, before its name or after it: only the first of both has defaults."""
    group = parser.add_argument_group("where the keys are")
    place = group.add_mutually_exclusive_group()
    place.add_argument("--table", default=default, metavar="NAME", help="the DynamoDB table; or KEYS_TABLE")
    place.add_argument(
        "--stack", default=default, metavar="NAME", help="the CloudFormation stack that has it; or STACK"
    )
    group.add_argument("--endpoint", default=default, metavar="URL", help="another AWS; or DYNAMODB_ENDPOINT")
    group.add_argument("--region", default=default, metavar="NAME", help="or AWS_REGION")
    parser.add_argument("--json", action="store_true", default=default or False, help="print JSON")


def _reader(read: Callable[[str], _Read]) -> Callable[[str], _Read]:
    """Let argparse print what is wrong: of a ValueError it would keep the text to itself."""

    def checked(text: str) -> _Read:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked


_WHICH = "the key's id, the beginning of it, or its name"
_EPILOG = f"""\
example:
  {PROGRAM} create --name alice --rpm 60 --tpm 20000 --expires 90d --stack chatbot
  {PROGRAM} usage alice --by model --stack chatbot

Each command has its own help: {PROGRAM} create -h. See docs/keys.md."""
_COMMANDS: tuple[tuple[str, str, str, Callable[[argparse.ArgumentParser, float], None]], ...] = (
    (
        "create",
        "make a key, and print it this once",
        "create --name alice --models default --rpm 60 --tpm 20000 --budget-tokens 1000000 --expires 90d",
        _add_create,
    ),
    ("list", "list the keys", "list --stack chatbot", _add_nothing),
    ("show", "show all that is known of a key", "show alice", _add_key),
    ("disable", "refuse a key from now on, within 30 s everywhere", "disable key_1f2e", _add_key),
    ("enable", "let a disabled key in again", "enable key_1f2e", _add_key),
    ("rotate", "give a key a new text, print it this once, and refuse the old one", "rotate alice", _add_key),
    ("usage", "count what was used", "usage alice --by model --since 7d", _add_usage),
    (
        "replay",
        "write the usage records of a log into the table, each once",
        "replay function.log",
        _add_replay,
    ),
)
