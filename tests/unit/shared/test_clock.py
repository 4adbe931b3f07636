"""Time as a function sees it that may be frozen."""

import pytest

from functions.shared.clock import Clock


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.mark.parametrize(
    ("now_s", "steady_s", "elapsed_s"),
    [(5, 5, 5), (5, 0, 5), (-3600, 5, 5), (3600, 5, 3600)],
    ids=["both", "frozen", "set back", "thawed after an hour"],
)
def test_the_clock_that_saw_more_counts(now_s: float, steady_s: float, elapsed_s: float) -> None:
    now, steady = Hands(), Hands()
    clock = Clock(now, steady)
    now.at += now_s
    steady.at += steady_s
    assert clock.elapsed_s() == elapsed_s


def test_it_never_goes_back() -> None:
    now, steady = Hands(), Hands()
    clock = Clock(now, steady)
    now.at += 10
    assert clock.elapsed_s() == 10
    now.at -= 10
    assert clock.elapsed_s() == 10
    steady.at += 1
    assert clock.elapsed_s() == 11
