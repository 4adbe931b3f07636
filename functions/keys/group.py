"""The command line: the group of all commands, and what each of them returns."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import click

from . import options
from .delivery import NewText
from .session import PROGRAM
from .tables import Details, Rows

# The commands, in the order of a key's life.
_ORDER = [
    *("create", "list", "show", "update", "topup", "disable", "enable", "rotate", "delete", "restore"),
    *("history", "usage", "recount", "replay"),
]
# What people try that know other command lines.
_MEANT = {
    "create": "add new make generate",
    "list": "ls all",
    "show": "get info describe view status",
    "update": "edit set modify change patch limit",
    "topup": "top-up refill charge",
    "disable": "revoke block suspend deactivate",
    "enable": "unblock activate",
    "rotate": "regenerate renew roll reset",
    "delete": "del remove rm destroy",
    "restore": "undelete recover",
    "history": "audit log changes",
    "usage": "report stats spend costs",
}


@dataclass(frozen=True)
class Result:
    """What a command prints: a text or a table for people, or else JSON.

    Shape:  `pieces`: those of a text for programs, which alone is printed then, while it is made. `warnings`
            go to stderr, and then the exit status is 1; so do `notes`, and it is 0. `new_text`: it holds a
            key's text, printed only this once.
    """

    text: str | Rows | Details
    data: Any
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    new_text: NewText | None = None
    pieces: Iterable[str] | None = None


class _Commands(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the commands in the order of a key's life."""
        return _ORDER

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find a command; of another word for one, name that."""
        for name, words in _MEANT.items():
            if args and args[0].lower() in words.split():
                raise click.UsageError(f"No such command {args[0]!r}. Did you mean {name!r}?", ctx)
        return super().resolve_command(ctx, args)


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
