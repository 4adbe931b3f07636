"""`make bench GROWTH=1`: what relaying costs as streams and events a second grow, as a picture.

The chat function is on one core, in one environment for all streams or in a process for each; the engine, the
Runtime API and their schedule are on another. Where those can't keep the schedule, a point is left out.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import fields, replace
from statistics import median

import psutil

from bench import bundle
from bench.environments import Cost, environments, pinned, surroundings
from bench.growth_picture import APART, TOGETHER, draw
from bench.measures import Row, ms

STREAMS = (1, 8, 64, 256)
RATES = (10, 100, 1000)
# What one core generates and reads, with room for bursts.
MOST_PER_S = 10_000
PICTURE = bundle.ROOT / "docs/performance-growth.svg"
ROUNDS = 3
SECONDS = 2.0
# What a process may take while it starts.
_PROCESS_BYTES = 60_000_000


def measure(
    streams: Sequence[int] = STREAMS,
    rates: Sequence[int] = RATES,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
) -> tuple[dict[str, list[Cost]], list[str]]:
    """Return each side's medians, and the points that are left out."""
    points = [(each, rate) for each in streams for rate in rates]
    possible = [point for point in points if point[0] * point[1] <= MOST_PER_S]
    processes = max(each for each, _ in possible)
    if psutil.virtual_memory().available < processes * _PROCESS_BYTES:
        sys.exit(
            f"Expected {processes * _PROCESS_BYTES / 1e9:.0f} GB of free memory for {processes} processes."
        )
    with (
        surroundings() as around,
        environments(around, 1, processes) as one,
        environments(around, processes) as many,
        pinned(one, many),
    ):
        sides = {TOGETHER: one, APART: many}
        found: dict[tuple[str, int, int], list[Cost]] = {}
        for number in range(rounds):
            for each, rate in possible:
                print(f"round {number + 1} of {rounds}: {each} x {rate}/s", file=sys.stderr, flush=True)
                for name, side in sides.items():
                    found.setdefault((name, each, rate), []).append(side.relay(each, rate, seconds))
    in_time = {place: [cost for cost in costs if cost.on_schedule] for place, costs in found.items()}
    measured = [point for point in possible if all(in_time[name, *point] for name in sides)]
    if not measured:
        sys.exit("Expected an idle machine, but the engine was late in all rounds.")
    medians = {name: [median_cost(in_time[name, *point]) for point in measured] for name in sides}
    return medians, [f"{each} x {rate:,}/s" for each, rate in points if (each, rate) not in measured]


def median_cost(costs: Sequence[Cost]) -> Cost:
    """Return the median of each figure."""
    figures = (field.name for field in fields(Cost) if field.name != "streams")
    return replace(costs[0], **{name: median(getattr(cost, name) for cost in costs) for name in figures})


def growth() -> list[Row]:
    """Measure, and draw the picture."""
    sides, left_out = measure()
    PICTURE.write_text(draw(sides, left_out))
    print(f"written: {PICTURE.relative_to(bundle.ROOT)}; left out: {', '.join(left_out)}", file=sys.stderr)
    return [
        Row(
            f"{ours.streams} x {ours.rate:,.0f}/s, one environment",
            f"{ours.cpu_us:.0f} us/event",
            f"{theirs.cpu_us:.0f} us/event, a process for each",
            f"{ours.cpu_us / theirs.cpu_us:.2f} x",
            f"gap p50 {ms(ours.gap_p50_s)}, p99 {ms(ours.gap_p99_s)}; "
            f"{ms(theirs.gap_p50_s)}, {ms(theirs.gap_p99_s)}",
        )
        for ours, theirs in zip(*sides.values(), strict=True)
    ]
