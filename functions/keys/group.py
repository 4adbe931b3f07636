"""The command line: the group of all commands, and what each of them returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import click

from . import options
from .delivery import NewText
from .session import PROGRAM
from .tables import Details, Rows

# The commands, in the order of a key's life.
_ORDER = ["create", "list", "show", "disable", "enable", "rotate", "usage", "recount", "replay"]


@dataclass(frozen=True)
class Result:
    """What a command prints: a text or a table for people, or else JSON.

    Shape:  `warnings` go to stderr, and then the exit status is 1. `new_text`: it holds a key's text, printed
            only this once.
    """

    text: str | Rows | Details
    data: Any
    warnings: list[str] = field(default_factory=list)
    new_text: NewText | None = None


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the commands in the order of a key's life."""
        return _ORDER


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=f"""\b
Examples:
  {PROGRAM} create --name alice --rpm 60 --tpm 20000 --expires 90d --stack chatbot
  {PROGRAM} usage alice --by model --stack chatbot

Each command has its own help: {PROGRAM} create --help. More is in docs/keys.md.""",
)
def cli() -> None:
    """Make and manage the API keys of the chat and the todo API.

    The exit status is 0, 1 if the command failed, 2 if the command line is wrong, 130 after Ctrl-C.
    """


cli.params += options.shared_options()


def command(example: str) -> Callable[[Callable[..., Result]], Callable[..., Result]]:
    """Add a command, with the options that all commands have."""

    def add(function: Callable[..., Result]) -> Callable[..., Result]:
        name, epilog = example.split()[0], f"\b\nExample:\n  {PROGRAM} {example}"
        added = cli.command(name, epilog=epilog)(click.pass_obj(function))
        added.params += options.shared_options()
        return function

    return add


KEY = click.argument("key", type=options.WHICH, metavar="ID")
