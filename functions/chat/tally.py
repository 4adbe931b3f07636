"""What one completion has used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeGuard

from .errors import ApiError


@dataclass
class Tally:
    """Counts while a completion runs.

    Units:  tokens, by the engine's own count once `counted`; `events` that the caller may have seen.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    counted: bool = False
    events: int = 0
    failure: ApiError | None = None

    def take(self, usage: Any) -> None:
        """Take the engine's count; what is not one is left out."""
        if not isinstance(usage, dict) or not _is_count(usage.get("prompt_tokens")):
            return
        self.counted = True
        self.prompt_tokens = usage["prompt_tokens"]
        completion = usage.get("completion_tokens")
        self.completion_tokens = completion if _is_count(completion) else 0
        details = usage.get("prompt_tokens_details")
        cached = details.get("cached_tokens") if isinstance(details, dict) else None
        self.cached_tokens = cached if _is_count(cached) else 0


def _is_count(value: Any) -> TypeGuard[int]:
    return type(value) is int and value >= 0
