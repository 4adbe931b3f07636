"""API keys: who asks, by the hash of the key they send.

A key that the store knows is not asked for again for 30 s, so what changes there (a key is disabled, rotated,
let in again) is effective within 30 s. Where the store cannot be asked, a key that it confirmed in the last
5 minutes goes on; nobody else is let in.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeVar

from .clock import Clock
from .environment import SettingsError, json_object
from .key_text import MistypedKey, check_key, digest

KNOWN_S = 30.0
UNKNOWN_S = 5.0
UNCONFIRMED_S = 300.0
# After the store could not be asked, keys known from before do not wait for it for this long.
PAUSE_S = 5.0
MAX_CACHED = 1000

# How `authorization` begins where AWS's own signature is in it, as a Function URL may want it.
_SIGNED = "AWS4-"
# The scheme in any case, and the space after it may be missing: `beareryour_api_key_here`.
_BEARER = re.compile(r"bearer *", re.IGNORECASE)
_SHA256 = re.compile("[0-9a-fA-F]{64}")

Value = TypeVar("Value")


class KeyRefused(Exception):
    """No key, or one that is not let in; the text says what to do and never quotes the key."""


class KeysUnavailable(Exception):
    """The table could not be reached. The text is AWS's code for it, for operators."""

    for_callers: ClassVar[str] = "Your API key cannot be checked right now. Try again in a moment."


class KeyTaken(Exception):
    """There is a key with this id or digest already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One API key and what it may do; the key itself is nowhere.

    Shape:  `id` is `key_` and 16 hex digits; `models` that is empty means all; a limit that is None is none.
    Units:  `created_at`, `expires_at`: s since 1970.
    """

    id: str
    digest: str = field(repr=False)
    name: str
    models: frozenset[str] = frozenset()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    budget_tokens: int | None = None
    created_at: int
    expires_at: int | None = None
    disabled: bool = False
    hint: str = ""

    @property
    def limited(self) -> bool:
        """Whether anything of it is counted."""
        limits = (self.requests_per_minute, self.tokens_per_minute, self.budget_tokens)
        return any(limit is not None for limit in limits)


class KeyStore(Protocol):
    """Where keys are kept."""

    async def key(self, digest: str) -> Key | None:
        """Return the key of this digest, or None.

        Raises: KeysUnavailable.
        """


class StaticKeys:
    """The keys of `API_KEYS`: without limits, changed by a deployment alone."""

    def __init__(self, keys: Mapping[str, frozenset[str]]) -> None:
        self._keys = keys

    async def key(self, digest: str) -> Key | None:
        """Return the key of this digest, or None."""
        models = self._keys.get(digest)
        if models is None:
            return None
        return Key(id=f"static_{digest[:16]}", digest=digest, name="API_KEYS", models=models, created_at=0)


@dataclass(slots=True)
class _Confirmed:
    key: Key
    at: float
    ask_from: float


class Keyring:
    """Who is let in. Without a store, everyone is."""

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
        self._asking: dict[str, asyncio.Task[Key | None]] = {}

    @classmethod
    def of(cls, keys: Mapping[str, frozenset[str]], table: KeyStore | None = None) -> Keyring:
        """Return the keyring of a table, else of the keys of `API_KEYS`, else one that accepts anyone."""
        return cls(table or (StaticKeys(keys) if keys else None))

    async def authenticate(self, authorization: str | None) -> Key | None:
        """Return the key that a header holds; None where no keys are configured and everyone is let in.

        Raises: KeyRefused; KeysUnavailable.
        """
        if self._store is None:
            return None
        sent = digest(_sent_key(authorization))
        return self._let_in(await self._find(self._store, sent), sent)

    def _let_in(self, key: Key | None, sent: str) -> Key:
        if key is None or not hmac.compare_digest(key.digest, sent):
            raise KeyRefused("Incorrect API key provided. Check it, or ask the operator of this API for one.")
        if key.disabled:
            raise KeyRefused("This API key has been disabled. Ask the operator of this API for another.")
        if key.expires_at is not None and self._now() >= key.expires_at:
            raise KeyRefused("This API key has expired. Ask the operator of this API for another.")
        return key

    async def _find(self, store: KeyStore, sent: str) -> Key | None:
        """Return the key as it was at most 30 s ago, or longer where the store cannot be asked."""
        now = self._clock.elapsed_s()
        confirmed = self._known.get(sent)
        if confirmed and now < confirmed.ask_from:
            return confirmed.key
        if sent in self._unknown and now < self._unknown[sent]:
            return None
        try:
            return await self._ask_once(store, sent)
        except KeysUnavailable:
            confirmed = self._known.get(sent)
            if not confirmed or self._clock.elapsed_s() >= confirmed.at + UNCONFIRMED_S:
                raise
            confirmed.ask_from = min(self._clock.elapsed_s() + PAUSE_S, confirmed.at + UNCONFIRMED_S)
            return confirmed.key

    async def _ask_once(self, store: KeyStore, sent: str) -> Key | None:
        """Join the question for this key that is under way, or begin one; whoever leaves does not stop it."""
        task = self._asking.get(sent)
        if task is None:
            task = self._asking[sent] = asyncio.create_task(self._ask(store, sent))
            task.add_done_callback(lambda _: self._asking.pop(sent))
        return await asyncio.shield(task)

    async def _ask(self, store: KeyStore, sent: str) -> Key | None:
        asked_at = self._clock.elapsed_s()
        key = await store.key(sent)
        if key:
            _keep(self._known, sent, _Confirmed(key, asked_at, asked_at + KNOWN_S))
        else:
            self._known.pop(sent, None)
            _keep(self._unknown, sent, asked_at + UNKNOWN_S)
        return key


def authorization_in(headers: Mapping[str, str]) -> str | None:
    """Return what holds a request's key: `authorization`, or `x-api-key` where that is AWS's signature."""
    sent, key = headers.get("authorization"), headers.get("x-api-key")
    return f"Bearer {key}" if key and sent and sent.startswith(_SIGNED) else sent


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
    if authorization and authorization.startswith(_SIGNED):
        raise KeyRefused("You didn't provide an API key. Beside AWS's signature, send it in `x-api-key`.")
    scheme = _BEARER.match(authorization or "")
    if not authorization or not scheme:
        raise KeyRefused(
            "You didn't provide an API key. Send it in the header `Authorization: Bearer YOUR_KEY`."
        )
    text = authorization[scheme.end() :].strip()
    try:
        check_key(text)
    except MistypedKey:
        raise KeyRefused(
            "This API key has a typing mistake: its checksum is wrong. Copy it once more, whole."
        ) from None
    return text


def _keep(cache: dict[str, Value], sent: str, value: Value) -> None:
    """Keep a value as the newest; where there are too many, the oldest goes."""
    cache.pop(sent, None)
    if len(cache) >= MAX_CACHED:
        del cache[next(iter(cache))]
    cache[sent] = value
