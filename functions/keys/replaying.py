"""The command that replays logs."""

from __future__ import annotations

from functools import cache

import click

from functions.shared.budgets import period_of
from functions.shared.keys import Key, KeysUnavailable
from functions.shared.refusals import counted
from functions.shared.usage import NONE, UsageRecord

from .group import Result, command
from .replay import Replay
from .session import Session


@command("replay function.log")
@click.argument("file")
def replay(session: Session, file: str) -> Result:
    """Write the usage records of a log into the table, each once.

    FILE holds lines of the functions' logs; - reads standard input. Records of keys that the table does not
    have, of impossible times, and older than records are kept are reported and left out.
    """
    store = session.store

    @cache
    def find(key_id: str) -> Key | None:
        return None if key_id == NONE else store.find(key_id)

    def is_known(key_id: str) -> bool:
        return key_id == NONE or find(key_id) is not None

    def put(record: UsageRecord) -> bool:
        key = find(record.key_id)
        return store.put_usage(record, period=period_of(key, record.started_at / 1000) if key else "")

    done = Replay(put, is_known, session.now, session.location.keep_records_days)
    try:
        with click.open_file(file, encoding="utf-8", errors="replace") as lines:
            done.read(lines)
    except OSError as error:
        reason = error.strerror or error
        raise click.ClickException(
            f"Cannot read {file}: {reason}. Give the path of a log, or - for standard input."
        ) from error
    except KeysUnavailable as error:
        written = done.counts["written"]
        error.add_note(
            f"{counted(written, 'usage record')} {'was' if written == 1 else 'were'} written."
            " Replay the whole log again: each counts once."
        )
        raise
    warnings = [f"line {number}: {text}" for number, text in done.mistakes]
    if done.left_out > len(warnings):
        warnings.append(f"and {done.left_out - len(warnings):,} more.")
    mistakes = [{"line": number, "reason": text} for number, text in done.mistakes]
    return Result(_summary(done), {**done.counts, "mistakes": mistakes}, warnings)


def _summary(done: Replay) -> str:
    counts = done.counts
    left_out = [
        f"{counts[kind]:,} {text}"
        for kind, text in (
            ("unknown_keys", "of unknown keys"),
            ("impossible_times", "of impossible times"),
            ("too_old", f"older than {done.keep_records_days:,} days"),
        )
        if counts[kind]
    ]
    return (
        f"Wrote {counted(counts['written'], 'usage record')}; each counts once, however often it is"
        f" replayed.\nAlready there: {counts['already_there']:,}."
        f"{' Not written: ' + ', '.join(left_out) + '.' if left_out else ''}\n"
        f"Skipped {counted(counts['skipped'], 'other line')}"
        f" and {counted(counts['malformed'], 'malformed record')}."
    )
