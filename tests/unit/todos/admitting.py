"""Keys and a ledger in memory."""

from __future__ import annotations

from functions.shared.key_text import digest
from functions.shared.keys import Key, KeysUnavailable
from functions.shared.limits import Allowance, LimitReached, Reservation, Running
from functions.shared.usage import UsageRecord


def key(name: str, *, requests_per_minute: int | None = None) -> Key:
    """Return the key whose text is its name, with other limits that are all used up."""
    return Key(
        id=f"key_{name}",
        digest=digest(name),
        name=name,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=0,
        budget_tokens=0,
        concurrent=0,
        created_at=0,
    )


class FakeKeys:
    """Keeps keys by digest. Each query fails while it is `down`."""

    def __init__(self, *keys: Key, down: bool = False) -> None:
        self.keys = {each.digest: each for each in keys}
        self.down = down

    async def key(self, digest: str) -> Key | None:
        if self.down:
            raise KeysUnavailable("ThrottlingException")
        return self.keys.get(digest)


class FakeLedger:
    """Counts the requests of one endless minute, and enforces the limit of each key."""

    def __init__(self, *, failure: Exception | None = None) -> None:
        self.requests: dict[str, int] = {}
        self.failure = failure
        self.touched: list[str] = []
        self.queries = 0

    async def reserve(self, key: Key, request: Running | None, now: float) -> Reservation:  # noqa: ARG002
        self.queries += 1
        if self.failure:
            raise self.failure
        assert (request, key.tokens_per_minute, key.budget_tokens, key.concurrent) == (None,) * 4
        assert key.requests_per_minute is not None
        used = self.requests.get(key.id, 0)
        allowance = Allowance(
            limit_requests=key.requests_per_minute,
            remaining_requests=max(key.requests_per_minute - used - 1, 0),
            requests_reset_in_s=17.25,
        )
        if used >= key.requests_per_minute:
            raise LimitReached("requests", allowance, 17.25)
        self.requests[key.id] = used + 1
        return Reservation(allowance=allowance)

    async def settle(self, record: UsageRecord, running: Running | None = None, period: str = "") -> None:
        raise AssertionError(f"expected nothing to settle, but got {record}, {running}, {period}")

    async def peek(self, key: Key, now: float) -> Allowance:
        raise AssertionError(f"expected no such query, but got {key}, {now}")

    async def touch(self, key_id: str, now: float) -> None:  # noqa: ARG002
        self.touched.append(key_id)
