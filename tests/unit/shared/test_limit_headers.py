"""The headers that report what is left."""

from dataclasses import replace

import pytest

from functions.shared.limit_headers import (
    NODE_WAITS_S,
    exposed_headers,
    go_duration,
    limit_headers,
    retry_after,
)
from functions.shared.limits import Allowance

ALLOWANCE = Allowance(
    limit_requests=60,
    remaining_requests=59,
    requests_reset_in_s=77.5,
    limit_tokens=1000,
    remaining_tokens=850,
    tokens_reset_in_s=17.5,
)


def test_headers_report_what_is_limited() -> None:
    assert limit_headers(ALLOWANCE) == {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-reset-requests": "1m17.5s",
        "x-ratelimit-limit-tokens": "1000",
        "x-ratelimit-remaining-tokens": "850",
        "x-ratelimit-reset-tokens": "17.5s",
    }
    assert limit_headers(replace(ALLOWANCE, limit_requests=None, limit_tokens=None)) == {}


def test_web_pages_may_read_all_of_them() -> None:
    assert set(exposed_headers("requests", "tokens")) == {*limit_headers(ALLOWANCE), *retry_after(1.0)}
    of_requests = limit_headers(replace(ALLOWANCE, limit_tokens=None))
    assert set(exposed_headers("requests")) == {*of_requests, *retry_after(1.0)}


@pytest.mark.parametrize(
    ("seconds", "header", "header_ms"),
    [(0, "1", "1"), (17.25, "18", "17250"), (60, "60", "60000"), (90.5, "60", "60000")],
)
def test_no_limit_is_waited_for_longer_than_openai_node_does(
    seconds: float, header: str, header_ms: str
) -> None:
    """It would come again after half a second, and fail; after 60 s it waits once more."""
    expected = {"retry-after": header, "retry-after-ms": header_ms}
    assert retry_after(seconds, most_s=NODE_WAITS_S) == expected
    assert retry_after(200) == {"retry-after": "120", "retry-after-ms": "120000"}


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0ms"),
        (-1, "0ms"),
        (0.12, "120ms"),
        (1, "1s"),
        (17.542, "17.542s"),
        (60, "1m0s"),
        (61.5, "1m1.5s"),
        (360, "6m0s"),
    ],
)
def test_durations_are_written_as_go_does(seconds: float, text: str) -> None:
    assert go_duration(seconds) == text
