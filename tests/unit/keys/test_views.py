"""Times as they are written."""

import pytest

from functions.keys import views
from tests.unit.keys.store import DAY_S, NOW


def test_moments_are_written_in_utc() -> None:
    assert views.iso_time(NOW) == "2026-11-25T02:00:00Z"
    assert views.iso_day(NOW) == "2026-11-25"
    assert views.clock(NOW) == "2026-11-25 02:00 UTC"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (59, "less than a minute"),
        (60, "1 minute"),
        (3560, "59 minutes"),
        (3599, "60 minutes"),
        (90 * DAY_S - 5, "90 days"),
        (7200, "2 hours"),
        (86400, "1 day"),
        (36500 * DAY_S, "36,500 days"),
    ],
)
def test_lengths(seconds: int, text: str) -> None:
    assert views.length(seconds) == text
