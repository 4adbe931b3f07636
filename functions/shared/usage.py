"""What a request used: one record each, kept, logged and measured. It holds no key and no prompt."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar, Literal, get_args

from .frozen import Frozen

Outcome = Literal["ok", "cut", "error", "timeout", "refused"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
# In place of a key or a model where a request had none: CloudWatch accepts no empty dimension.
NONE = "-"
# How long records are kept unless a stage says otherwise; sums stay.
KEEP_RECORDS_DAYS = 90
# Costs are whole numbers of so many to a unit of the prices' currency.
OF_A_UNIT = 10**9
# Larger numbers are mistakes; as a time, they are after the year 9999.
_MOST, MOST_COST = 2 * 10**14, 10**18


class UsageRecord(Frozen, kw_only=True):
    """What one request used.

    Shape:  `model` is a public id, never what the caller sent; it and `key_id` are `-` where there is none.
            `first_byte_ms` is None where no byte was sent. `code` is that of the error that the caller got.
            `hedge`: the model whose run of the request was stopped, because that of `model` began first; its
            prompt is in `prompt_tokens` and in `cost`.
    Units:  `started_at`: ms since 1970. `cost`: 10^-9 of the currency of the model's prices, 0 without any.
    """

    request_id: str
    key_id: str = NONE
    model: str = NONE
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    duration_ms: float
    first_byte_ms: float | None = None
    outcome: Outcome
    code: str | None = None
    hedge: str | None = None
    cost: int = 0
    started_at: int

    @property
    def tokens(self) -> int:
        """All tokens that are charged."""
        return self.prompt_tokens + self.completion_tokens

    def supersedes(self, other: UsageRecord) -> bool:
        """Return whether this is a later record of the same request.

        Versions up to 0.2 logged one when a request began, as cut and with all that it might use, and another
        when it had ended. No record that says how a request ended is superseded.
        """
        return other.outcome == "cut" and self._finality > other._finality

    @property
    def _finality(self) -> tuple[bool, float, int]:
        return self.outcome != "cut", self.duration_ms, -self.tokens

    def to_json(self) -> str:
        """Return the line that is logged, which `from_json` reads again."""
        return json.dumps({"usage": asdict(self)}, separators=(",", ":"))

    @classmethod
    def from_json(cls, line: str) -> UsageRecord:
        """Read a line of `to_json`; unknown members are left out.

        Raises: ValueError, if it is something else.
        """
        try:
            value = json.loads(line)
        except RecursionError:
            value = None
        usage = value.get("usage") if isinstance(value, dict) else None
        if not isinstance(usage, dict):
            raise ValueError('Expected a line of the form {"usage": {…}}.')
        return cls.from_values(usage)

    @classmethod
    def from_values(cls, values: dict[str, Any]) -> UsageRecord:
        """Return the record of these members.

        Raises: ValueError.
        """
        known = {each.name: values[each.name] for each in fields(cls) if each.name in values}
        wrong = [name for name, value in known.items() if not _fits(name, value)]
        if wrong:
            raise ValueError(f"Expected a usage record, but `{wrong[0]}` is of the wrong kind.")
        try:
            return cls(**known)
        except TypeError:
            raise ValueError("Expected a usage record, but members are missing.") from None


@dataclass(slots=True)
class UsageSum:
    """What some requests used. Units: tokens, requests; `cost` as in the records."""

    requests: int = 0
    ok: int = 0
    cut: int = 0
    error: int = 0
    timeout: int = 0
    refused: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost: int = 0
    NAMES: ClassVar[tuple[str, ...]] = (
        *("requests", *OUTCOMES),
        *("prompt_tokens", "cached_tokens", "completion_tokens", "cost"),
    )

    @classmethod
    def of(cls, record: UsageRecord) -> UsageSum:
        """Return what one request used."""
        tokens = (record.prompt_tokens, record.cached_tokens, record.completion_tokens)
        used = cls(1, 0, 0, 0, 0, 0, *tokens, record.cost)
        setattr(used, record.outcome, 1)
        return used

    def add(self, other: UsageSum) -> None:
        """Add what others used."""
        for name in self.NAMES:
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def amounts(self) -> dict[str, Any]:
        """Return all of it for programs; the cost is in units of the currency."""
        return {**asdict(self), "cost": self.cost / OF_A_UNIT}


def _fits(name: str, value: Any) -> bool:
    if name == "outcome":
        return value in OUTCOMES
    if value is None:
        return name in ("first_byte_ms", "code", "hedge")
    if name in ("request_id", "key_id", "model", "code", "hedge"):
        return isinstance(value, str) and bool(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    if isinstance(value, int):
        return 0 <= value <= (MOST_COST if name == "cost" else _MOST)
    return name.endswith("_ms") and 0 <= value <= _MOST  # which NaN is not
