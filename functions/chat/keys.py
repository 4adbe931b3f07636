"""Who may ask: API keys, by their hash."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from .errors import InvalidKey

# The scheme in any case, and the space after it may be missing: `beareryour_api_key_here`.
_BEARER = re.compile(r"bearer *", re.IGNORECASE)


class Keyring:
    """The keys that are let in. Without any, everyone is."""

    def __init__(self, keys: Mapping[str, frozenset[str]]) -> None:
        self._keys = keys

    def models_for(self, authorization: str | None) -> frozenset[str]:
        """Return the names of the models that a request may use; none named means all.

        Raises: InvalidKey.
        """
        if not self._keys:
            return frozenset()
        scheme = _BEARER.match(authorization or "")
        if not authorization or not scheme:
            raise InvalidKey(
                "You didn't provide an API key. Send it in the header `Authorization: Bearer YOUR_KEY`."
            )
        digest = hashlib.sha256(authorization[scheme.end() :].strip().encode()).hexdigest()
        models = self._keys.get(digest)
        if models is None:
            raise InvalidKey("Incorrect API key provided. Check it, or ask the operator of this API for one.")
        return models
