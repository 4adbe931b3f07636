"""The settings that both functions have: who may call them, and from which web pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any

from .cors import origins_from
from .frozen import Frozen
from .keys import keys_from


class AccessSettings(Frozen, kw_only=True):
    """Who may call a function.

    Shape:  `keys`: SHA-256 (hex) of each API key → the models it may use. `keys_table`: the DynamoDB table of
            keys, limits and usage; it wins over `keys`. With neither, no key is needed.
            `cors_origins`: the web pages that may call; ("*",) means all.
    """

    keys: Mapping[str, frozenset[str]] = field(default_factory=dict, repr=False)
    keys_table: str | None = None
    dynamodb_endpoint: str | None = None
    cors_origins: tuple[str, ...] = ()


def access_from(environ: Mapping[str, str]) -> dict[str, Any]:
    """Read the values of `AccessSettings`.

    Raises: SettingsError, naming the variable.
    """
    return {
        "keys": keys_from(environ),
        "keys_table": environ.get("KEYS_TABLE") or None,
        "dynamodb_endpoint": environ.get("DYNAMODB_ENDPOINT") or None,
        "cors_origins": origins_from(environ),
    }
