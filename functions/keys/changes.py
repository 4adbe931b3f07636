"""The commands that make keys and change their texts."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Any

import click

from functions.shared.key_text import MistypedKey, check_key, digest, hint, new_key
from functions.shared.keys import Key

from . import views
from .delivery import NewText, check_stdout
from .group import KEY, Result, command
from .key_options import altered, check_models, key_options
from .selection import check_name, existing, select_to_change
from .session import PROGRAM, Session


@command("create --name alice --models default --rpm 60 --tpm 20k --budget 1M/month --expires 90d")
@key_options(new=True)
@click.option(
    "--key-from-env",
    metavar="VARIABLE",
    help="The variable that holds the key itself, for a table on this machine. Default: a new, random key.",
)
def create(session: Session, key_from_env: str | None, **given: Any) -> Result:
    """Make a key, and print it this once."""
    text = _chosen_key(session, key_from_env) if key_from_env is not None else new_key()
    blank = Key(
        id=f"key_{secrets.token_hex(8)}",
        digest=digest(text),
        hint=hint(text),
        name=given["name"],
        created_at=int(session.now),
        created_by=session.actor,
        books=2,
    )
    key = altered(blank, given)
    store = session.store
    check_name(store, key.name, same_name=given["same_name"])
    notes = check_models(session, given)
    change = session.change("create")
    check_stdout()
    session.held_signals.hold()
    store.add(key, change)
    said = f"Created {key.id} ({key.name}).\n\n{_once(text)}"
    data = {"key": text, **views.key_record(key, session.now)}
    return Result(said, data, notes=notes, new_text=_new_text(key.id))


@command("rotate alice")
@KEY
def rotate(session: Session, key: str) -> Result:
    """Give a key a new text, print it this once, refuse the old one.

    ID is the key's id, the beginning of it, or its name. Its id, name, limits and spent budget stay.
    """
    text = new_key()
    selected = select_to_change(session, key)
    check_stdout()
    session.held_signals.hold()
    change = session.change("rotate")
    existing(session.store.rotate(selected.id, digest(text), hint(text), change))
    change = replace(session.change("rotate"), at_ms=change.at_ms + 1)
    found = existing(session.store.end_replaced(selected.id, int(session.now), change))
    said = (
        f"Rotated {found.id} ({found.name}). The old key is refused within 30 s everywhere.\n\n{_once(text)}"
    )
    state = views.state(found, session.now)
    if state != "active":
        said += f"\n\nIt is {state}, and refused as long as it is: {PROGRAM} show {found.id}"
    return Result(said, {"key": text, **views.key_record(found, session.now)}, new_text=_new_text(found.id))


def _chosen_key(session: Session, variable: str) -> str:
    """Return the key that a variable holds, which a command line would show to every user of the machine.

    Raises: UsageError, which does not quote it.
    """
    if not session.location.endpoint_url:
        raise click.UsageError(
            "Expected --key-from-env only with --endpoint (or DYNAMODB_ENDPOINT), for a table on this"
            " machine: a key that a person chose can be guessed. Leave it out, and a new key is made."
        )
    text = session.variables.get(variable, "")
    if not (text and text.isascii() and text.isprintable() and text == text.strip()):
        raise click.UsageError(
            f"Expected {variable} to hold a key, of printable ASCII without space around it, but got"
            f" {'something else' if text else 'nothing'}."
        )
    try:
        check_key(text)
    except MistypedKey as error:
        raise click.UsageError(
            f"Expected {variable} to hold a key, but got one with a typing mistake in it."
        ) from error
    return text


def _new_text(key_id: str) -> NewText:
    lost = f"Its text is lost. Get another: {PROGRAM} rotate {key_id}"
    return NewText(finish=lambda: "", lost=lambda: lost, unread=lambda: lost)


def _once(text: str) -> str:
    return f"  {text}\n\nKeep it now: it is not shown again, and only its SHA-256 is stored."
