"""The chat function on one core, in one process for many streams or in a process for each, and its cost."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

import psutil

from bench.bundle import CHAT, ROOT
from bench.harness import Engine, Loop, RuntimeApi, paced_event
from bench.measures import spent_ns
from bench.runtime_api import models, wrapped

_SETTLE_S = 0.3
# An engine that is later than that is not one of that rate.
LATE_S = 0.005


@dataclass(frozen=True)
class Cost:
    """What relaying so many streams, of so many events a second each, cost the function.

    Shape: `per_s` is how many events it relayed a second, of all streams; gaps are from an event's sending
           until it has left the function; `late_s` is how late the engine was, at p99.
    """

    streams: int
    rate: float
    per_s: float
    cpu_us: float
    gap_p50_s: float
    gap_p99_s: float
    late_s: float
    memory_mb: float

    @property
    def on_schedule(self) -> bool:
        """Return whether the engine sent what it should have, when it should have."""
        return self.late_s <= LATE_S and abs(self.per_s / (self.streams * self.rate) - 1) < 0.1


class Surroundings:
    """An engine, and the loop that serves it and each Runtime API."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.engine = Engine(self.loop)


@contextmanager
def surroundings() -> Iterator[Surroundings]:
    """Serve an engine for as long as the context lasts."""
    around = Surroundings()
    try:
        yield around
    finally:
        around.loop.close_all()


@contextmanager
def pinned(*sides: Environments) -> Iterator[None]:
    """Leave one core to functions, and another to this process."""
    cores = os.sched_getaffinity(0)
    if len(cores) < 2:
        sys.exit("Expected two cores: one for the function, one for all around it. This machine has one.")
    core, other, *_ = sorted(cores)
    for side in sides:
        side.pin(core)
    os.sched_setaffinity(0, {other})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


class Environments:
    """Processes of the function that have started, and their Runtime API."""

    def __init__(self, around: Surroundings, api: RuntimeApi, pids: Sequence[int]) -> None:
        self._around, self._api, self._pids = around, api, pids
        self._room = len(api.waiting)

    def pin(self, core: int) -> None:
        """Leave them one core."""
        for task in (task for pid in self._pids for task in Path(f"/proc/{pid}/task").iterdir()):
            os.sched_setaffinity(int(task.name), {core})

    def relay(self, streams: int, rate: float, seconds: float) -> Cost:
        """Start so many streams, measure for so long, and end them."""
        loop, engine, api = self._around.loop, self._around.engine, self._api
        api.ended = 0
        for number in range(streams):
            api.invoke(paced_event())
            loop.run(lambda count=number + 1: engine.streams == count)  # type: ignore[misc]
        engine.begin(rate)
        loop.run_for(_SETTLE_S)
        api.gaps.clear()
        engine.late_s.clear()
        before_ns, began_ns = self._spent_ns(), time.time_ns()
        loop.run_for(seconds)
        ended_ns = time.time_ns()
        spent_us = (self._spent_ns() - before_ns) / 1e3
        late_s = _p99(engine.late_s)
        memory = memory_mb(self._pids[:streams])
        engine.end()
        loop.run(lambda: api.ended == streams and len(api.waiting) == self._room)
        gaps = [gap_ns / 1e9 for sent_ns, gap_ns in api.gaps if began_ns <= sent_ns < ended_ns]
        per_s = len(gaps) / (ended_ns - began_ns) * 1e9
        cpu_us = spent_us / len(gaps)
        return Cost(streams, rate, per_s, cpu_us, median(gaps), _p99(gaps), late_s, memory)

    def _spent_ns(self) -> int:
        return sum(map(spent_ns, self._pids))


@contextmanager
def environments(
    around: Surroundings, processes: int, streams: int = 1, packages: Path = CHAT
) -> Iterator[Environments]:
    """Start so many processes for so many streams each, until all wait for their events."""
    api = RuntimeApi(around.loop)
    served = models(around.engine.base_url)
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": f"{ROOT}:{packages}",
        "LAMBDA_TASK_ROOT": str(ROOT),
        "AWS_LAMBDA_RUNTIME_API": api.address,
        "AWS_LAMBDA_FUNCTION_NAME": "bench",
        "_HANDLER": "functions/chat/handler.handler",
        "MODELS": served,
    }
    if streams > 1:  # what Lambda sets where an environment is for several
        environment |= {"AWS_LAMBDA_MAX_CONCURRENCY": str(streams), "AWS_LAMBDA_LOG_FORMAT": "JSON"}
    children: list[subprocess.Popen[bytes]] = []
    try:
        children.extend(
            subprocess.Popen(wrapped(), cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
            for _ in range(processes)
        )
        around.loop.run(lambda: len(api.waiting) == processes * streams, limit_s=180)
        yield Environments(around, api, [child.pid for child in children])
    finally:
        for child in children:
            child.kill()
        for child in children:
            child.wait()


def memory_mb(pids: Iterable[int]) -> float:
    """Return what processes of one kind take, what they share counted once."""
    sizes = [psutil.Process(pid).memory_full_info() for pid in pids]
    return (sum(size.uss for size in sizes) + max(size.rss - size.uss for size in sizes)) / 1e6


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100, method="inclusive")[98]
