"""API keys: which key a request sends, found by its hash.

A key that was found is not looked up again for 30 s, so a change in the store (a key is disabled, enabled or
rotated) takes effect within 30 s. While the store is unavailable, keys that it confirmed in the last
5 minutes are accepted, and no others.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from typing import ClassVar, Literal, Protocol, TypeVar

from .clock import Clock
from .environment import SettingsError, json_object
from .frozen import Frozen
from .key_text import MistypedKey, check_key, digest

KNOWN_S = 30.0
UNKNOWN_S = 5.0
UNCONFIRMED_S = 300.0
# After a failed lookup, keys that are known from before are accepted without another for this long.
PAUSE_S = 5.0
MAX_CACHED = 1000

# How `authorization` begins where it holds AWS's own signature, which a Function URL may require.
_SIGNED = "AWS4-"
# The scheme in any case, and the space after it may be missing: `beareryour_api_key_here`.
_BEARER = re.compile(r"bearer *", re.IGNORECASE)
_SHA256 = re.compile("[0-9a-fA-F]{64}")

Value = TypeVar("Value")
Period = Literal["day", "week", "month"]


class KeyRefused(Exception):
    """No key, or one that is not accepted; the text says what to do and never quotes the key."""


class KeysUnavailable(Exception):
    """The table could not be reached. The text is AWS's code for it, for operators.

    Units:  `retry_after_s`: s until it may be reached again.
    """

    for_callers: ClassVar[str] = "Your API key cannot be checked right now. Try again in a moment."

    def __init__(self, code: str = "", *, retry_after_s: float = 1.0) -> None:
        super().__init__(code)
        self.retry_after_s = retry_after_s


class KeyClosed(KeysUnavailable):
    """The table could not be reached, and the key is not accepted without it (`on_outage`)."""

    for_callers = (
        "The table that counts what this API key uses cannot be reached right now, and the key is not "
        "accepted without it. Try again in a moment."
    )


class KeyThrottled(KeysUnavailable):
    """The table takes no more calls for this key right now; those of other keys it does."""


class KeysRefused(KeysUnavailable):
    """The table can be reached, but refuses the call: its name, or the permission to use it, is wrong."""


class KeyTaken(Exception):
    """There is a key with this id or digest already."""


class Key(Frozen, kw_only=True):
    """One API key and what it may do, without the key itself.

    Shape:  `id` is `key_` and 16 hex digits; empty `models` mean all; None is no limit.
            `budget_tokens` are for a `budget_period` of `budget_timezone` (IANA), or for ever; in the one
            period `extra_period`, as "month:20261101", there are `extra_tokens` more.
            `on_outage`: whether requests are accepted while limits cannot be counted.
            `created_by`, `changed_by`: who; `change`: the id of the last change.
            `replaced_at`: from when on this text is refused, for the key was given another one.
            `deleted_at`: it is refused since, and can be restored before `kept_until`.
            `books`: 2 where all its sums are stored as this version stores them.
    Units:  times: s since 1970.
    """

    id: str
    digest: str = field(repr=False)
    name: str
    models: frozenset[str] = frozenset()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    budget_tokens: int | None = None
    budget_period: Period | None = None
    budget_timezone: str = "UTC"
    extra_tokens: int = 0
    extra_period: str = ""
    concurrent: int | None = None
    on_outage: Literal["open", "closed"] = "open"
    note: str = ""
    tags: frozenset[str] = frozenset()
    created_at: int
    created_by: str = ""
    changed_at: int | None = None
    changed_by: str = ""
    change: str = ""
    expires_at: int | None = None
    replaced_at: int | None = None
    deleted_at: int | None = None
    kept_until: int | None = None
    disabled: bool = False
    hint: str = ""
    books: int = 1

    @property
    def limited(self) -> bool:
        """Whether it has any limit."""
        limits = (self.requests_per_minute, self.tokens_per_minute, self.budget_tokens, self.concurrent)
        return any(limit is not None for limit in limits)


class KeyStore(Protocol):
    """Where keys are kept."""

    async def key(self, digest: str) -> Key | None:
        """Return the key of this digest, or None.

        Raises: KeysUnavailable.
        """


class StaticKeys:
    """The keys of `API_KEYS`: without limits, and changed only by a deployment."""

    def __init__(self, keys: Mapping[str, frozenset[str]]) -> None:
        self._keys = keys

    async def key(self, digest: str) -> Key | None:
        """Return the key of this digest, or None."""
        models = self._keys.get(digest)
        if models is None:
            return None
        return Key(id=f"static_{digest[:16]}", digest=digest, name="API_KEYS", models=models, created_at=0)


class _Confirmed:
    def __init__(self, key: Key, at: float, refresh_at: float) -> None:
        self.key, self.at, self.refresh_at = key, at, refresh_at


class Keyring:
    """Which keys are accepted. Without a store, any caller is."""

    def __init__(
        self,
        store: KeyStore | None,
        *,
        now: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._now = now
        self._clock = Clock(now, steady)
        self._known: dict[str, _Confirmed] = {}
        self._unknown: dict[str, float] = {}
        self._lookups: dict[str, asyncio.Task[Key | None]] = {}

    @classmethod
    def of(cls, keys: Mapping[str, frozenset[str]], table: KeyStore | None = None) -> Keyring:
        """Return the keyring of a table, else of the keys of `API_KEYS`, else one that accepts anyone."""
        return cls(table or (StaticKeys(keys) if keys else None))

    @property
    def requires_keys(self) -> bool:
        """Whether a request without a key is refused."""
        return self._store is not None

    async def authenticate(self, authorization: str | None) -> Key | None:
        """Return the key that a header holds; None where no keys are configured and any caller is accepted.

        Raises: KeyRefused; KeysUnavailable.
        """
        if self._store is None:
            return None
        sent = digest(_sent_key(authorization))
        key = await self._find(self._store, sent)
        if key is None or not hmac.compare_digest(key.digest, sent):
            raise KeyRefused("Incorrect API key provided. Check it, or ask the operator of this API for one.")
        if reason := refused_because(key, self._now()):
            raise KeyRefused(reason)
        return key

    async def _find(self, store: KeyStore, sent: str) -> Key | None:
        """Return the key as it was at most 30 s ago, or earlier while the store is unavailable."""
        now = self._clock.elapsed_s()
        confirmed = self._known.get(sent)
        if confirmed and now < confirmed.refresh_at:
            return confirmed.key
        if sent in self._unknown and now < self._unknown[sent]:
            return None
        try:
            return await self._look_up_once(store, sent)
        except KeysUnavailable as unavailable:
            confirmed = self._known.get(sent)
            if confirmed and confirmed.key.on_outage == "closed":
                raise KeyClosed(str(unavailable), retry_after_s=PAUSE_S) from None
            if not confirmed or self._clock.elapsed_s() >= confirmed.at + UNCONFIRMED_S:
                raise
            confirmed.refresh_at = min(self._clock.elapsed_s() + PAUSE_S, confirmed.at + UNCONFIRMED_S)
            return confirmed.key

    async def _look_up_once(self, store: KeyStore, sent: str) -> Key | None:
        """Join the running lookup of this key, or start one; a cancelled caller does not stop it."""
        task = self._lookups.get(sent)
        if task is None:
            task = self._lookups[sent] = asyncio.create_task(self._look_up(store, sent))
            task.add_done_callback(lambda _: self._lookups.pop(sent))
        return await asyncio.shield(task)

    async def _look_up(self, store: KeyStore, sent: str) -> Key | None:
        started_at = self._clock.elapsed_s()
        key = await store.key(sent)
        if key:
            _keep(self._known, sent, _Confirmed(key, started_at, started_at + KNOWN_S))
        else:
            self._known.pop(sent, None)
            _keep(self._unknown, sent, started_at + UNKNOWN_S)
        return key


def refused_because(key: Key, now: float) -> str:
    """Return why a key is not accepted, and what to do; "" if it is."""
    if key.deleted_at is not None:
        return "This API key has been deleted. Ask the operator of this API for another."
    if key.replaced_at is not None and now >= key.replaced_at:
        return f"This API key was replaced by another on {_utc(key.replaced_at)}. Send the new one."
    if key.disabled:
        return "This API key has been disabled. Ask the operator of this API for another."
    if key.expires_at is not None and now >= key.expires_at:
        return f"This API key expired on {_utc(key.expires_at)}. Ask the operator of this API for another."
    return ""


def authorization_in(headers: Mapping[str, str]) -> str | None:
    """Return a request's credentials: `authorization`, else the key in `x-api-key`, else that in `api-key`.

    AWS's own signature in `authorization` is no key.
    """
    sent = headers.get("authorization")
    key = headers.get("x-api-key") or headers.get("api-key")
    return f"Bearer {key}" if key and (not sent or sent.startswith(_SIGNED)) else sent


def keys_from(environ: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Read `API_KEYS`.

    Raises: SettingsError.
    """
    table = json_object(environ, "API_KEYS")
    for sha256, models in table.items():
        named = isinstance(models, list) and all(isinstance(model, str) for model in models)
        if not named or not _SHA256.fullmatch(sha256):
            raise SettingsError(
                'API_KEYS: expected {"<SHA-256 of a key, in hex>": ["<model>", …]}; [] allows every model.'
            )
    return {sha256.lower(): frozenset(models) for sha256, models in table.items()}


def _sent_key(authorization: str | None) -> str:
    if not authorization:
        raise KeyRefused(
            "You didn't provide an API key. Send it in the header `Authorization: Bearer YOUR_KEY`."
        )
    if authorization.startswith(_SIGNED):
        raise KeyRefused("You didn't provide an API key. Beside AWS's signature, send it in `x-api-key`.")
    scheme = _BEARER.match(authorization)
    if not scheme:
        raise KeyRefused(
            "You didn't provide an API key. Expected the header `Authorization: Bearer YOUR_KEY`, "
            "but got one that does not begin with `Bearer`."
        )
    text = authorization[scheme.end() :].strip()
    try:
        check_key(text)
    except MistypedKey:
        raise KeyRefused(
            "This API key has a typing mistake: its checksum is wrong. Copy it once more, whole."
        ) from None
    return text


def _utc(at: int) -> str:
    return time.strftime("%Y-%m-%d at %H:%M UTC", time.gmtime(at))


def _keep(cache: dict[str, Value], sent: str, value: Value) -> None:
    """Keep a value as the newest; if there are too many, remove the oldest."""
    cache.pop(sent, None)
    if len(cache) >= MAX_CACHED:
        del cache[next(iter(cache))]
    cache[sent] = value
