"""What tokens cost, by the prices of a model."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from functions.shared.environment import SettingsError
from functions.shared.frozen import Frozen
from functions.shared.usage import MOST_COST, UsageRecord

MAX_PRICE = 100_000
_MEMBERS = ("input", "cached", "output")
_CURRENCY = re.compile("[A-Z]{3}")


class Prices(Frozen, kw_only=True):
    """The prices of a model.

    Shape:  `cached`: of the tokens of a prompt that the engine had in its cache, which are not `input`, too.
    Units:  of a million tokens, in `currency`.
    """

    input: Decimal
    cached: Decimal
    output: Decimal
    currency: str = "USD"

    @classmethod
    def of(cls, value: Any, name: str) -> Prices:
        """Read the prices of the model of this name, as MODELS has them.

        Raises: SettingsError.
        """
        where = f"MODELS: expected `prices` of {name!r}"
        if not isinstance(value, dict) or not {"input", "output"} <= value.keys() <= {*_MEMBERS, "currency"}:
            raise SettingsError(
                f'{where} to be {{"input": 0.15, "cached": 0.05, "output": 0.6, "currency": "USD"}}, of a '
                "million tokens each; `cached` and `currency` may be left out."
            )
        currency = value.get("currency", "USD")
        if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
            raise SettingsError(f"{where} to have a `currency` such as 'USD' or 'EUR', but got {currency!r}.")
        prices = {member: value.get(member, value["input"]) for member in _MEMBERS}
        for member, price in prices.items():
            if isinstance(price, bool) or not isinstance(price, int | float) or not 0 <= price <= MAX_PRICE:
                raise SettingsError(f"{where} to have 0 to {MAX_PRICE} as `{member}`, but got {price!r}.")
        return cls(**{member: Decimal(str(price)) for member, price in prices.items()}, currency=currency)

    def cost(self, used: UsageRecord) -> int:
        """Return what a request costs, to the nearest unit; halves are rounded up.

        Units:  10^-9 of the currency.
        """
        fresh = used.prompt_tokens - used.cached_tokens
        cost = fresh * self.input + used.cached_tokens * self.cached + used.completion_tokens * self.output
        return min(int((1000 * cost).to_integral_value(ROUND_HALF_UP)), MOST_COST)
