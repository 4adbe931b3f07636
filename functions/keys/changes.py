"""The commands that make keys and change their texts."""

from __future__ import annotations

import secrets
from typing import Any

import click

from functions.shared.key_text import MistypedKey, check_key, digest, hint, new_key
from functions.shared.keys import Key, KeysUnavailable

from . import options, views
from .delivery import NewText, check_stdout
from .group import KEY, Result, command
from .history import Change
from .key_options import altered, check_models, key_options
from .selection import check_name, existing, select_to_change
from .session import PROGRAM, Session, noted


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
    exists = f"{PROGRAM} rotate {key.id} gives the key another text, {PROGRAM} delete {key.id} removes it."
    with noted(f"If {key.id} was created all the same, its text is lost: {exists}", unless_refused=True):
        store.add(key, change)

    def remove() -> str:
        try:
            store.delete(key.id, key.created_at, session.change("create", after=change))
        except KeysUnavailable:
            return f"{key.id} was created, and its text is lost: {exists}"
        return f"{key.id} was removed again."

    said = f"Created {key.id} ({key.name}).\n\n{_once(text)}"
    new_text = NewText(finish=lambda: "", lost=remove, unread=lambda: f"If it is lost: {exists}")
    data = {"key": text, **views.key_record(key, session.now)}
    return Result(said, data, notes=notes, new_text=new_text)


@command("rotate alice --grace 24h")
@KEY
@click.option(
    "--grace",
    type=options.SPAN,
    help="For how long the texts before are accepted, too, as 24h, if they do not end earlier. Default: not"
    " at all.",
)
@click.option("--finish", is_flag=True, help="Make no new text: end those that were rotated before.")
def rotate(session: Session, key: str, grace: int | None, finish: bool) -> Result:
    """Give a key a new text, print it this once, and then refuse the one before.

    ID is the key's id, at least eight digits of it, or its name. Its id, name, limits and spent budget stay.
    """
    selected, change = select_to_change(session, key), session.change("rotate")
    until = int(session.now) + grace if grace else None
    if finish:
        if not any(text.is_accepted(session.now) for text in session.store.replaced(selected.id)):
            said = (
                f"Nothing was changed: {selected.id} ({selected.name}) has no earlier text that is accepted."
            )
            return Result(said, views.key_record(selected, session.now))
        return Result(_end(session, selected, until, change), views.key_record(selected, session.now))
    text = new_key()
    check_stdout()
    session.held_signals.hold()
    again = f"The text before is still accepted. Try again: {PROGRAM} rotate {selected.id}"
    with noted(again, unless_refused=True):
        found = existing(session.store.rotate(selected.id, digest(text), hint(text), change))

    def end() -> str:
        finish = f"{PROGRAM} rotate {found.id} --finish"
        with noted(f"The new text is accepted. The text before still is, too; end it: {finish}"):
            ended = _end(session, found, until, session.change("rotate", after=change))
        if until is not None:
            ended += f" To end it earlier: {finish}"
        state = views.state(found, session.now)
        if state != "active":
            ended += f"\nIt is {state}, and refused as long as it is: {PROGRAM} show {found.id}"
        return f"\n{ended}"

    def take_back() -> str:
        try:
            undo = session.change("rotate", after=change)
            kept = session.store.take_back(found.id, found.digest, selected.digest, undo)
        except KeysUnavailable:
            return again
        if not kept or kept.digest != selected.digest:
            return again
        return f"{found.id} has its text from before again. Try again: {PROGRAM} rotate {found.id}"

    said = f"Rotated {found.id} ({found.name}).\n\n{_once(text)}"
    data = {"key": text, "earlier_until": views.iso_time(until or session.now)}
    new_text = NewText(finish=end, lost=take_back, unread=lambda: again)
    return Result(said, {**data, **views.key_record(found, session.now)}, new_text=new_text)


def _end(session: Session, key: Key, until: int | None, change: Change) -> str:
    """Give the texts that a key had before an end, and return what to print."""
    existing(session.store.end_replaced(key.id, until or int(session.now), change))
    if until is None:
        return f"What {key.id} ({key.name}) had before is refused within 30 s everywhere."
    return f"What {key.id} ({key.name}) had before is accepted until {views.clock(until)} at most."


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


def _once(text: str) -> str:
    return f"  {text}\n\nKeep it now: it is not shown again, and only its SHA-256 is stored."
