"""The bills as Markdown, as they stand in docs/deploy.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Literal

from infra.costs.at_rest import at_rest, network
from infra.costs.engine import break_even, gpu_hour, million_tokens, wake
from infra.costs.lines import Line, total
from infra.costs.per_request import Assumptions, per_million_requests
from infra.costs.prices import PRICES, READ, REGION
from infra.stages import STAGES

_RATES = (20, 100, 300)
_TOKEN_PRICES = (0.5, 1, 5)
EGRESSES: tuple[Literal["endpoints", "nat"], ...] = ("endpoints", "nat")


def report() -> str:
    """Return all bills of all stages."""
    assumed = Assumptions()
    parts = [
        f"Prices of {REGION}, on demand, read on {READ} (`infra/costs/prices.py`), in US dollars. Free tiers "
        "and discounts are not subtracted, taxes not added.",
        "### At rest, a month",
        _bills({stage.name: at_rest(stage) for stage in STAGES.values()}),
        "### A million streamed completions, without the engine",
        _assumptions(assumed),
        _bills({stage.name: per_million_requests(stage, assumed) for stage in STAGES.values()}),
        "### The engine",
        _engine(),
        "### Egress: endpoints or NAT, a month at rest",
        _egress(),
        "Not confirmed: " + "; ".join(_doubts()) + ".",
    ]
    return "\n\n".join(parts)


def _bills(bills: dict[str, list[Line]]) -> str:
    """Return a table with a column for each stage; a line that a stage lacks is a dash there."""
    whats = list(dict.fromkeys(line.what for lines in bills.values() for line in lines))
    rows = [[what, *(_cell(lines, what) for lines in bills.values())] for what in whats]
    totals = ["**in all**", *(f"**{_dollars(total(lines))}**" for lines in bills.values())]
    return _table(["", *bills], [*rows, totals])


def _cell(lines: Iterable[Line], what: str) -> str:
    found = [f"{_dollars(line.usd)} ({line.quantity})" for line in lines if line.what == what]
    return found[0] if found else "–"


def _assumptions(each: Assumptions) -> str:
    return (
        f"Each takes {each.duration_s:g} s, which Lambda is paid for although it waits, and streams "
        f"{each.tokens} tokens in events of {each.event_bytes} bytes; its key has limits "
        f"({each.writes} writes); "
        f"{each.log_bytes / 1000:g} kB of logs; one in {1 / each.traced:.0f} is traced."
    )


def _engine() -> str:
    engine = next(iter(STAGES.values())).engine
    rows = [[f"an hour of {engine.instance_type}, managed by AWS", _dollars(gpu_hour(engine))]]
    minutes = engine.start_s // 60 + engine.quiet_minutes
    rows.append([f"one request that wakes it, and no other: {minutes} minutes", _dollars(wake(engine))])
    rows += [
        [f"a million tokens at {rate} tokens/s", _dollars(million_tokens(engine, rate))] for rate in _RATES
    ]
    rows += [
        [f"as much as {_dollars(price)} a million tokens", f"at {break_even(engine, price):,.0f} tokens/s"]
        for price in _TOKEN_PRICES
    ]
    return _table(["", ""], rows)


def _egress() -> str:
    rows = [
        [stage.name, *(_dollars(total(network(replace(stage, egress=egress)))) for egress in EGRESSES)]
        for stage in STAGES.values()
    ]
    return _table(["", *EGRESSES], rows)


def _doubts() -> list[str]:
    return [f"{name} ({price.doubt})" for name, price in PRICES.items() if price.doubt]


def _dollars(amount: float) -> str:
    return f"${amount:,.2f}"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
