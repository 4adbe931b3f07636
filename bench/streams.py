"""How many streams one environment relays in time on one core, and what they take beside processes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import median

from bench.environments import Cost, environments, pinned, surroundings
from bench.measures import Row, ms

RATE = 30.0
STEPS = (1, 16, 64, 128, 192, 256, 320)
COMPARED = 64
GAP_S = 0.005
# No step is worth its time after one that far over.
HOPELESS_S = 20 * GAP_S


def many_streams(
    rounds: int = 3, seconds: float = 2.0, steps: Sequence[int] = STEPS, compared: int = COMPARED
) -> list[Row]:
    """Streams of 30 events a second each, the function on one core, all around it on another."""
    found: dict[int, list[Cost]] = {step: [] for step in steps}
    together: list[Cost] = []
    apart: list[Cost] = []
    with (
        surroundings() as around,
        environments(around, 1, compared) as one,
        environments(around, compared) as many,
        environments(around, 1, max(steps)) as wide,
        pinned(one, many, wide),
    ):
        for _ in range(rounds):
            together.append(one.relay(compared, RATE, seconds))
            apart.append(many.relay(compared, RATE, seconds))
            for step in steps:
                found[step].append(wide.relay(step, RATE, seconds))
                if found[step][-1].gap_p99_s > HOPELESS_S:
                    break
    return rows(found, together, apart)


def rows(steps: Mapping[int, Sequence[Cost]], together: Sequence[Cost], apart: Sequence[Cost]) -> list[Row]:
    """Return the lines of the table, of rounds in which the engine kept its schedule."""
    compared = apart[0].streams
    in_time = {step: kept for step, costs in steps.items() if (kept := _kept(costs))}
    beside, ours = _kept(apart), _kept(together)
    if not (beside and ours and in_time):
        return [
            Row(f"{compared} streams in one environment", "", "the engine was late in all rounds", "unclear")
        ]
    gaps = {step: median(cost.gap_p99_s for cost in costs) for step, costs in in_time.items()}
    most = 0
    for step in sorted(steps):
        if step not in gaps or gaps[step] > GAP_S:
            break
        most = step
    gap_s = median(cost.gap_p99_s for cost in ours)
    memory_mb, others_mb = (median(cost.memory_mb for cost in costs) for costs in (ours, beside))
    cpu_us, others_us = (median(cost.cpu_us for cost in costs) for costs in (ours, beside))
    others = f"{compared} processes"
    return [
        Row(
            "streams of 30/s on one core, gap p99 <= 5 ms",
            f"{most} or more" if most == max(steps) else f"{most}",
            ", ".join(f"{step}: {ms(gap)}" for step, gap in gaps.items()),
            f"{most / COMPARED:.1f} x",
            f">= {COMPARED}",
            most >= COMPARED,
        ),
        Row(
            f"{compared} streams, gap in the function, p99",
            ms(gap_s),
            f"{ms(median(cost.gap_p99_s for cost in beside))} {others}",
            f"p50 {ms(median(cost.gap_p50_s for cost in ours))}",
            "<= 5 ms",
            gap_s <= GAP_S,
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
