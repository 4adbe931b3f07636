"""`make bench PEERS=1`: beside LiteLLM's proxy, and beside FastAPI and uvicorn that pass bytes through.

Each is before the same scripted engine and gets the same requests of the same client, on connections that it
keeps. Ours is the whole of `make run`: the local gateway, and functions behind it, in an environment for each
stream or in one for all.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import distributions
from itertools import chain
from pathlib import Path
from random import randrange
from statistics import median

from psutil import Process

from bench import bundle
from bench.client import Client
from bench.environments import memory_mb
from bench.measures import Row, alternating, ms
from bench.runtime_api import chat_event, function, models
from tests.engines.scripted import EngineProcess
from tests.local_service import run_local

PEERS = bundle.ROOT / ".local/peers"
OURS, TOGETHER, ALONE, DIRECTLY = "ours", "ours, one environment", "ours, the function alone", "directly"
STREAMS = (1, 8, 64)
MOST = max(STREAMS)
EVENTS = 100
# LiteLLM's settings for its benchmarks, and those of its page on production: one worker, the master key
# without which it does not start, and only errors in the log. Without `supports_native_streaming` it would
# wait for the whole of a reply.
# Source: docs.litellm.ai, "Production Best Practices", "Server Tuning" and "Benchmarks", read 2026-11-28.
KEY = "sk-of-the-benchmark-0123456789-0123456789-0123456789"
CONFIG = """\
  - model_name: $MODEL
    litellm_params: {model: openai/$MODEL, api_base: "$URL", api_key: none}
    model_info: {supports_native_streaming: true}
"""
SETTINGS = """\
litellm_settings: {callbacks: [], num_retries: 0, request_timeout: 600, set_verbose: false}
"""
VARIABLES = {
    "LITELLM_MASTER_KEY": KEY,
    "LITELLM_LOG": "ERROR",
    "LITELLM_MODE": "PRODUCTION",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "DISABLE_ADMIN_UI": "True",
}
# Of the first start, which compiles what it imports.
READY_S = 180


@dataclass(frozen=True)
class Gateway:
    """One of those that are compared; `start_s` is from its start to the end of its first reply."""

    port: int
    key: str
    start_s: float
    pids: Callable[[], list[int]]

    def client(self) -> Client:
        """Return a connection of its own."""
        return Client(self.port, key=self.key)


Start = Callable[[], AbstractContextManager[Gateway]]


@contextmanager
def ours(engine_url: str, **variables: str) -> Iterator[Gateway]:
    """Run what `make run` does, before this engine."""
    began_s = time.perf_counter()
    with run_local(BACKEND=engine_url, CONCURRENCY=str(MOST), **variables) as service:
        client = Client(service.port)
        client.complete("scripted", 1)
        start_s = time.perf_counter() - began_s
        client.close()
        yield Gateway(
            service.port,
            "",
            start_s,
            lambda: [process.pid for process in (service.processes()[0], *service.functions())],
        )


@contextmanager
def peer(command: Callable[[int], Sequence[str]], key: str = "", **variables: str) -> Iterator[Gateway]:
    """Run another gateway on packages of its own, at a port that it is given."""
    port = randrange(20_000, 30_000)  # LiteLLM takes seconds: no system gives one of those to others
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{bundle.ROOT}:{PEERS}", **variables}
    with tempfile.TemporaryFile() as output:
        began_s = time.perf_counter()
        child = subprocess.Popen(
            (sys.executable, "-S", *command(port)),
            cwd=bundle.ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            while not _replies(port, key):
                if child.poll() is not None or time.perf_counter() - began_s > READY_S:
                    output.seek(0)
                    sys.exit(f"A peer did not start:\n{output.read().decode()[-2000:]}")
                time.sleep(0.01)
            start_s = time.perf_counter() - began_s
            yield Gateway(port, key, start_s, lambda: _with_children(child.pid))
        finally:
            child.kill()
            child.wait()


def _replies(port: int, key: str) -> bool:
    """Return whether a completion comes; while there is no listener, or one that closes, none does."""
    with suppress(ConnectionError):
        client = Client(port, key=key)
        try:
            client.complete("scripted", 1)
            return True
        finally:
            client.close()
    return False


def starts(engine_url: str, folder: Path) -> dict[str, Start]:
    """Return all that is compared: ours, ours with one environment, LiteLLM, FastAPI."""
    config = folder / "litellm.yaml"
    models = (CONFIG.replace("$MODEL", name).replace("$URL", engine_url) for name in ("scripted", "flat"))
    config.write_text("model_list:\n" + "".join(models) + SETTINGS)
    versions = {each.name.lower(): each.version for each in distributions(path=[str(PEERS)])}

    def litellm(port: int) -> Sequence[str]:
        options = f"--host 127.0.0.1 --port {port} --num_workers 1 --keepalive_timeout 600".split()
        return (str(PEERS / "bin/litellm"), "--config", str(config), *options)

    return {
        OURS: partial(ours, engine_url),
        TOGETHER: partial(ours, engine_url, PER_ENVIRONMENT=str(MOST)),
        f"LiteLLM {versions['litellm']}": partial(peer, litellm, KEY, **VARIABLES),
        f"FastAPI {versions['fastapi']}": partial(
            peer, lambda port: ("-m", "bench.peer_server", engine_url, str(port))
        ),
    }


def peers(engine: EngineProcess) -> list[Row]:
    """Install the others unless they are there, and compare."""
    bundle.install(bundle.ROOT / "requirements/peers.txt", PEERS)
    event = chat_event("scripted", 4)
    with tempfile.TemporaryDirectory() as folder, function(MODELS=models(engine.base_url)) as chat:
        sides = starts(engine.base_url, Path(folder))
        return compare(sides, engine.port, lambda: chat.invoke(event).first_byte_s)


def compare(
    sides: Mapping[str, Start],
    engine: int,
    alone: Callable[[], float],
    streams: Sequence[int] = STREAMS,
    rounds: int = 200,
    heavy_rounds: int = 3,
) -> list[Row]:
    """What each adds to the first byte, beside the engine's port; then its throughput, memory and start.

    Shape: `alone` is for the first byte of the function by itself, as there is no gateway of ours on Lambda.
    """
    names = (*sides, DIRECTLY)
    rates: dict[int, dict[str, float]] = {}
    with ExitStack() as stack:
        # The first start of each compiles what it imports; those further down count.
        gateways = [stack.enter_context(start()) for start in sides.values()]
        connects: list[Callable[[], Client]] = [*(each.client for each in gateways), partial(Client, engine)]

        def medians(
            connections: int, rounds: int, figure: Callable[[list[Client]], float], *more: Callable[[], float]
        ) -> list[float]:
            with ExitStack() as closing:
                clients = [[connect() for _ in range(connections)] for connect in connects]
                for client in chain(*clients):
                    closing.callback(client.close)
                calls: list[Callable[[], float]] = [*(partial(figure, each) for each in clients), *more]
                alternating(max(1, rounds // 10), *calls)
                return [median(values) for values in alternating(rounds, *calls)]

        firsts = medians(1, rounds, _first_byte_s, alone)
        sizes = {1: _sizes(sides, gateways)}
        for count in streams:
            rates[count] = dict(zip(names, medians(count, heavy_rounds, _events_per_s), strict=True))
        sizes[max(streams)] = _sizes(sides, gateways)
    taken = [median(values) for values in alternating(heavy_rounds, *map(_starting, sides.values()))]
    named = dict(zip((*names, ALONE), firsts, strict=True))
    return rows(named, rates, sizes, dict(zip(sides, taken, strict=True)))


def rows(
    firsts: Mapping[str, float],
    rates: Mapping[int, Mapping[str, float]],
    sizes: Mapping[int, Mapping[str, float]],
    taken: Mapping[str, float],
) -> list[Row]:
    """Return the lines of the table, of each name's figures: first ours, twice, then LiteLLM, then others."""
    added = {name: first_s - firsts[DIRECTLY] for name, first_s in firsts.items() if name != DIRECTLY}
    litellm = next(value for name, value in added.items() if not name.startswith(OURS))
    found = []
    for name in (OURS, TOGETHER, ALONE):
        row = _row("first byte added", name, added, lambda value: f"+{ms(value)}")
        found.append(replace(row, goal="<= 1/10 of LiteLLM", met=added[name] <= litellm / 10))
    for name in (OURS, TOGETHER):
        for count, values in rates.items():
            found.append(_row(f"events of {_of(count)}", name, values, lambda value: f"{value:,.0f}/s"))
    for name in (OURS, TOGETHER):
        for count, values in sizes.items():
            found.append(_row(f"memory, {_of(count)}", name, values, lambda value: f"{value:,.0f} MB"))
        found.append(_row("start to the first reply", name, taken, ms))
    return found


def _of(streams: int) -> str:
    return "a stream" if streams == 1 else f"{streams} streams"


def _row(what: str, name: str, values: Mapping[str, float], written: Callable[[float], str]) -> Row:
    others = {other: value for other, value in values.items() if not other.startswith(OURS)}
    return Row(
        f"{what}, {name}",
        written(values[name]),
        ", ".join(f"{written(value)} {other}" for other, value in others.items()),
        ", ".join(f"{values[name] / value:.2g} x" for value in others.values()),
    )


def _first_byte_s(clients: Sequence[Client]) -> float:
    return clients[0].complete("scripted", 4).first_byte_s


def _events_per_s(clients: Sequence[Client]) -> float:
    """Request completions at full speed on each connection; return the events a second of all."""
    requests = max(1, 16 // len(clients))
    counts: list[int] = []

    def complete(client: Client) -> None:
        counts.extend(client.complete("flat", EVENTS).events for _ in range(requests))

    threads = [threading.Thread(target=complete, args=(client,)) for client in clients]
    began_s = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took_s = time.perf_counter() - began_s
    assert len(counts) == len(clients) * requests, "a stream failed"
    return len(counts) * EVENTS / took_s


def _sizes(names: Iterable[str], gateways: Iterable[Gateway]) -> dict[str, float]:
    return {name: memory_mb(gateway.pids()) for name, gateway in zip(names, gateways, strict=True)}


def _with_children(pid: int) -> list[int]:
    return [pid, *(each.pid for each in Process(pid).children(recursive=True))]


def _starting(start: Start) -> Callable[[], float]:
    def start_s() -> float:
        with start() as gateway:
            return gateway.start_s

    return start_s
