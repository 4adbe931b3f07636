"""`python -m bench.engine BASE_URL MODEL`: tokens, first token and CPU time in front of any engine.

Rounds alternate between the local gateway, with a function process for each stream, and the engine called
directly. Every request has a prompt of its own, so that no cache of prefixes serves one side only. Where the
engine needs a key, it is in BACKEND_KEY.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import re
import string
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import urlsplit

from bench.measures import spent_ns
from tests.local_service import run_local

_TOKEN = re.compile(rb'"(?:content|reasoning|reasoning_content)": ?"[^"]')
_USAGE = re.compile(rb'"completion_tokens": ?(\d+)')
_PROMPT_WORDS = 30
_WARM_UP_TOKENS = 16
# In one round, where there are fewer streams: of one stream there would be too few first tokens.
_MIN_REQUESTS = 4
_TIMEOUT_S = 120


@dataclass(frozen=True)
class Stream:
    """One completion."""

    first_token_s: float
    tokens: int
    events: int


@dataclass(frozen=True)
class Round:
    """So many streams at once, of one side. `cpu_s` is what the functions spent meanwhile."""

    side: str
    streams: int
    took_s: float
    cpu_s: float
    completions: Sequence[Stream]

    @property
    def rate(self) -> float:
        """Tokens a second, of all streams together."""
        return sum(each.tokens for each in self.completions) / self.took_s

    @property
    def cpu_us(self) -> float:
        """CPU time per event."""
        return self.cpu_s * 1e6 / sum(each.events for each in self.completions)


class Server:
    """An OpenAI-compatible server and one of its models."""

    def __init__(self, base_url: str, model: str, key: str) -> None:
        self._url, self._model = urlsplit(base_url), model
        self._headers = {"content-type": "application/json", "authorization": f"Bearer {key}"}

    def complete(self, tokens: int) -> Stream:
        """Stream one completion through a new connection."""
        secure = self._url.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        connection = kind(self._url.netloc, timeout=_TIMEOUT_S)
        body = self._body(tokens)
        began = time.perf_counter()
        connection.request("POST", f"{self._url.path}/chat/completions", body, self._headers)
        response = connection.getresponse()
        data, first = b"", 0.0
        while chunk := response.read1(65536):
            data += chunk
            if not first and _TOKEN.search(data):
                first = time.perf_counter() - began
        connection.close()
        usage = _USAGE.findall(data)
        assert response.status == 200, data
        assert first, data
        assert usage, data
        return Stream(first, int(usage[-1]), data.count(b"data: {"))

    def _body(self, tokens: int) -> bytes:
        words = ("".join(random.choices(string.ascii_lowercase, k=4)) for _ in range(_PROMPT_WORDS))
        body = {
            "model": self._model,
            "messages": [{"role": "user", "content": " ".join(words)}],
            "max_tokens": tokens,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        return json.dumps(body).encode()


def _at_once(streams: int, complete: Callable[[], Stream], requests: int = 1) -> list[Stream]:
    """Complete so many requests one after the other, on each of so many streams."""
    done: list[Stream] = []
    threads = [
        threading.Thread(target=lambda: done.extend(complete() for _ in range(requests)))
        for _ in range(streams)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == streams * requests, "a stream failed"
    return done


def main() -> None:
    """Print a row for each number of streams."""
    parser = argparse.ArgumentParser(prog="python -m bench.engine", description=__doc__)
    parser.add_argument("base_url", help="the engine's, such as http://127.0.0.1:8000/v1")
    parser.add_argument("model")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 8, 32, 64])
    parser.add_argument("--tokens", type=int, default=128, help="of each completion")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--limit-s", type=float, default=600, help="no round begins after so long")
    parser.add_argument("--json", type=Path, help="a file for all that is measured, written after each round")
    options = parser.parse_args()
    rounds = []
    until = time.monotonic() + options.limit_s
    for measured in _rounds(options):
        rounds += measured
        if options.json:
            options.json.write_text(json.dumps([asdict(each) for each in rounds]))
        if time.monotonic() > until:
            break
    print("streams  tokens/s: gateway, engine, ratio  first token, ms: median and p95  CPU per event")
    for streams in options.streams:
        ours, direct = (
            [each for each in rounds if (each.side, each.streams) == (side, streams)]
            for side in ("gateway", "engine")
        )
        print(_line(streams, ours, direct))


def _rounds(options: argparse.Namespace) -> Iterator[list[Round]]:
    """Measure both sides at every number of streams, once and again."""
    key = os.environ.get("BACKEND_KEY", "")
    settings = {"BACKEND": options.base_url, "BACKEND_KEY": key, "CONCURRENCY": str(max(options.streams))}
    with run_local(**settings) as service:
        gateway = Server(f"{service.service.url}/v1", options.model, service.service.key)
        engine = Server(options.base_url, options.model, key)
        for server in (gateway, engine):  # all functions start, and the engine meets each size of a batch
            for streams in sorted(options.streams, reverse=True):
                _at_once(streams, partial(server.complete, _WARM_UP_TOKENS))
        functions = [process.pid for process in service.functions()]

        def measure(side: str, server: Server, streams: int) -> Round:
            before = sum(map(spent_ns, functions))
            began = time.perf_counter()
            complete = partial(server.complete, options.tokens)
            done = _at_once(streams, complete, max(1, _MIN_REQUESTS // streams))
            took_s = time.perf_counter() - began
            return Round(side, streams, took_s, (sum(map(spent_ns, functions)) - before) / 1e9, done)

        sides = [("gateway", gateway), ("engine", engine)]
        for _ in range(options.rounds):
            yield [measure(*side, streams) for streams in options.streams for side in sides]
            sides.reverse()


def _line(streams: int, ours: Sequence[Round], direct: Sequence[Round]) -> str:
    ratio = median(a.rate / b.rate for a, b in zip(ours, direct, strict=True))
    rates = [f"{median(each.rate for each in side):,.0f}" for side in (ours, direct)]
    firsts = []
    for side in (ours, direct):
        values = [stream.first_token_s * 1e3 for each in side for stream in each.completions]
        firsts.append(f"{median(values):.0f} and {quantiles(values, n=20, method='inclusive')[18]:.0f}")
    cpu_us = median(each.cpu_us for each in ours)
    return f"{streams:>7}  {', '.join(rates)}, {ratio:.2f} x  {', '.join(firsts)}  {cpu_us:.0f} us"


if __name__ == "__main__":
    main()
