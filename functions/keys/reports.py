"""The commands that show keys and what they have used."""

from __future__ import annotations

import click

from functions.shared.dynamodb import in_parallel
from functions.shared.keys import Key

from . import key_views, options, views
from .group import KEY, Result, command
from .history import Change
from .progress import progress
from .selection import select
from .session import PROGRAM, Session
from .spreadsheets import csv_lines
from .tables import Rows


@command("list --stack chatbot")
@click.option("--deleted", is_flag=True, help="List those that were deleted, and can be restored.")
@options.CSV
def list_(session: Session, deleted: bool, csv: bool) -> Result:
    """List the keys, by name."""
    options.for_programs(session, csv=csv)
    keys = [
        key
        for key in session.store.all_keys()
        if (key.deleted_at is not None) == deleted and (key.kept_until or session.now + 1) > session.now
    ]
    keys = sorted(keys, key=lambda key: (key.name.casefold(), key.created_at, key.id))
    none = f"No keys yet. Make the first: {PROGRAM} create --name alice"
    if deleted:
        none = "No key was deleted, or none that is still kept."
    counts = session.store.counts_of_all([key.id for key in keys])
    records = [key_views.listed_record(key, counts.get(key.id), session.now) for key in keys]
    if csv:
        blank = Key(id="", digest="", name="", created_at=0)
        columns = [*key_views.listed_record(blank, None, session.now)]
        return Result("", records, pieces=csv_lines(columns, ([*each.values()] for each in records)))
    return Result(key_views.keys_table(keys, counts, session.now) if keys else none, records)


@command("show alice")
@KEY
def show(session: Session, key: str) -> Result:
    """Show all that is known of a key, and what is left of its limits.

    ID is the key's id, the beginning of it, or its name.
    """
    store, found = session.store, select(session.store, key)
    store.running(found.id, session.now)  # those that have died are settled
    known = (found, store.counts_of_all([found.id]).get(found.id), store.replaced(found.id), session.now)
    return Result(key_views.key_details(*known), key_views.detailed_record(*known))


@command("history alice")
@click.argument("key", type=options.WHICH, metavar="[ID]", required=False)
@click.option(
    "--since",
    type=options.PAST,
    default="30d",
    show_default=True,
    help="30d ago, or a date such as 2026-11-01: from 00:00 UTC of that day.",
)
def history(session: Session, key: str | None, since: int) -> Result:
    """List the changes of a key, or of all keys: who, when, what; the newest first.

    ID is the key's id, the beginning of it, or its name. A deleted key has a history as long as it is kept.
    """
    store = session.store
    keys = [select(store, key)] if key else store.all_keys()
    changed = [each for each in keys if max(each.created_at, each.changed_at or 0) >= since]
    found: list[tuple[Key, Change]] = []
    with progress("Reading history", len(changed)) as advance:
        for each, changes in zip(
            changed, in_parallel(store.history, [one.id for one in changed]), strict=True
        ):
            advance(1)
            found += [(each, change) for change in changes if change.at_ms >= since * 1000]
    found.sort(key=lambda each: (each[1].at_ms, each[1].id), reverse=True)
    text: str | Rows = f"No changes since {views.iso_day(since)}. Go further back with --since 365d."
    if found:
        text = key_views.history_table(found, of_one=key is not None)
    return Result(text, [key_views.change_record(*each) for each in found])
