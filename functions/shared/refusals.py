"""The texts of refusals: which limit refused, what is left of it, what the request needs, when to return."""

from __future__ import annotations

import math
from datetime import datetime
from typing import NamedTuple

from .budgets import zone
from .keys import Key
from .limits import BUSY_S, MOST_RUNNING, LimitReached


class Need(NamedTuple):
    """The tokens that a request may use at most."""

    prompt: int = 0
    completion: int = 0

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.prompt + self.completion


def text_of(reached: LimitReached, key: Key, need: Need) -> str:
    """Return the text of a refusal; that of a request without tokens needs no `need`."""
    allowance = reached.allowance
    again = f"Try again in {_rounded_up(reached.retry_after_s or BUSY_S)} s."
    match reached.kind:
        case "requests":
            limit = counted(key.requests_per_minute or 0, "request")
            return f"This API key's limit of {limit} a minute is reached: none is left. {again}"
        case "tokens":
            left = allowance.remaining_tokens or 0
            return (
                f"This API key's limit of {key.tokens_per_minute:,} tokens a minute is reached: the request "
                f"needs up to {need.tokens:,}{_parts(need)}, and {left:,} are left. {again}"
            )
        case "too_large":
            return (
                f"The request needs up to {need.tokens:,} tokens{_parts(need)}, but this API key may use "
                f"{key.tokens_per_minute:,} a minute: waiting does not help. Send less."
            )
        case "concurrent":
            most = key.concurrent or MOST_RUNNING
            limit = counted(most, "concurrent request")
            return f"This API key's limit of {limit} is reached: as many are running. {again}"
        case "throttled":
            return f"This API key sends more requests at once than can be counted. {again}"
        case "budget":
            return budget_text(reached, key, need)


def budget_text(reached: LimitReached, key: Key, need: Need) -> str:
    """Return the text of a refusal by the budget, with its reset in the key's time zone if that helps."""
    allowance = reached.allowance
    limit = allowance.limit_budget or key.budget_tokens or 0
    budget = f"budget of {limit:,} tokens" + (f" a {key.budget_period}" if key.budget_period else "")
    needed = f"request needs up to {need.tokens:,} tokens{_parts(need)}"
    if left := allowance.remaining_budget:
        text = f"The {needed}, but {left:,} are left of this API key's {budget}."
    else:
        text = f"This API key has used up its {budget}, and the {needed}."
    if allowance.budget_resets_at is not None and need.tokens <= (key.budget_tokens or 0):
        resets_at = datetime.fromtimestamp(allowance.budget_resets_at, zone(key.budget_timezone))
        text += f" It is reset on {resets_at:%Y-%m-%d at %H:%M} ({key.budget_timezone})."
    return f"{text}{' Send less.' if left else ''} The operator of this API can give it more."


def helps_to_shorten_reply(reached: LimitReached, key: Key, need: Need) -> bool:
    """Return whether fewer tokens for the reply would help: not where the prompt alone is too large."""
    room = {
        "tokens": reached.allowance.remaining_tokens,
        "too_large": key.tokens_per_minute,
        "budget": reached.allowance.remaining_budget,
    }.get(reached.kind)
    return need.completion > 0 and room is not None and need.prompt < room


def counted(number: int, thing: str) -> str:
    """Write a number of things: `1 record`, `1,200 records`."""
    return f"{number:,} {thing}" + ("" if number == 1 else "s")


def _rounded_up(seconds: float) -> str:
    """Return a time to a tenth of a second, never less than it is."""
    return f"{math.ceil(round(seconds * 1000) / 100) / 10:g}"


def _parts(need: Need) -> str:
    if not need.completion:
        return ""
    return f" ({need.prompt:,} for the prompt, {need.completion:,} for the reply)"
