"""What the table says of many streams, of made-up figures."""

from bench.environments import Cost
from bench.streams import rows


def cost(streams: int, gap_s: float, memory_mb: float = 40, late_s: float = 0.0) -> Cost:
    return Cost(streams, 30, 30 * streams, 100, gap_s / 2, gap_s, late_s, memory_mb)


def test_the_most_streams_are_those_below_the_first_step_that_is_too_slow() -> None:
    steps = {
        64: [cost(64, 0.002)],
        96: [cost(96, 0.004)],
        128: [cost(128, 0.009)],
        192: [cost(192, 0.004)],
    }
    most, gap, memory, cpu = rows(steps, [cost(64, 0.002)], [cost(64, 0.003, 1200)])
    assert (most.ours, most.met) == ("96", True)
    assert (gap.ours, gap.met) == ("2.0 ms", True)
    assert (memory.result, memory.met) == ("1/30.0", True)
    assert (cpu.result, cpu.met) == ("1.00 x", None)


def test_a_round_in_which_the_engine_was_late_does_not_count() -> None:
    late = cost(64, 0.5, late_s=0.4)
    both = [late, cost(64, 0.002)]
    most, gap, *_ = rows({64: both}, both, both)
    assert (most.ours, gap.ours) == ("64 or more", "2.0 ms")
    (row,) = rows({64: [late]}, [late], [late])
    assert (row.result, row.met) == ("unclear", None)


def test_a_step_without_a_round_in_time_ends_the_steps() -> None:
    steps = {64: [cost(64, 0.002)], 128: [cost(128, 0.5, late_s=0.4)], 192: [cost(192, 0.002)]}
    assert rows(steps, [cost(64, 0.002)], [cost(64, 0.003)])[0].ours == "64"
