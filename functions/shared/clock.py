"""Elapsed time, in a function that Lambda may freeze meanwhile."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """The time since it was made, by two clocks, of which the one that advanced more counts.

    The wall clock may be set back; the monotonic one may stop while Lambda has frozen this environment.
    """

    def __init__(
        self, now: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic
    ) -> None:
        self._now, self._steady = now, steady
        self._read_at = now(), steady()
        self._elapsed_s = 0.0

    def elapsed_s(self) -> float:
        """Return the seconds since it was made."""
        now, steady = self._now(), self._steady()
        self._elapsed_s += max(now - self._read_at[0], steady - self._read_at[1])
        self._read_at = now, steady
        return self._elapsed_s
