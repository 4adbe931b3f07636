"""Keys and usage in memory, as the table keeps them, and the command that works with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from functions.keys.commands import cli
from functions.keys.group import Result
from functions.keys.session import PROGRAM, Session
from functions.keys.tables import render
from functions.keys.views import iso_day
from functions.shared.keys import Key
from functions.shared.limits import Running
from functions.shared.usage import UsageRecord, UsageSum

NOW = 1795572000.0  # 2026-11-25 02:00 UTC
DAY_S = 86400


@dataclass
class MemoryStore:
    """A `Store`; `failing` is raised by every call after the first `answered` ones."""

    keys: dict[str, Key] = field(default_factory=dict)
    tokens_spent: dict[str, int] = field(default_factory=dict)
    in_flight: list[Running] = field(default_factory=list)
    uncounted: int = 0
    records: dict[tuple[str, int, str], UsageRecord] = field(default_factory=dict)
    failing: Exception | None = None
    answered: int = 0

    def add(self, key: Key) -> None:
        self._count()
        self.keys[key.id] = key

    def all_keys(self) -> list[Key]:
        self._count()
        return list(self.keys.values())

    def find(self, key_id: str) -> Key | None:
        self._count()
        return self.keys.get(key_id)

    def set_disabled(self, key_id: str, disabled: bool) -> Key | None:
        return self._change(key_id, disabled=disabled)

    def rotate(self, key_id: str, new_digest: str, new_hint: str) -> Key | None:
        return self._change(key_id, digest=new_digest, hint=new_hint)

    def spent(self, key_id: str) -> int:
        self._count()
        return self.tokens_spent.get(key_id, 0)

    def running(self, key_id: str, now: float) -> list[Running]:  # noqa: ARG002
        self._count()
        return self.in_flight

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

    def recount(self, key_id: str, until_ms: int) -> int:  # noqa: ARG002
        self._count()
        return self.uncounted

    def put_usage(self, record: UsageRecord) -> bool:
        self._count()
        place = record.key_id, record.started_at, record.request_id
        is_new = place not in self.records or record.supersedes(self.records[place])
        if is_new:
            self.records[place] = record
        return is_new

    def _change(self, key_id: str, **changes: object) -> Key | None:
        self._count()
        if key_id not in self.keys:
            return None
        self.keys[key_id] = replace(self.keys[key_id], **changes)  # type: ignore[arg-type]
        return self.keys[key_id]

    def _count(self) -> None:
        if self.failing and self.answered <= 0:
            raise self.failing
        self.answered -= 1


def session_of(store: MemoryStore, now: float = NOW, **environ: str) -> Session:
    """Return a session on a store in memory."""
    return Session(now, {"KEYS_TABLE": "keys", **environ}, connect=lambda location: (location, store))


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
    """Return what a result prints for people."""
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
