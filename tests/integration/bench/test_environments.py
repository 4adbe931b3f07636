"""The harness of the benchmark around a real process of the function."""

import sysconfig
from pathlib import Path

import pytest

from bench.environments import environments, pinned, surroundings

PACKAGES = Path(sysconfig.get_path("purelib"))


@pytest.mark.parametrize(("processes", "streams"), [(2, 1), (1, 2)])
def test_each_event_of_each_stream_is_timed_through_the_function(processes: int, streams: int) -> None:
    with (
        surroundings() as around,
        environments(around, processes, streams, PACKAGES) as functions,
        pinned(functions),
    ):
        for _ in range(2):  # the second on connections that were kept
            cost = functions.relay(streams=2, rate=100, seconds=0.5)
            assert cost.per_s == pytest.approx(200, rel=0.1)
            assert 0 < cost.gap_p50_s <= cost.gap_p99_s
            assert cost.cpu_us > 0
            assert cost.memory_mb > 20
