"""The headers that report how much of a key's limits is left: OpenAI's names, which official SDKs read."""

from __future__ import annotations

import math
from typing import Literal

from .limits import Allowance

# The most that openai-python and openai-node wait. For longer, the one gives up, and the other comes at once.
PYTHON_WAITS_S, NODE_WAITS_S = 120.0, 60.0


def limit_headers(allowance: Allowance) -> dict[str, str]:
    """Return the headers of what is left; what is not limited is left out."""
    headers = {}
    for name, limit, remaining, reset_in_s in (
        (
            "requests",
            allowance.limit_requests,
            allowance.remaining_requests,
            allowance.requests_reset_in_s,
        ),
        ("tokens", allowance.limit_tokens, allowance.remaining_tokens, allowance.tokens_reset_in_s),
    ):
        if limit is not None:
            headers[f"x-ratelimit-limit-{name}"] = str(limit)
            headers[f"x-ratelimit-remaining-{name}"] = str(remaining)
            headers[f"x-ratelimit-reset-{name}"] = go_duration(reset_in_s)
    return headers


def exposed_headers(*kinds: Literal["requests", "tokens"]) -> tuple[str, ...]:
    """Return the names of the headers that web pages of other origins may read, where these are limited."""
    names = (f"x-ratelimit-{part}-{kind}" for kind in kinds for part in ("limit", "remaining", "reset"))
    return ("retry-after", "retry-after-ms", *names)


def retry_after(seconds: float, *, most_s: float = PYTHON_WAITS_S) -> dict[str, str]:
    """Return both headers that SDKs read. What takes longer than `most_s` is waited for in several tries."""
    wait_s = min(max(seconds, 0.001), most_s)
    return {"retry-after": str(math.ceil(wait_s)), "retry-after-ms": str(round(wait_s * 1000))}


def go_duration(seconds: float) -> str:
    """Write a time as Go does: `120ms`, `1s`, `6m0s`.

    Units:  rounded to a thousandth of a second.
    """
    milliseconds = max(round(seconds * 1000), 0)
    if milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".")
    return f"{minutes}m{text}s" if minutes else f"{text}s"
