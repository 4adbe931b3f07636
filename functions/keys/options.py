"""What can be typed: values that explain mistakes, and the options that every command has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from . import forms
from .session import Session

# A limit that is taken away: no text, for a name or a note may be `none`.
NO_LIMIT: Any = object()


def or_none(read: Callable[..., Any], *words: str) -> Callable[..., Any]:
    """Return a function that reads a value, or `none`, or another of these words, as `NO_LIMIT`."""

    def read_or_none(text: str, *more: Any) -> Any:
        return NO_LIMIT if text.strip().lower() in ("none", *words) else read(text, *more)

    return read_or_none


class Value(click.ParamType[Any]):
    """A value that a function reads: the text of its ValueError is shown. Times are read with `now`."""

    def __init__(self, metavar: str, read: Callable[..., Any], *, timed: bool = False) -> None:
        self.name, self._read, self._timed = metavar, read, timed

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read what was typed."""
        session = click.get_current_context().ensure_object(Session)
        try:
            return self._read(value, session.now) if self._timed else self._read(value)
        except ValueError as error:
            self.fail(f"{error}.", param, ctx)


NAME, COUNT, MODELS = Value("NAME", forms.name), Value("N", forms.count), Value("A,B", forms.models)
WHICH, SPAN, PAST = (
    Value("ID", forms.which),
    Value("SPAN", forms.span),
    Value("WHEN", forms.before, timed=True),
)
LIMIT, BUDGET = Value("N", or_none(forms.count)), Value("N[/PERIOD]", or_none(forms.budget))
EXPIRY = Value("WHEN", or_none(forms.after, "never"), timed=True)
TIMEZONE, NOTE, TAG = Value("ZONE", forms.timezone), Value("TEXT", forms.note), Value("TAG", forms.tag)


CSV = click.option("--csv", is_flag=True, help="Print CSV for spreadsheets, in UTF-8.")


def for_programs(session: Session, *, csv: bool) -> bool:
    """Return whether CSV or JSON is printed.

    Raises: UsageError, if both are wanted.
    """
    json = "json" in session.options
    if csv and json:
        raise click.UsageError("Expected --csv or --json, but got both. Leave one out.")
    return csv or json


def shared_options() -> list[click.Parameter]:
    """Return the options that may be given before a command's name or after it; the later one wins."""

    def remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:
        if value:
            context.ensure_object(Session).options[parameter.name or ""] = value

    texts = {
        "table": ("NAME", "The DynamoDB table with the keys. Default: the variable KEYS_TABLE."),
        "stack": ("NAME", "The CloudFormation stack that has the table. Default: the variable STACK."),
        "endpoint": ("URL", "Another endpoint than AWS's own. Default: the variable DYNAMODB_ENDPOINT."),
        "region": ("NAME", "The AWS region. Default: the variable AWS_REGION."),
    }
    options = [
        click.Option([f"--{option}"], metavar=metavar, help=text, expose_value=False, callback=remember)
        for option, (metavar, text) in texts.items()
    ]
    json = click.Option(["--json"], is_flag=True, help="Print JSON.", expose_value=False, callback=remember)
    return [*options, json]
