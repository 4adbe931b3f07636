"""The command that replays logs."""

from __future__ import annotations

import click

from functions.shared.keys import KeysUnavailable

from . import views
from .group import Result, command
from .replay import Replay
from .session import Session


@command("replay function.log")
@click.argument("file")
def replay(session: Session, file: str) -> Result:
    """Write the usage records of a log into the table, each once.

    FILE holds lines of the functions' logs; - reads standard input.
    """
    store, done = session.store, Replay()
    try:
        with click.open_file(file, encoding="utf-8", errors="replace") as lines:
            done.read(lines, store.put_usage)
    except OSError as error:
        reason = error.strerror or error
        raise click.ClickException(
            f"Cannot read {file}: {reason}. Give the path of a log, or - for standard input."
        ) from error
    except KeysUnavailable as error:
        error.add_note(
            f"{views.counted(done.records, 'usage record')} {'was' if done.records == 1 else 'were'} written."
            " Replay the whole log again: each counts once."
        )
        raise
    warnings = [f"line {number}: {text}" for number, text in done.mistakes]
    if done.malformed_lines > len(warnings):
        warnings.append(f"and {done.malformed_lines - len(warnings):,} more.")
    said = (
        f"Wrote {views.counted(done.records, 'usage record')}; each counts once, however often it is"
        f" replayed.\nSkipped {views.counted(done.other_lines, 'other line')}"
        f" and {views.counted(done.malformed_lines, 'malformed record')}."
    )
    malformed = [{"line": number, "reason": text} for number, text in done.mistakes]
    counts = {"written": done.records, "skipped": done.other_lines, "malformed": done.malformed_lines}
    return Result(said, {**counts, "mistakes": malformed}, warnings)
