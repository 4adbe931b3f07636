"""The sliding minute: what was used in this minute of UTC, and of the one before as much as is left of this.

A share of the minute before is rounded up. So, with amounts that count at once and by one clock:

    in a minute of UTC                           no more than the limit
    in any 60 s that end s seconds into one      no more than limit + floor(limit x s / 60)

At the turn of a minute, nothing passes beyond the limit. Where another clock is ahead of ours, its minute
counts here too, as at its very begin.

Units:  times: ms since 1970, rounded.
"""

from __future__ import annotations

MINUTE_MS = 60_000


def ms(now: float) -> int:
    """Return a time in whole ms."""
    return round(now * 1000)


def window_of(now: float) -> int:
    """Return the minute that a time is in."""
    return ms(now) // MINUTE_MS


def left_ms(window: int, now: float) -> int:
    """Return what is left of a minute: all of it where another clock has begun it, and ours has not."""
    return min((window + 1) * MINUTE_MS - ms(now), MINUTE_MS)


def share(before: int, left: int) -> int:
    """Return how much of the minute before counts."""
    return -(-max(before, 0) * left // MINUTE_MS)


def most_before(room: int, left: int) -> int:
    """Return the most that may have been used in the minute before for its share to be `room` at most."""
    return room * MINUTE_MS // left


def fits_at(limit: int, need: int, used: int, before: int, window: int) -> int:
    """Return from when on something fits, if nothing else comes: within this minute, or within the next."""
    room = limit - need - used
    if room >= 0:
        return (window + 1) * MINUTE_MS - (room * MINUTE_MS // before if before > 0 else MINUTE_MS)
    return (window + 2) * MINUTE_MS - max(limit - need, 0) * MINUTE_MS // max(used, 1)


def unused_at(used: int, before: int, window: int) -> int:
    """Return from when on nothing counts any more that was used."""
    minutes = 2 if used > 0 else 1 if before > 0 else 0
    return (window + minutes) * MINUTE_MS
