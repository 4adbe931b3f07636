"""What tokens cost: exactly, in whole units of 10^-9."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.chat.prices import Prices
from functions.shared.environment import SettingsError
from functions.shared.usage import UsageRecord

tokens = st.integers(0, 10**9)
prices = st.integers(0, 100_000) | st.floats(0, 100_000, allow_subnormal=False) | st.just(0.15)


def record(prompt: int, cached: int, completion: int) -> UsageRecord:
    return UsageRecord(
        request_id="r",
        prompt_tokens=prompt,
        cached_tokens=cached,
        completion_tokens=completion,
        duration_ms=1,
        outcome="ok",
        started_at=0,
    )


@pytest.mark.parametrize(
    ("table", "used", "cost"),
    [
        ({"input": 0.15, "cached": 0.05, "output": 0.6}, (1_000_000, 0, 1_000_000), 750_000_000),
        ({"input": 0.15, "cached": 0.05, "output": 0.6}, (1000, 900, 10), 15_000 + 45_000 + 6_000),
        ({"input": 0.15, "output": 0.6}, (1000, 900, 10), 150_000 + 6_000),
        ({"input": 0.0005, "output": 0}, (1, 0, 0), 1),
        ({"input": 0.0005, "output": 0}, (3, 0, 0), 2),
        ({"input": 0.000_499_9, "output": 0}, (1, 0, 0), 0),
        ({"input": 0, "output": 0}, (10**9, 0, 10**9), 0),
        ({"input": 0.1, "output": 0.2}, (3, 0, 3), 900),
    ],
    ids=str,
)
def test_what_a_request_costs(table: dict[str, Any], used: tuple[int, int, int], cost: int) -> None:
    assert Prices.of(table, "tiny").cost(record(*used)) == cost


@given(tokens, tokens, tokens, prices, prices, prices)
def test_costs_are_exact(
    fresh: int, cached: int, completion: int, price: float, other: float, third: float
) -> None:
    table = {"input": price, "cached": other, "output": third}
    counts = ((fresh, price), (cached, other), (completion, third))
    exact = sum((1000 * count * Fraction(str(each)) for count, each in counts), Fraction())
    cost = Prices.of(table, "tiny").cost(record(fresh + cached, cached, completion))
    assert abs(cost - exact) <= Fraction(1, 2)
    assert UsageRecord.from_json(replace(record(1, 0, 0), cost=cost).to_json()).cost == cost


@pytest.mark.parametrize(
    ("table", "text"),
    [
        (None, "million tokens"),
        ([], "million tokens"),
        ({}, "million tokens"),
        ({"input": 1}, "million tokens"),
        ({"input": 1, "output": 1, "reasoning": 1}, "million tokens"),
        ({"input": "0.15", "output": 1}, "0 to 100000 as `input`, but got '0.15'"),
        ({"input": 1, "output": True}, "as `output`"),
        ({"input": 1, "output": -0.1}, "as `output`, but got -0.1"),
        ({"input": 1, "output": 100_001}, "as `output`"),
        ({"input": 1, "output": float("nan")}, "as `output`"),
        ({"input": 1, "cached": None, "output": 1}, "as `cached`, but got None"),
        ({"input": 1, "output": 1, "currency": "usd"}, "`currency` such as 'USD'"),
        ({"input": 1, "output": 1, "currency": 1}, "`currency` such as 'USD'"),
    ],
    ids=str,
)
def test_wrong_prices_are_explained(table: Any, text: str) -> None:
    with pytest.raises(SettingsError, match=r"MODELS: expected `prices` of 'tiny'.*") as raised:
        Prices.of(table, "tiny")
    assert text in str(raised.value)
