"""The engine's metrics, as CloudWatch reads them from a log: `python3 -c SOURCE URL NAMESPACE MODEL`.

vLLM serves its metrics in Prometheus's text format. Gauges are read every 10 s. Every minute a line in the
embedded metric format has their values, and by how much the counters grew. No line is written while the
engine does not respond.

A line also has `idle_s`: for how long no request has run, waited or ended, as far as this process has seen.
The scaler stops an engine by it, so it is never too high: it begins at 0 with this process.
"""

import json
import signal
import sys
import time
import urllib.request
from http.client import HTTPException
from math import isfinite

GAUGES = ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc")
COUNTERS = ("vllm:prompt_tokens_total", "vllm:generation_tokens_total")
# Not reported: requests that ended, however they did.
ENDED = "vllm:request_success_total"
UNITS = {"vllm:kv_cache_usage_perc": "None"}
READINGS = 6
PAUSE_S = 10
TIMEOUT_S = 5


def parse(text: str) -> dict[str, float]:
    """Return the metrics that are read; of several series of one name the sum. JSON has no NaN."""
    values: dict[str, float] = {}
    for line in text.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        if name in GAUGES or name in COUNTERS or name == ENDED:
            values[name] = values.get(name, 0) + float(line.rpartition(" ")[2])
    return {name: value for name, value in values.items() if isfinite(value)}


def read(url: str) -> dict[str, float] | None:
    """Return the engine's metrics now; None: it does not respond, or not with metrics."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S) as response:
            return parse(response.read().decode())
    except (OSError, HTTPException, ValueError):
        return None


class Idleness:
    """For how long the engine has been without requests."""

    def __init__(self, now_s: float) -> None:
        self._since_s = now_s
        self._counted: list[float | None] = []

    def update(self, values: dict[str, float], now_s: float) -> int:
        """Take a reading in, and return the whole seconds: 0, where it has not all of the counters."""
        is_busy = any(values.get(name, 0) for name in GAUGES[:2])
        counted = [values.get(name) for name in (*COUNTERS, ENDED)]
        if is_busy or None in counted or counted != self._counted:
            self._since_s = now_s
        self._counted = counted
        return int(now_s - self._since_s)


def line(
    readings: list[dict[str, float]],
    before: dict[str, float],
    *,
    namespace: str,
    model: str,
    now_ms: int,
    idle_s: int,
) -> str:
    """Return the line for these readings; counters count from the reading before them.

    Source: "Specification: Embedded metric format", CloudWatch user guide, read 2026-11-23.
    """
    last = readings[-1]
    metrics: dict[str, object] = {name: [each[name] for each in readings if name in each] for name in GAUGES}
    # A counter that fell belongs to a new process, and counts from zero.
    for name in COUNTERS:
        after, start = last.get(name, 0), before.get(name, 0)
        metrics[name] = after - start if after >= start else after
    directive = {
        "Namespace": namespace,
        "Dimensions": [["model"]],
        "Metrics": [{"Name": name, "Unit": UNITS.get(name, "Count")} for name in metrics],
    }
    about = {"Timestamp": now_ms, "CloudWatchMetrics": [directive]}
    return json.dumps({"_aws": about, "model": model, **metrics, "idle_s": idle_s})


def report(url: str, namespace: str, model: str) -> None:
    """Read and report until the process is stopped."""
    before: dict[str, float] | None = None
    idleness, idle_s = Idleness(time.monotonic()), 0
    while True:
        readings = []
        for _ in range(READINGS):
            if values := read(url):
                readings.append(values)
                idle_s = idleness.update(values, time.monotonic())
            time.sleep(PAUSE_S)
        if readings:
            # It is unknown when the counts before the first reading were made.
            before = readings[0] if before is None else before
            now_ms = int(time.time() * 1000)
            text = line(readings, before, namespace=namespace, model=model, now_ms=now_ms, idle_s=idle_s)
            print(text, flush=True)
            before = readings[-1]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    report(*sys.argv[1:4])
