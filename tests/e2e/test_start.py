"""A second start is quick, and Ctrl-C stops everything, whatever is going on."""

import httpx
import pytest

from tests.e2e.test_arrival import STORY
from tests.local_service import LocalService, run_local


def test_it_starts_in_three_seconds_and_stops_in_the_middle_of_a_reply(local: LocalService) -> None:
    """`local` was the first start."""
    assert local.ready_after_s
    with run_local() as second, second.service.client() as client:
        assert second.ready_after_s < 3
        body = {**STORY, "stream": True, "max_tokens": 500, "temperature": 0}  # a joke may be short
        with client.stream("POST", "/v1/chat/completions", json=body) as reply:
            reads = reply.iter_raw()
            next(reads)
            second.stop()
            with pytest.raises(httpx.RemoteProtocolError):
                list(reads)


def test_it_listens_on_loopback_only(local: LocalService) -> None:
    assert local.listening() == {"127.0.0.1"}
