"""What each command does with the table, and what it says."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from functions.shared.key_text import digest, hint, new_key
from functions.shared.keys import Key, KeysUnavailable
from functions.shared.usage import NONE, UsageRecord

from .arguments import PROGRAM
from .errors import CommandFailed
from .replay import Replay
from .reports import add_up
from .selection import select
from .spans import clock, iso_day, iso_time
from .tables import pairs, table
from .texts import COLUMNS, details, record, row, state


class Store(Protocol):
    """Where keys and usage are kept.

    Raises: KeysUnavailable, each of them.
    """

    def add(self, key: Key) -> None: ...
    def all_keys(self) -> list[Key]: ...
    def set_disabled(self, key_id: str, disabled: bool) -> Key | None: ...
    def rotate(self, key_id: str, new_digest: str, new_hint: str) -> Key | None: ...
    def spent(self, key_id: str) -> int: ...
    def usage(self, key_id: str, since_ms: int, until_ms: int) -> Iterator[UsageRecord]: ...
    def put_usage(self, record: UsageRecord) -> None: ...


@dataclass(frozen=True)
class Answer:
    """What a command says: to people, or as JSON; `warnings` are for stderr, and then the status is 1."""

    text: str
    data: Any
    warnings: list[str] = field(default_factory=list)


def create(
    store: Store,
    now: float,
    *,
    name: str,
    models: Iterable[str] = (),
    requests_per_minute: int | None = None,
    tokens_per_minute: int | None = None,
    budget_tokens: int | None = None,
    expires_at: int | None = None,
    text: str | None = None,
) -> Answer:
    """Make a key, of a new text unless there is one."""
    text = text or new_key()
    key = Key(
        id=f"key_{secrets.token_hex(8)}",
        digest=digest(text),
        hint=hint(text),
        name=name,
        models=frozenset(models),
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        budget_tokens=budget_tokens,
        created_at=int(now),
        expires_at=expires_at,
    )
    store.add(key)
    return Answer(f"Created {_called(key)}.\n\n{_once(text)}", {"key": text, **record(key, now)})


def list_keys(store: Store, now: float) -> Answer:
    """List all keys, by name."""
    keys = sorted(store.all_keys(), key=lambda key: (key.name, key.created_at, key.id))
    text = table(COLUMNS, [row(key, now) for key in keys], ("NAME", "MODELS"))
    none = f"No keys yet. Make the first: {PROGRAM} create --name alice"
    return Answer(text if keys else none, [record(key, now) for key in keys])


def show(store: Store, which: str, now: float) -> Answer:
    """Show all that is known of a key."""
    key = select(store.all_keys(), which)
    spent = store.spent(key.id)
    return Answer(pairs(details(key, spent, now)), {**record(key, now), "spent_tokens": spent})


def disable(store: Store, which: str, now: float) -> Answer:
    """Refuse a key from now on."""
    key = _kept(store.set_disabled(select(store.all_keys(), which).id, True))
    said = (
        f"Disabled {_called(key)}. It is refused within 30 s everywhere."
        f"\nTo let it in again: {PROGRAM} enable {key.id}"
    )
    return Answer(said, record(key, now))


def enable(store: Store, which: str, now: float) -> Answer:
    """Let a disabled key in again."""
    key = _kept(store.set_disabled(select(store.all_keys(), which).id, False))
    said = f"Enabled {_called(key)}. It is let in within 30 s everywhere."
    if key.expires_at is not None and state(key, now) == "expired":
        said = (
            f"Enabled {_called(key)}, but it expired on {clock(key.expires_at)} and is still refused."
            f"\nMake another: {PROGRAM} create -h"
        )
    return Answer(said, record(key, now))


def rotate(store: Store, which: str, now: float) -> Answer:
    """Give a key a new text; id, name, limits and what it has spent stay."""
    text = new_key()
    key = _kept(store.rotate(select(store.all_keys(), which).id, digest(text), hint(text)))
    said = f"Rotated {_called(key)}. The old key is refused within 30 s everywhere.\n\n{_once(text)}"
    if state(key, now) != "active":
        said += f"\n\nIt is {state(key, now)}, and refused as long as it is: {PROGRAM} show {key.id}"
    return Answer(said, {"key": text, **record(key, now)})


def usage(store: Store, which: str | None, by: str, since: int, now: float) -> Answer:
    """Add up what one key used, or all keys and requests without one."""
    keys = store.all_keys()
    asked = [select(keys, which).id] if which else [NONE, *(key.id for key in keys)]
    until_ms = int(now * 1000) + 1
    report = add_up((each for key_id in asked for each in store.usage(key_id, since * 1000, until_ms)), by)
    data = {"since": iso_time(since), "until": iso_time(now), "by": by, "key": asked[0] if which else None}
    names = {NONE: "(no key)", **{key.id: f"{key.name} {key.id}" for key in keys}} if by == "key" else {}
    text = report.text(names)
    if not report.sums:
        text = (
            f"No usage since {iso_day(since)}. Go further back with --since, as in --since 365d."
            "\nA request counts as soon as it has been answered."
        )
    return Answer(text, {**data, "rows": report.records()})


def replay(store: Store, lines: Iterable[str]) -> Answer:
    """Write the usage records of a log into the table; one that is there already stays one."""
    done = Replay()
    try:
        done.read(lines, store.put_usage)
    except KeysUnavailable as error:
        error.add_note(
            f"{_counted(done.records, 'usage record')} {'was' if done.records == 1 else 'were'} written."
            " Replay the whole log again: each counts once."
        )
        raise
    warnings = [f"line {number}: {text}" for number, text in done.mistakes]
    if done.malformed_lines > len(warnings):
        warnings.append(f"and {done.malformed_lines - len(warnings):,} more.")
    said = (
        f"Wrote {_counted(done.records, 'usage record')}; each counts once, however often it is replayed."
        f"\nSkipped {_counted(done.other_lines, 'other line')}"
        f" and {_counted(done.malformed_lines, 'malformed record')}."
    )
    malformed = [{"line": number, "reason": text} for number, text in done.mistakes]
    counts = {"written": done.records, "skipped": done.other_lines, "malformed": done.malformed_lines}
    return Answer(said, {**counts, "mistakes": malformed}, warnings)


def _kept(key: Key | None) -> Key:
    if key is None:
        raise CommandFailed(f"The key was removed in this moment. What is there: {PROGRAM} list")
    return key


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def _called(key: Key) -> str:
    return f"{key.id} ({key.name})"


def _once(text: str) -> str:
    return f"  {text}\n\nKeep it now: it is not shown again, and only its SHA-256 is stored."
