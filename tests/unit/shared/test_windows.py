"""The sliding minute, against the list of all that was accepted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.shared.windows import fits_at, left_ms, most_before, share, unused_at, window_of

MINUTE_MS = 60_000
moments = st.lists(
    st.tuples(st.integers(1, 45_000) | st.sampled_from([1, 500, MINUTE_MS]), st.integers(1, 12)), max_size=60
)


@pytest.mark.parametrize(
    ("now", "window"),
    [(0, 0), (59.999, 0), (59.9996, 1), (60, 1), (119.9, 1), (1_795_572_000, 29_926_200)],
)
def test_a_window_is_a_minute_of_utc(now: float, window: int) -> None:
    assert window_of(now) == window


def test_of_a_minute_that_another_clock_has_begun_all_is_left() -> None:
    assert [left_ms(2, now) for now in (119.0, 120.0, 120.25, 179.999)] == [60_000, 60_000, 59_750, 1]


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(1, MINUTE_MS))
def test_the_most_that_may_have_been_before_is_exact(before: int, room: int, left: int) -> None:
    """One update compares what was used with this number, for DynamoDB cannot multiply."""
    assert (share(before, left) <= room) == (before <= most_before(room, left))


@given(st.integers(1, 20), moments)
def test_any_minute_has_no_more_than_is_said(limit: int, arrivals: list[tuple[int, int]]) -> None:
    """The bound of the module, in every 60 s that end when something is accepted; and each minute's own."""
    at, accepted = 10 * MINUTE_MS - 30_000, list[tuple[int, int]]()
    window, used, before = 0, 0, 0
    for later, amount in arrivals:
        at += later
        now = at // MINUTE_MS
        if now != window:
            window, used, before = now, 0, used if now == window + 1 else 0
        if used + share(before, left_ms(window, at / 1000)) + amount > limit:
            continue
        used += amount
        accepted.append((at, amount))
        into_ms = at % MINUTE_MS
        last_60_s = sum(amount for time, amount in accepted if at - MINUTE_MS < time)
        assert last_60_s <= limit + limit * into_ms // MINUTE_MS
        assert sum(amount for time, amount in accepted if time // MINUTE_MS == window) <= limit


@pytest.mark.parametrize("limit", [1, 2, 60])
def test_right_at_the_turn_nothing_passes_beyond_the_limit(limit: int) -> None:
    assert share(limit, left_ms(1, 60.0)) == limit
    assert limit - share(limit, left_ms(1, 90.0)) == limit // 2


@given(
    st.integers(1, 100), st.integers(1, 100), st.integers(0, 100), st.integers(0, 100), st.integers(0, 59_999)
)
def test_something_fits_from_then_on_and_not_before(
    limit: int, need: int, used: int, before: int, into_ms: int
) -> None:
    if need > limit:
        return

    def fits(at: int) -> bool:
        in_next = at >= 2 * MINUTE_MS
        left = left_ms(2 if in_next else 1, at / 1000)
        counted = share(used, left) if in_next else used + share(before, left)
        return counted + need <= limit

    at = fits_at(limit, need, used, before, 1)
    if at < 3 * MINUTE_MS:  # when nothing at all counts any more
        assert fits(max(at, MINUTE_MS + into_ms))
    assert at <= MINUTE_MS or not fits(at - 1)


@pytest.mark.parametrize(("used", "before", "at"), [(1, 0, 180_000), (0, 1, 120_000), (0, 0, 60_000)])
def test_what_was_used_counts_for_so_long(used: int, before: int, at: int) -> None:
    assert unused_at(used, before, 1) == at
