"""What can be typed: values that explain mistakes, and the options that every command has."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from .session import Session

_MOST = 10**15
_LONGEST_NAME = 64
_SPAN = re.compile(r"([0-9]{1,9})([mhd])")
_SECONDS = {"m": 60, "h": 3600, "d": 86400}
_LONGEST_S = 36500 * 86400


def name(text: str) -> str:
    """Read a name for a key: a line that tables and terminals can show.

    Raises: ValueError, with a text for the user.
    """
    stripped = text.strip()
    if stripped.startswith("sk-"):
        raise ValueError("expected a name that shows whose key it is, but got what looks like a key")
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
    """Read names of models, separated by commas.

    Raises: ValueError, with a text for the user.
    """
    names = [model.strip() for model in text.split(",")]
    if not all(model and model.isprintable() for model in names):
        raise ValueError(
            f"expected names of models, separated by commas, as in default,small, but got {text!r}"
        )
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


def after(text: str, now: float) -> int:
    """Read a time in the future: `90d`, `12h`, `30m`, or an ISO date, in UTC unless it has a zone.

    Units:  s since 1970.
    Raises: ValueError, with a text for the user.
    """
    moment = _moment(text, now, 1)
    if not now < moment <= now + _LONGEST_S:
        raise ValueError(f"expected a time in the future, within 100 years, but got {text!r}")
    return moment


def before(text: str, now: float) -> int:
    """Read a time in the past, of the same forms.

    Units:  s since 1970.
    Raises: ValueError, with a text for the user.
    """
    moment = _moment(text, now, -1)
    if not 0 <= moment <= now:
        raise ValueError(f"expected a time in the past, after 1970, but got {text!r}")
    return moment


def _moment(text: str, now: float, direction: int) -> int:
    if span := _SPAN.fullmatch(text):
        return int(now) + direction * int(span[1]) * _SECONDS[span[2]]
    try:
        moment = datetime.fromisoformat(text)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        raise ValueError(f"expected 90d, 12h, 30m or a date such as 2027-01-31, but got {text!r}") from None


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


NAME, COUNT, MODELS, WHICH = Value("NAME", name), Value("N", count), Value("A,B", models), Value("ID", which)
FUTURE, PAST = Value("WHEN", after, timed=True), Value("WHEN", before, timed=True)


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
