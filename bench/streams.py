"""How many streams one environment relays in time on one core, and what they take beside processes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from bench.environments import Cost, environments, pinned, surroundings
from bench.measures import Row, ms

RATE = 30.0
STEPS = (1, 16, 64, 96, 128, 192, 256)
COMPARED = 64
GAP_S = 0.005
# No step is worth its time after one that far over.
HOPELESS_S = 20 * GAP_S


def many_streams(
    rounds: int = 3, seconds: float = 2.0, steps: Sequence[int] = STEPS, compared: int = COMPARED
) -> list[Row]:
    """Streams of 30 events a second each, the function on one core, all around it on another."""
    together: dict[int, list[Cost]] = {step: [] for step in steps}
    apart: list[Cost] = []
    with (
        surroundings() as around,
        environments(around, 1, max(steps)) as one,
        environments(around, compared) as many,
        pinned(one, many),
    ):
        for _ in range(rounds):
            apart.append(many.relay(compared, RATE, seconds))
            for step in steps:
                together[step].append(one.relay(step, RATE, seconds))
                if together[step][-1].gap_p99_s > HOPELESS_S:
                    break
    return rows(together, apart, compared)


def rows(together: dict[int, list[Cost]], apart: list[Cost], compared: int = COMPARED) -> list[Row]:
    """Return the lines of the table, of rounds in which the engine kept its schedule."""
    in_time = {step: kept for step, costs in together.items() if (kept := _kept(costs))}
    beside, ours = _kept(apart), in_time.get(compared, [])
    if not (beside and ours):
        return [
            Row(f"{compared} streams in one environment", "-", "the engine was late in all rounds", "unclear")
        ]
    gaps = {step: median(cost.gap_p99_s for cost in costs) for step, costs in in_time.items()}
    most = 0
    for step in sorted(gaps):
        if gaps[step] > GAP_S:
            break
        most = step
    memory_mb, others_mb = (median(cost.memory_mb for cost in costs) for costs in (ours, beside))
    cpu_us, others_us = (median(cost.cpu_us for cost in costs) for costs in (ours, beside))
    others = f"{compared} processes"
    return [
        Row(
            "streams of 30/s on one core, gap p99 <= 5 ms",
            f"{most} of {max(together)}",
            ", ".join(f"{step}: {ms(gap)}" for step, gap in gaps.items()),
            f"{most}",
            f">= {COMPARED}",
            most >= COMPARED,
        ),
        Row(
            f"{compared} streams, gap in the function, p99",
            ms(gaps[compared]),
            f"{ms(median(cost.gap_p99_s for cost in beside))} {others}",
            f"p50 {ms(median(cost.gap_p50_s for cost in ours))}",
            "<= 5 ms",
            gaps[compared] <= GAP_S,
        ),
        Row(
            f"{compared} streams, memory",
            f"{memory_mb:.0f} MB",
            f"{others_mb:,.0f} MB {others}",
            f"1/{others_mb / memory_mb:.1f}",
            "<= 1/20",
            others_mb / memory_mb >= 20,
        ),
        Row(
            f"{compared} streams, CPU per event",
            f"{cpu_us:.0f} us",
            f"{others_us:.0f} us {others}",
            f"{cpu_us / others_us:.2f} x",
        ),
    ]


def _kept(costs: Iterable[Cost]) -> list[Cost]:
    return [cost for cost in costs if cost.on_schedule]
