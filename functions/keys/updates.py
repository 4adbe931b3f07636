"""The commands that change keys, but not their texts."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Any

import click

from functions.shared.budgets import resets_at
from functions.shared.keys import Key
from functions.shared.limits import Counts, period_at

from . import change_views, options, views
from .group import KEY, Result, command
from .key_options import altered, check_models, is_given, key_options, topped_up
from .selection import change, check_name, existing, select, select_to_change
from .session import PROGRAM, Session


@command("update alice --rpm 120 --budget 2M/month --expires none")
@KEY
@key_options(new=False)
def update(session: Session, key: str, **given: Any) -> Result:
    """Change what a key may do, within 30 s everywhere.

    ID is the key's id, at least eight digits of it, or its name. What is not given stays as it is; none takes
    a limit away.
    """
    if not is_given({**given, "same_name": False, "any_model": False}):
        raise click.UsageError("Expected an option that changes the key, as --rpm 120, but got none.")
    found = select_to_change(session, key)
    if given["name"] is not None:
        check_name(session.store, given["name"], same_name=given["same_name"], except_id=found.id)
    notes = check_models(session, given)
    found, made = change(session, found, "update", lambda key: altered(key, given))
    said = [
        f"Updated {found.id} ({found.name}). It holds within 30 s everywhere.",
        *change_views.lines(made.members),
    ]
    if not made.members:
        said = [f"Nothing was changed: {found.id} ({found.name}) is so already."]
    data = {**views.key_record(found, session.now), "changed": change_views.record(made.members)}
    return Result("\n".join(said), data, notes=notes)


@command("topup alice 500k")
@KEY
@click.argument("tokens", type=options.COUNT, metavar="N")
def topup(session: Session, key: str, tokens: int) -> Result:
    """Add N tokens to a key's budget.

    ID is the key's id, at least eight digits of it, or its name. A budget that begins again each day, week or
    month is raised for the current one alone.
    """
    found = select_to_change(session, key)
    counts = session.store.counts_of_all([found.id]).get(found.id, Counts(window=0))

    def alter(key: Key) -> Key:
        return topped_up(key, tokens, period_at(key, counts, session.now)[0])

    found, made = change(session, found, "topup", alter)
    end = resets_at(found, found.extra_period if found.budget_period else "")
    total = (found.budget_tokens or 0) + (found.extra_tokens if end is not None else 0)
    until = "" if end is None else f" until {views.clock(end)}, then {found.budget_tokens or 0:,} again"
    said = f"Added {tokens:,} tokens to {found.id} ({found.name}). Its budget is {total:,}{until}."
    data = {**views.key_record(found, session.now), "changed": change_views.record(made.members)}
    return Result(said, data)


@command("disable key_1f2e3d4c")
@KEY
def disable(session: Session, key: str) -> Result:
    """Refuse a key from now on, within 30 s everywhere.

    ID is the key's id, at least eight digits of it, or its name.
    """
    found, _ = change(
        session, select_to_change(session, key), "disable", lambda key: replace(key, disabled=True)
    )
    said = (
        f"Disabled {found.id} ({found.name}). It is refused within 30 s everywhere."
        f"\nTo accept it again: {PROGRAM} enable {found.id}"
    )
    return Result(said, views.key_record(found, session.now))


@command("enable key_1f2e3d4c")
@KEY
def enable(session: Session, key: str) -> Result:
    """Accept a disabled key again.

    ID is the key's id, at least eight digits of it, or its name.
    """
    found, _ = change(
        session, select_to_change(session, key), "enable", lambda key: replace(key, disabled=False)
    )
    said = f"Enabled {found.id} ({found.name}). It is accepted within 30 s everywhere."
    if found.expires_at is not None and views.state(found, session.now) == "expired":
        said = (
            f"Enabled {found.id} ({found.name}), but it expired on {views.clock(found.expires_at)} and is"
            f" still refused.\nTo accept it again: {PROGRAM} update {found.id} --expires 90d"
        )
    return Result(said, views.key_record(found, session.now))


@command("delete key_1f2e3d4c --keep 30d")
@KEY
@click.option(
    "--keep",
    type=options.SPAN,
    default="90d",
    show_default=True,
    help="How long it can be restored, and its usage is shown.",
)
@click.option("--yes", is_flag=True, help="Delete without a confirmation.")
def delete(session: Session, key: str, keep: int, yes: bool) -> Result:
    """Refuse a key from now on, and remove it later.

    ID is the key's id, at least eight digits of it, or its name. It is refused within 30 s everywhere. `list`
    does not show it any more; `usage` does, as long as it is kept. It is safe to repeat.
    """
    found = select(session.store, key, to_change=True)
    until = int(session.now) + keep
    kept = f"It can be restored until {views.clock(until)}." if keep else "It cannot be restored."
    _confirm(f"Delete {found.id} ({found.name})? {kept}", yes)
    found = existing(session.store.delete(found.id, until, session.change("delete")))
    said = f"Deleted {found.id} ({found.name}). It is refused within 30 s everywhere.\n{kept}"
    if keep:
        said += f" To do so: {PROGRAM} restore {found.id}"
    return Result(said, views.key_record(found, session.now))


@command("restore alice")
@KEY
@click.option("--same-name", is_flag=True, help="Accept a name that another key has meanwhile.")
def restore(session: Session, key: str, same_name: bool) -> Result:
    """Accept a deleted key again, as it was.

    ID is the key's id, at least eight digits of it, or its name.
    """
    found = select(session.store, key, to_change=True, deleted=True)
    if found.deleted_at is None:
        raise click.ClickException(
            f"{found.id} ({found.name}) is not deleted. What is: {PROGRAM} list --deleted"
        )
    if found.kept_until is not None and found.kept_until <= session.now:
        raise click.ClickException(
            f"{found.id} ({found.name}) was kept until {views.clock(found.kept_until)}, and is being removed."
            f" Make another: {PROGRAM} create --help"
        )
    check_name(session.store, found.name, same_name=same_name, except_id=found.id)
    found = existing(session.store.restore(found.id, session.change("restore")))
    said = f"Restored {found.id} ({found.name}). It is accepted within 30 s everywhere."
    state = views.state(found, session.now)
    if state != "active":
        said = f"Restored {found.id} ({found.name}). It is {state}, as it was: {PROGRAM} show {found.id}"
    return Result(said, views.key_record(found, session.now))


def _confirm(question: str, yes: bool) -> None:
    """Return once a person agrees.

    Raises: UsageError, where there is none; ClickException.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise click.UsageError("Expected --yes, for there is no terminal to confirm it on.")
    if not click.confirm(question, err=True):
        raise click.ClickException("Nothing was deleted.")
