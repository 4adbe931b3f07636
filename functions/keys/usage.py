"""The commands that report what keys have used."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import click

from functions.shared.keys import Key
from functions.shared.refusals import counted
from functions.shared.usage import NONE

from . import options, usage_report, views
from .books import Used
from .group import Result, command
from .selection import select
from .session import Session
from .spreadsheets import csv_lines
from .tables import Rows
from .usage_report import Report

_DAY_S = 86400
# How many requests are listed where people look.
_LISTED = 100


@dataclass(frozen=True)
class _Days:
    """Whole days of UTC, the last one up to now. Units: s since 1970; `end` is not in it."""

    start: int
    end: int

    @classmethod
    def of(cls, since: int, until: float, now: float) -> _Days:
        """Return the days from one moment to another, both included.

        Raises: UsageError.
        """
        start, end = since // _DAY_S * _DAY_S, min(int(until) // _DAY_S * _DAY_S + _DAY_S, int(now) + 1)
        if start >= end:
            raise click.UsageError(
                f"Expected --until to be no earlier than --since, {views.iso_day(start)}, but got"
                f" {views.iso_day(until)}."
            )
        return cls(start, end)

    def members(self, now: float) -> dict[str, str]:
        """Return the days for programs."""
        return {"since": views.iso_time(self.start), "until": views.iso_time(min(self.end, now))}


@command("usage alice --by day,model --since 7d")
@click.argument("key", type=options.WHICH, metavar="[ID]", required=False)
@click.option(
    "--by",
    type=options.Value("A,B", usage_report.dimensions),
    help="What to add up: day, model or key, or several of them, as in day,model. Default: day.",
)
@click.option(
    "--since",
    type=options.PAST,
    default="30d",
    show_default=True,
    help="The first day, of UTC: a date such as 2026-11-01, or 2d for the day two days ago.",
)
@click.option("--until", type=options.PAST, help="The last day, all of it. Default: today.")
@click.option(
    "--records",
    is_flag=True,
    help="List requests: the newest first; with --csv or --json the oldest first, and also of all keys.",
)
@click.option(
    "--limit",
    type=options.COUNT,
    help=f"How many requests to list. Default: {_LISTED}; with --csv or --json all.",
)
@options.CSV
def usage(
    session: Session,
    key: str | None,
    by: tuple[str, ...] | None,
    since: int,
    until: int | None,
    records: bool,
    limit: int | None,
    csv: bool,
) -> Result:
    """Add up what was used, in whole days of UTC.

    ID is the key's id, the beginning of it, or its name. Without it, all keys are added up, deleted ones too,
    and the requests that had none.
    """
    if (records and by) or (limit and not records):
        wrong, right = ("--by", "without") if records else ("--limit", "with")
        raise click.UsageError(f"Expected {wrong} only {right} --records, which lists single requests.")
    days = _Days.of(since, session.now if until is None else until, session.now)
    programs = options.for_programs(session, csv=csv)
    if records and not key and not programs:
        raise click.UsageError(
            "Expected the ID of a key with --records, but got none. With --csv or --json, the records of all"
            " keys are printed."
        )
    keys = session.store.all_keys() if not key else []
    found = select(session.store, key) if key else None
    names = usage_report.names_of([found] if found else keys)
    about = {**days.members(session.now), "key": found.id if found else None}
    if records and programs:
        key_ids = [found.id] if found else [NONE, *(each.id for each in keys)]
        members = _members(session, key_ids, days, names, limit)
        if csv:
            rows = ([*each.values()] for each in members)
            return Result("", None, pieces=csv_lines(usage_report.RECORD_COLUMNS, rows))
        return Result("", None, pieces=_json_pieces(about, members))
    if records and found:
        return _listed(session, found, days, limit or _LISTED)
    by = by or ("day",)
    report = Report.of(_used(session, keys, found, days), by, names)
    if csv:
        return Result("", None, pieces=csv_lines(*report.spreadsheet()))
    text: str | Rows = report.table()
    if not report.sums:
        text = (
            f"No usage since {views.iso_day(days.start)}. Go further back with --since, as in --since 365d."
            "\nA request counts as soon as it has been answered."
        )
    total = report.total.amounts()
    return Result(text, {**about, "by": ",".join(by), "rows": report.records(), "total": total})


def _used(session: Session, keys: Sequence[Key], key: Key | None, days: _Days) -> Iterable[Used]:
    """Return what a key has used, or all of them and none; requests that have died are settled before."""
    store, since_ms, until_ms = session.store, days.start * 1000, days.end * 1000 - 1
    if key is None:
        store.settle_dead([each.id for each in keys], session.now)
        return store.sums_of_all(keys, since_ms, until_ms)
    store.running(key.id, session.now)
    return [(key.id, *used) for used in store.sums(key.id, since_ms, until_ms, books=key.books)]


def _listed(session: Session, key: Key, days: _Days, limit: int) -> Result:
    """List a key's newest records for people: no more of them are read than are listed."""
    listed = list(session.store.usage(key.id, days.start * 1000, days.end * 1000, newest=limit))
    if listed:
        return Result(usage_report.records_table(listed), None)
    return Result(f"No records since {views.iso_day(days.start)}. Go further back with --since 365d.", None)


def _members(
    session: Session, key_ids: Sequence[str], days: _Days, names: Mapping[str, str], limit: int | None
) -> Iterator[dict[str, Any]]:
    """Yield records for programs while they are read."""
    found = session.store.records_of(key_ids, days.start * 1000, days.end * 1000)
    return (usage_report.record_members(each, names) for each in islice(found, limit))


def _json_pieces(head: Mapping[str, Any], members: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the pieces of a JSON object with records in it, one a line."""
    yield json.dumps({**head, "records": []}, ensure_ascii=False).removesuffix("]}")
    separator = "\n"
    for each in members:
        yield f"{separator}{json.dumps(each, ensure_ascii=False)}"
        separator = ",\n"
    yield "\n]}\n"


@command("recount --stack chatbot")
def recount(session: Session) -> Result:
    """Add the records and the sums of earlier versions to what `usage` adds up, each once.

    Deploy before. It is safe to repeat, and to stop, and to run while requests come; `usage` is right before
    it, but slower.
    """
    added = session.store.recount(session.store.all_keys(), int(session.now * 1000) + 1)
    return Result(f"Added {counted(added, 'record')} to the sums.", {"counted": added})
