"""Gateways are compared; here an engine stands for each of them."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from bench.peers import DIRECTLY, OURS, TOGETHER, Gateway, compare
from tests.engines.scripted import scripted_process


def test_each_gets_the_same_requests() -> None:
    started = []

    @contextmanager
    def gateway() -> Iterator[Gateway]:
        started.append(engine.port)
        yield Gateway(engine.port, "", 0.5, lambda: [os.getpid()])

    with scripted_process() as engine:
        sides = dict.fromkeys((OURS, TOGETHER, "LiteLLM 0"), gateway)
        found = compare(sides, engine.port, lambda: 0.001, streams=(1, 3), rounds=5, heavy_rounds=1)
        requests = len(engine.state()["requests"])
    # Of four sides: 6 first bytes, then 2 rounds of 16 requests of one connection, and of 5 of each of 3.
    assert requests == 4 * (6 + 2 * (16 + 3 * 5))
    assert len(started) == 2 * 3
    assert {row.what for row in found} >= {f"events of 3 streams, {OURS}", f"memory, a stream, {TOGETHER}"}
    assert all(DIRECTLY in row.beside for row in found if "events" in row.what)
