"""What the engine measures, as CloudWatch reads it from a log: `python3 -c SOURCE URL NAMESPACE MODEL`.

vLLM shows its metrics in Prometheus's text format. Gauges are looked at every 10 s, and every minute a line
in the embedded metric format tells what was seen, and how far the counters went. Nothing is told while the
engine does not answer.
"""

import json
import signal
import sys
import time
import urllib.request

GAUGES = ("vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc")
COUNTERS = ("vllm:prompt_tokens_total", "vllm:generation_tokens_total")
UNITS = {"vllm:kv_cache_usage_perc": "None"}
LOOKS = 6
PAUSE_S = 10
ANSWER_S = 5


def parse(text: str) -> dict[str, float]:
    """Return the wanted metrics; of several series of one name the sum."""
    values: dict[str, float] = {}
    for line in text.splitlines():
        name = line.partition("{")[0].partition(" ")[0]
        if name in GAUGES or name in COUNTERS:
            values[name] = values.get(name, 0) + float(line.rpartition(" ")[2])
    return values


def look(url: str) -> dict[str, float] | None:
    """Return what the engine shows now; None: it does not answer."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_S) as reply:
            return parse(reply.read().decode())
    except OSError:
        return None


def line(
    seen: list[dict[str, float]], before: dict[str, float], *, namespace: str, model: str, now_ms: int
) -> str:
    """Return the line about these looks; counters count from the look before them.

    Source: "Specification: Embedded metric format", CloudWatch user guide, read 2026-11-23.
    """
    last = seen[-1]
    metrics: dict[str, object] = {name: [each[name] for each in seen if name in each] for name in GAUGES}
    # A counter that went back is that of a new process, and counts from zero.
    for name in COUNTERS:
        after, start = last.get(name, 0), before.get(name, 0)
        metrics[name] = after - start if after >= start else after
    directive = {
        "Namespace": namespace,
        "Dimensions": [["model"]],
        "Metrics": [{"Name": name, "Unit": UNITS.get(name, "Count")} for name in metrics],
    }
    return json.dumps(
        {"_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [directive]}, "model": model, **metrics}
    )


def report(url: str, namespace: str, model: str) -> None:
    """Look and tell, for ever."""
    before: dict[str, float] | None = None
    while True:
        seen = []
        for _ in range(LOOKS):
            if values := look(url):
                seen.append(values)
            time.sleep(PAUSE_S)
        if seen:
            # What was counted before the first look of all, nobody knows when.
            before = seen[0] if before is None else before
            print(
                line(seen, before, namespace=namespace, model=model, now_ms=int(time.time() * 1000)),
                flush=True,
            )
            before = seen[-1]


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    report(*sys.argv[1:4])
