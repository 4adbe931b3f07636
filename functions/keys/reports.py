"""The commands that show keys and what they have used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict

import click

from functions.shared.dynamodb import in_parallel
from functions.shared.keys import Key
from functions.shared.usage import NONE

from . import key_views, options, views
from .books import Used
from .group import KEY, Result, command
from .history import Change
from .progress import progress
from .selection import select
from .session import PROGRAM, Session
from .tables import Rows


@command("list --stack chatbot")
@click.option("--deleted", is_flag=True, help="List those that were deleted, and can be restored.")
def list_(session: Session, deleted: bool) -> Result:
    """List the keys, by name."""
    keys = [key for key in session.store.all_keys() if (key.deleted_at is not None) == deleted]
    keys = sorted(keys, key=lambda key: (key.name.casefold(), key.created_at, key.id))
    none = f"No keys yet. Make the first: {PROGRAM} create --name alice"
    if deleted:
        none = "No key was deleted, or none that is still kept."
    counts = session.store.counts_of_all([key.id for key in keys])
    text = key_views.keys_table(keys, counts, session.now) if keys else none
    return Result(text, [key_views.listed_record(key, counts.get(key.id), session.now) for key in keys])


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


@command("usage alice --by model --since 7d")
@click.argument("key", type=options.WHICH, metavar="[ID]", required=False)
@click.option(
    "--by",
    type=click.Choice(("day", "model", "key")),
    default="day",
    show_default=True,
    help="What to add up; days are of UTC.",
)
@click.option(
    "--since",
    type=options.PAST,
    default="30d",
    show_default=True,
    help="30d ago, or a date such as 2026-11-01: from 00:00 UTC of that day.",
)
@click.option("--records", is_flag=True, help="List the requests of one key, the newest first.")
@click.option(
    "--limit", type=options.COUNT, default="100", show_default=True, help="How many requests to list."
)
def usage(session: Session, key: str | None, by: str, since: int, records: bool, limit: int) -> Result:
    """Add up what was used, in whole days of UTC.

    ID is the key's id, the beginning of it, or its name. Without it, all keys are added up, and the requests
    that had none.
    """
    keys = session.store.all_keys()
    until_ms = int(session.now * 1000) + 1
    if records:
        if not key:
            raise click.UsageError("Expected the ID of a key with --records, but got none.")
        return _records(session, select(session.store, key), since, until_ms, limit)
    found = select(session.store, key) if key else None
    report = views.Report.of(_used(session, keys, found, since * 1000, until_ms), by)
    text: str | Rows = (
        f"No usage since {views.iso_day(since)}. Go further back with --since, as in --since 365d."
        "\nA request counts as soon as it has been answered."
    )
    if report.sums:
        names = {NONE: "(no key)", **{each.id: f"{each.name} {each.id}" for each in keys}}
        text = report.table(names if by == "key" else {})
    first = since - since % 86400
    times = {"since": views.iso_time(first), "until": views.iso_time(session.now)}
    data = {**times, "by": by, "key": found.id if found else None, "rows": report.records()}
    return Result(text, data)


def _used(
    session: Session, keys: Sequence[Key], key: Key | None, since_ms: int, until_ms: int
) -> Iterable[Used]:
    """Return what a key has used, or all of them and none; requests that have died are settled before."""
    store = session.store
    if key is None:
        store.settle_dead([each.id for each in keys], session.now)
        return store.sums_of_all(keys, since_ms, until_ms)
    store.running(key.id, session.now)
    return [(key.id, *used) for used in store.sums(key.id, since_ms, until_ms, books=key.books)]


def _records(session: Session, key: Key, since: int, until_ms: int, limit: int) -> Result:
    """List a key's newest records: no more of them are read than are listed."""
    listed = list(session.store.usage(key.id, since * 1000, until_ms, newest=limit))
    text: str | Rows = f"No records since {views.iso_day(since)}. Go further back with --since 365d."
    if listed:
        text = views.records_table(listed)
    times = {"since": views.iso_time(since), "until": views.iso_time(session.now)}
    return Result(text, {**times, "key": key.id, "records": [asdict(each) for each in listed]})


@command("recount --stack chatbot")
def recount(session: Session) -> Result:
    """Add the records of earlier versions to what `usage` adds up, each once.

    It is safe to repeat, and to stop, and to run while requests come.
    """
    key_ids = [NONE, *(each.id for each in session.store.all_keys())]
    until_ms = int(session.now * 1000) + 1
    counted = sum(session.store.recount(key_id, until_ms) for key_id in key_ids)
    return Result(f"Added {views.counted(counted, 'record')} to the sums.", {"counted": counted})
