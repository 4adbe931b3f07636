"""Back-pressure reaches the app: a slow reader does not grow the function's memory."""

import time

import psutil
import pytest

from tests.integration.streaming.conftest import Start, url_event
from tests.integration.streaming.runtime_api import Script

MB = 1_000_000


@pytest.mark.slow
@pytest.mark.parametrize("chunk_bytes", [pytest.param(200, marks=pytest.mark.nightly), 20_000, 2_000_000])
def test_200_mb_for_a_slow_reader_take_no_40_mb(start: Start, chunk_bytes: int) -> None:
    environment = start()
    environment.get("/hello")
    process = psutil.Process(environment.process.pid)
    idle = process.memory_info().rss
    peaks = []
    stop_at = 0

    def pace(total: int) -> None:
        nonlocal stop_at
        if total >= stop_at:
            stop_at += 10 * MB
            time.sleep(0.05)
            peaks.append(process.memory_info().rss - idle)

    script = Script(keep=False, pace=pace)
    post = environment.api.invoke(url_event("/flood", query=str(chunk_bytes)), script=script, deadline_s=60)
    assert post.total > 200 * MB
    assert post.end == b"0\r\n\r\n"
    assert len(peaks) >= 20
    assert max(peaks) < 40 * MB, f"{max(peaks) / MB:.1f} MB above idle"
