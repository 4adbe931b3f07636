"""Embeddings as engines send them: one for each input, in order, all of one length, finite."""

from __future__ import annotations

import base64
import binascii
import math
import sys
from array import array
from typing import Any

from functions.chat.errors import InvalidRequest, UpstreamError

from .whole import WholeReply

_NUMBERS = frozenset((int, float))
_BROKEN = "The engine's embeddings are broken or incomplete. Its operator has to look."


class EmbeddingsReply(WholeReply):
    """Read one list of embeddings.

    Shape:  `count` of them, in base64 or as numbers, each of `dimensions` numbers where that was requested.
    """

    exact = False  # all its numbers leave as floats

    def __init__(self, *, model: str, count: int, is_base64: bool, dimensions: int | None = None) -> None:
        super().__init__(model, _broken)
        self._count, self._is_base64, self._dimensions = count, is_base64, dimensions

    def _normalise(self, reply: dict[str, Any], usage: dict[str, Any] | None) -> dict[str, Any]:
        entries = reply.get("data")
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise _broken()
        found = [entry.get("index") for entry in entries]
        places = [place if index is None else index for place, index in enumerate(found)]
        if not all(type(place) is int for place in places) or sorted(places) != list(range(self._count)):
            raise _broken()
        in_order = sorted(zip(places, entries, strict=True), key=lambda pair: pair[0])
        embeddings = [self._embedding(entry.get("embedding")) for _, entry in in_order]
        if len({length for _, length in embeddings}) != 1:
            raise _broken()
        if self._dimensions not in (None, embeddings[0][1]):
            raise InvalidRequest(
                f"This model gives {embeddings[0][1]} numbers and no others. Leave 'dimensions' out.",
                param="dimensions",
                code="unsupported_value",
            )
        tokens = usage["prompt_tokens"] if usage else 0
        return {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": value}
                for index, (value, _) in enumerate(embeddings)
            ],
            "model": self._model,
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }

    def _embedding(self, came: Any) -> tuple[str | list[float], int]:
        """Return an embedding as it was requested, whichever way it came, and its length.

        Raises: UpstreamError, for what is none.
        """
        try:
            if isinstance(came, str):
                numbers = array("f", base64.b64decode(came, validate=True))
                if sys.byteorder == "big":
                    numbers.byteswap()
            elif isinstance(came, list) and _NUMBERS.issuperset(map(type, came)):
                numbers = array("f", came)
            else:
                raise _broken()
        except (ValueError, TypeError, OverflowError, binascii.Error) as error:
            raise _broken() from error
        if not numbers or not math.isfinite(sum(numbers)):  # a sum of 32-bit floats has 64
            raise _broken()
        if self._is_base64:
            return came if isinstance(came, str) else _base64(numbers), len(numbers)
        return came if isinstance(came, list) else list(numbers), len(numbers)


def _base64(numbers: array[float]) -> str:
    if sys.byteorder == "big":
        numbers.byteswap()
    return base64.b64encode(numbers.tobytes()).decode()


def _broken() -> UpstreamError:
    return UpstreamError(_BROKEN, retry=False)
