"""Time that passes for a function which may be frozen in between."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """The time since it was made, by whichever of two clocks saw more of it.

    One goes back when it is set; the other may stand still while Lambda has frozen this environment.
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
