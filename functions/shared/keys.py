"""API keys: who asks, by the hash of the key they send."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from .environment import SettingsError, json_object

# The scheme in any case, and the space after it may be missing: `beareryour_api_key_here`.
_BEARER = re.compile(r"bearer *", re.IGNORECASE)
_SHA256 = re.compile("[0-9a-fA-F]{64}")


class KeyRefused(Exception):
    """No key, or one that is not known here; the text says what to do."""


class Keyring:
    """The keys that are let in. Without any, everyone is.

    Shape:  SHA-256 (hex) of each key → the models it may use; none means all.
    """

    def __init__(self, keys: Mapping[str, frozenset[str]]) -> None:
        self._keys = keys

    def models_for(self, authorization: str | None) -> frozenset[str]:
        """Return the names of the models that a request may use; none named means all.

        Raises: KeyRefused.
        """
        if not self._keys:
            return frozenset()
        scheme = _BEARER.match(authorization or "")
        if not authorization or not scheme:
            raise KeyRefused(
                "You didn't provide an API key. Send it in the header `Authorization: Bearer YOUR_KEY`."
            )
        digest = hashlib.sha256(authorization[scheme.end() :].strip().encode()).hexdigest()
        models = self._keys.get(digest)
        if models is None:
            raise KeyRefused("Incorrect API key provided. Check it, or ask the operator of this API for one.")
        return models


def keys_from(environ: Mapping[str, str]) -> dict[str, frozenset[str]]:
    """Read `API_KEYS`.

    Raises: SettingsError.
    """
    table = json_object(environ, "API_KEYS")
    for digest, models in table.items():
        named = isinstance(models, list) and all(isinstance(model, str) for model in models)
        if not named or not _SHA256.fullmatch(digest):
            raise SettingsError(
                'API_KEYS: expected {"<SHA-256 of a key, in hex>": ["<model>", …]}; [] allows every model.'
            )
    return {digest.lower(): frozenset(models) for digest, models in table.items()}
