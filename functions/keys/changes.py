"""The commands that make and change keys."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import click

from functions.shared.key_text import MistypedKey, check_key, digest, hint, new_key
from functions.shared.keys import Key

from . import options, views
from .delivery import NewText, check_stdout
from .group import KEY, Result, command
from .selection import select
from .session import PROGRAM, Session


@command("create --name alice --models default --rpm 60 --tpm 20000 --budget-tokens 1000000 --expires 90d")
@click.option("--name", required=True, type=options.NAME, help="Whose key it is, for `list`.")
@click.option(
    "--models",
    type=options.MODELS,
    multiple=True,
    help="The models it may use: names with commas, or one --models each. Default: all.",
)
@click.option("--rpm", type=options.COUNT, help="Requests a minute. Default: no limit.")
@click.option("--tpm", type=options.COUNT, help="Tokens a minute, with prompts. Default: no limit.")
@click.option("--concurrent", type=options.COUNT, help="Requests at a time. Default: no limit.")
@click.option("--budget-tokens", type=options.COUNT, help="Tokens in all. Default: no limit.")
@click.option(
    "--expires",
    type=options.FUTURE,
    help="When it ends: 90d, 12h or 30m from now, or a date such as 2027-01-31 (00:00 UTC). Default: never.",
)
@click.option(
    "--key-from-env",
    metavar="VARIABLE",
    help="The variable that holds the key itself, for a table on this machine. Default: a new, random key.",
)
def create(
    session: Session,
    name: str,
    models: Sequence[list[str]],
    rpm: int | None,
    tpm: int | None,
    concurrent: int | None,
    budget_tokens: int | None,
    expires: int | None,
    key_from_env: str | None,
) -> Result:
    """Make a key, and print it this once."""
    text = _chosen_key(session, key_from_env) if key_from_env is not None else new_key()
    key = Key(
        id=f"key_{secrets.token_hex(8)}",
        digest=digest(text),
        hint=hint(text),
        name=name,
        models=frozenset(model for names in models for model in names),
        requests_per_minute=rpm,
        tokens_per_minute=tpm,
        concurrent=concurrent,
        budget_tokens=budget_tokens,
        created_at=int(session.now),
        created_by=session.actor,
        books=2,
        expires_at=expires,
    )
    store = session.store
    check_stdout()
    session.held_signals.hold()
    store.add(key, session.change("create"))
    said = f"Created {key.id} ({key.name}).\n\n{_once(text)}"
    return Result(said, {"key": text, **views.key_record(key, session.now)}, new_text=_new_text(key.id))


@command("disable key_1f2e")
@KEY
def disable(session: Session, key: str) -> Result:
    """Refuse a key from now on, within 30 s everywhere.

    ID is the key's id, the beginning of it, or its name.
    """
    found = _changed(session, key, "disable", disabled=True)
    said = (
        f"Disabled {found.id} ({found.name}). It is refused within 30 s everywhere."
        f"\nTo accept it again: {PROGRAM} enable {found.id}"
    )
    return Result(said, views.key_record(found, session.now))


@command("enable key_1f2e")
@KEY
def enable(session: Session, key: str) -> Result:
    """Accept a disabled key again.

    ID is the key's id, the beginning of it, or its name.
    """
    found = _changed(session, key, "enable", disabled=False)
    said = f"Enabled {found.id} ({found.name}). It is accepted within 30 s everywhere."
    if found.expires_at is not None and views.state(found, session.now) == "expired":
        said = (
            f"Enabled {found.id} ({found.name}), but it expired on {views.clock(found.expires_at)} and is"
            f" still refused.\nMake another: {PROGRAM} create --help"
        )
    return Result(said, views.key_record(found, session.now))


@command("rotate alice")
@KEY
def rotate(session: Session, key: str) -> Result:
    """Give a key a new text, print it this once, refuse the old one.

    ID is the key's id, the beginning of it, or its name. Its id, name, limits and spent budget stay.
    """
    text = new_key()
    selected = select(session.store.all_keys(), key)
    check_stdout()
    session.held_signals.hold()
    change = session.change("rotate")
    _existing(session.store.rotate(selected.id, digest(text), hint(text), change))
    change = replace(session.change("rotate"), at_ms=change.at_ms + 1)
    found = _existing(session.store.end_replaced(selected.id, int(session.now), change))
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


def _changed(session: Session, which: str, command: str, **members: Any) -> Key:
    """Change members of a key, and return it."""
    found = select(session.store.all_keys(), which)
    done = session.store.change(found.id, lambda key: replace(key, **members), session.change(command))
    return _existing(done[0] if done else None)


def _existing(key: Key | None) -> Key:
    if key is None:
        raise click.ClickException(f"The key was removed just now. What is there: {PROGRAM} list")
    return key


def _new_text(key_id: str) -> NewText:
    lost = f"Its text is lost. Get another: {PROGRAM} rotate {key_id}"
    return NewText(finish=lambda: "", lost=lambda: lost, unread=lambda: lost)


def _once(text: str) -> str:
    return f"  {text}\n\nKeep it now: it is not shown again, and only its SHA-256 is stored."
