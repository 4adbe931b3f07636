"""Keys and usage in memory, as the table keeps them, and the command that works with them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from secrets import token_hex

from functions.keys.books import Used
from functions.keys.commands import cli
from functions.keys.group import Result
from functions.keys.history import Change, differences
from functions.keys.session import PROGRAM, Session
from functions.keys.stored_keys import Listed
from functions.keys.tables import render
from functions.keys.views import iso_day
from functions.shared.key_items import Replaced
from functions.shared.keys import Key
from functions.shared.limits import Counts, Running
from functions.shared.usage import UsageRecord, UsageSum

NOW = 1795572000.0  # 2026-11-25 02:00 UTC
DAY_S = 86400
ACTOR = "carol"


@dataclass
class MemoryStore:
    """A `Store`; `failing` is raised by every call after the first `answered` ones."""

    keys: dict[str, Key] = field(default_factory=dict)
    texts: dict[str, list[Replaced]] = field(default_factory=dict)
    changes: dict[str, list[Change]] = field(default_factory=dict)
    counted: dict[str, Counts] = field(default_factory=dict)
    uncounted: int = 0
    records: dict[tuple[str, int, str], UsageRecord] = field(default_factory=dict)
    called_by: str | None = None
    on_change: Callable[[Key, Change], None] | None = None
    failing: Exception | None = None
    answered: int = 0

    def add(self, key: Key, change: Change | None = None) -> None:
        self._count()
        if change:
            key = replace(key, change=change.id)
            self.changes.setdefault(key.id, []).append(change)
        self.keys[key.id] = key

    def all_keys(self) -> list[Key]:
        self._count()
        return list(self.keys.values())

    def find(self, key_id: str) -> Key | None:
        self._count()
        return self.keys.get(key_id)

    def listed(self) -> list[Listed]:
        self._count()
        return [Listed(key.id, key.name, key.hint, key.deleted_at is not None) for key in self.keys.values()]

    def replaced(self, key_id: str) -> list[Replaced]:
        self._count()
        return self.texts.get(key_id, [])

    def history(self, key_id: str) -> list[Change]:
        self._count()
        return self.changes.get(key_id, [])[::-1]

    def change(self, key_id: str, alter: Callable[[Key], Key], change: Change) -> tuple[Key, Change] | None:
        self._count()
        key = self.keys.get(key_id)
        return self._changed(key, alter(key), change) if key and key.deleted_at is None else None

    def rotate(self, key_id: str, digest: str, hint: str, change: Change) -> Key | None:
        key = self.find(key_id)
        if not key or key.deleted_at is not None:
            return None
        self.texts.setdefault(key_id, []).append(Replaced(key.digest, None, key.hint))
        return self._changed(key, replace(key, digest=digest, hint=hint), change)[0]

    def end_replaced(self, key_id: str, at: int, change: Change) -> Key | None:
        texts = [replace(each, until=min(at, each.until or at)) for each in self.replaced(key_id)]
        self.texts[key_id] = [each for each in texts if each.until and each.until > change.at_ms // 1000]
        return self.keys.get(key_id)

    def take_back(self, key_id: str, digest: str, before: str, change: Change) -> Key | None:
        key, texts = self.find(key_id), {each.digest: each for each in self.replaced(key_id)}
        if not key or key.digest != digest or before not in texts:
            return key
        text = texts.pop(before)
        self.texts[key_id] = [*texts.values()]
        return self._changed(key, replace(key, digest=before, hint=text.hint), change)[0]

    def delete(self, key_id: str, kept_until: int, change: Change) -> Key | None:
        key = self.find(key_id)
        if not key:
            return None
        deleted_at = key.deleted_at or change.at_ms // 1000
        return self._changed(key, replace(key, deleted_at=deleted_at, kept_until=kept_until), change)[0]

    def restore(self, key_id: str, change: Change) -> Key | None:
        key = self.find(key_id)
        return self._changed(key, replace(key, deleted_at=None, kept_until=None), change)[0] if key else None

    def counts_of_all(self, key_ids: Iterable[str]) -> dict[str, Counts]:
        self._count()
        return {each: self.counted[each] for each in key_ids if each in self.counted}

    def running(self, key_id: str, now: float) -> list[Running]:  # noqa: ARG002
        self._count()
        return []

    def usage(
        self, key_id: str, since_ms: int, until_ms: int, *, newest: int | None = None
    ) -> Iterator[UsageRecord]:
        self._count()
        found = sorted(self.records.values(), key=lambda each: each.started_at, reverse=newest is not None)
        yield from [
            record for record in found if record.key_id == key_id and since_ms <= record.started_at < until_ms
        ][:newest]

    def sums(
        self,
        key_id: str,
        since_ms: int,
        until_ms: int,
        *,
        books: int = 1,  # noqa: ARG002
    ) -> list[tuple[str, str, UsageSum]]:
        first, last = iso_day(since_ms / 1000), iso_day(until_ms / 1000)
        return [
            (day, record.model, UsageSum.of(record))
            for record in self.usage(key_id, 0, 10**15)
            if first <= (day := iso_day(record.started_at / 1000)) <= last
        ]

    def settle_dead(self, key_ids: Iterable[str], now: float) -> None:  # noqa: ARG002
        self._count()

    def sums_of_all(
        self,
        keys: Iterable[Key],  # noqa: ARG002
        since_ms: int,
        until_ms: int,
    ) -> Iterator[Used]:
        for key_id in sorted({record.key_id for record in self.records.values()}):
            yield from ((key_id, *used) for used in self.sums(key_id, since_ms, until_ms))

    def records_of(self, key_ids: Iterable[str], since_ms: int, until_ms: int) -> Iterator[UsageRecord]:
        for key_id in key_ids:
            yield from self.usage(key_id, since_ms, until_ms)

    def recount(self, keys: Sequence[Key], until_ms: int) -> int:  # noqa: ARG002
        self._count()
        return self.uncounted

    def put_usage(self, record: UsageRecord, *, period: str = "") -> bool:  # noqa: ARG002
        self._count()
        place = record.key_id, record.started_at, record.request_id
        is_new = place not in self.records or record.supersedes(self.records[place])
        if is_new:
            self.records[place] = record
        return is_new

    def caller(self) -> str | None:
        return self.called_by

    def _changed(self, old: Key, new: Key, change: Change) -> tuple[Key, Change]:
        change = replace(change, members=differences(old, new))
        if change.members:
            self.changes.setdefault(old.id, []).append(change)
            new = replace(new, change=change.id, changed_at=change.at_ms // 1000, changed_by=change.by)
        self.keys[old.id] = new
        return new, change

    def _count(self) -> None:
        if self.failing and self.answered <= 0:
            raise self.failing
        self.answered -= 1


def session_of(store: MemoryStore, now: float = NOW, **environ: str) -> Session:
    """Return a session on a store in memory."""
    return Session(
        now,
        {"KEYS_TABLE": "keys", "KEYS_ACTOR": ACTOR, **environ},
        connect=lambda location: (location, store),
    )


def invoke(store: MemoryStore, *arguments: str, now: float = NOW, **environ: str) -> Result:
    """Run a command as it is typed.

    Raises: ClickException and KeysUnavailable, as the command does.
    """
    return invoke_in(session_of(store, now, **environ), *arguments)


def invoke_in(session: Session, *arguments: str) -> Result:
    """Run a command in a session."""
    with cli.make_context(PROGRAM, [*arguments], obj=session) as context:
        result: Result = cli.invoke(context)
        return result


def printed(result: Result) -> str:
    """Return what a result prints for people, or for programs while it is made."""
    if result.pieces:
        return "".join(result.pieces)
    return result.text if isinstance(result.text, str) else render(result.text)


def a_key(number: int = 1, **members: object) -> Key:
    """Return a key that differs from others by its number."""
    values: dict[str, object] = {
        "id": f"key_{number:016x}",
        "digest": f"{number:064x}",
        "name": "alice",
        "created_at": int(NOW),
        "hint": "sk-…Ab3d",
    }
    return Key(**{**values, **members})  # type: ignore[arg-type]


def a_record(number: int = 1, **members: object) -> UsageRecord:
    """Return a usage record that differs from others by its number."""
    values: dict[str, object] = {
        "request_id": f"req_{number:032x}",
        "key_id": a_key().id,
        "model": "tiny",
        "prompt_tokens": 10,
        "completion_tokens": 20,
        "duration_ms": 12.5,
        "outcome": "ok",
        "started_at": int(NOW * 1000) + number,
    }
    return UsageRecord(**{**values, **members})  # type: ignore[arg-type]


def a_change(command: str = "update", at: float = NOW) -> Change:
    """Return a new change."""
    return Change(id=token_hex(8), at_ms=int(at * 1000), by="alice", command=command)
