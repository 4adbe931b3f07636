"""The measurements. Every comparison alternates within one run, so that load affects both sides alike."""

from __future__ import annotations

import re
import statistics
import threading
import time
from collections import ChainMap
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from bench import bundle
from bench.client import Client
from bench.gateway import gateway
from bench.runtime_api import STOCK, chat_event, function, hello_event, models, response_event
from bench.servers import server
from tests.engines.scripted import EngineProcess
from tests.local_service import run_local


@dataclass(frozen=True)
class Row:
    """One line of the table; `met` is None where there is no goal."""

    what: str
    ours: str
    beside: str
    result: str
    goal: str = ""
    met: bool | None = None


def alternating(rounds: int, *sides: Callable[[], float]) -> list[list[float]]:
    """Call the sides in turn; return each side's results."""
    results: list[list[float]] = [[] for _ in sides]
    for _ in range(rounds):
        for side, values in zip(sides, results, strict=True):
            values.append(side())
    return results


def cold_start(engine: EngineProcess, rounds: int = 15) -> list[Row]:
    """Process start to the first event of the first completion, compiled files in place.

    Beside it, to the end of its reply: a hello world on the same layer, and one on the stock runtime.
    """
    served, event, hello = models(engine.base_url), chat_event("scripted", 4), hello_event()

    def ours() -> float:
        with function(MODELS=served) as started:
            return started.first_event_s(event)

    def starlette() -> float:
        with function(handler="bench/hello_starlette.handler", packages=bundle.HELLO) as started:
            return started.first_reply_s(hello, b"world")

    def fastapi() -> float:
        with function((*STOCK, "bench.hello.handler"), packages=bundle.HELLO) as started:
            return started.first_reply_s(hello, b"world")

    results = alternating(rounds + 1, ours, starlette, fastapi)
    chat_s, starlette_s, fastapi_s = (statistics.median(values[1:]) for values in results)
    return [
        Row(
            "cold start and first event",
            ms(chat_s),
            f"{ms(starlette_s)} Starlette + Mangum + httpx, our layer",
            f"{chat_s / starlette_s:.2f} x",
            "<= 1.15 x",
            chat_s / starlette_s <= 1.15,
        ),
        Row(
            "cold start and first event",
            ms(chat_s),
            f"{ms(fastapi_s)} FastAPI + Mangum + httpx, awslambdaric",
            f"{chat_s / fastapi_s:.2f} x",
        ),
    ]


def first_byte(engine: EngineProcess, rounds: int = 300) -> list[Row]:
    """The first byte of a warm stream: through the whole local path, beside a function that only passes bytes
    through behind the same gateway, and what the function alone adds to the engine called directly.
    """
    served = models(engine.base_url)
    with ExitStack() as stack:
        port = stack.enter_context(gateway(engine.base_url, served))
        through, raw, direct = (
            _client(stack, *address) for address in ((port,), (port, "/raw"), (engine.port,))
        )
        chat = stack.enter_context(function(MODELS=served))
        event = chat_event("scripted", 4)
        sides = (
            lambda: through.complete("scripted", 4).first_byte_s,
            lambda: raw.complete("scripted", 4).first_byte_s,
            lambda: direct.complete("scripted", 4).first_byte_s,
            lambda: chat.invoke(event).first_byte_s,
        )
        alternating(20, *sides)
        path, passed, engine_alone, share = alternating(rounds, *sides)
    median = statistics.median
    own = median(share) - median(engine_alone)
    return [
        _beside_raw("first byte, whole local path, median", median(path), median(passed), 1.1),
        _beside_raw("first byte, whole local path, p99", _p99(path), _p99(passed)),
        Row(
            "first byte, the function's own share",
            ms(median(share)),
            f"{ms(median(engine_alone))} the engine directly",
            f"+{ms(own)}",
            "<= +0.8 ms",
            own <= 0.0008,
        ),
    ]


def _beside_raw(what: str, ours_s: float, raw_s: float, goal: float | None = None) -> Row:
    ratio = ours_s / raw_s
    goals = (f"<= {goal} x", ratio <= goal) if goal else ()
    return Row(what, ms(ours_s), f"{ms(raw_s)} raw aiohttp function, same gateway", f"{ratio:.2f} x", *goals)


def flat_out(engine: EngineProcess, rounds: int = 5, events: int = 100_000) -> list[Row]:
    """Events a second when the engine sends as fast as it is read."""
    with ExitStack() as stack:
        chat = stack.enter_context(function(MODELS=models(engine.base_url)))
        bare = _client(stack, stack.enter_context(server("aiohttp", engine.base_url)).port)
        event = chat_event("flat", events)
        sides = (
            lambda: events / chat.invoke(event).total_s,
            lambda: events / bare.complete("flat", events).total_s,
        )
        alternating(1, *sides)
        ours, raw = (statistics.median(values) for values in alternating(rounds, *sides))
    return [
        Row(
            f"flat out, {events:,} events, the function",
            f"{ours:,.0f}/s",
            f"{raw:,.0f}/s raw aiohttp pass-through",
            f"{ours / raw:.2f} x",
            ">= 1.0 x",
            ours / raw >= 1,
        )
    ]


def responses(engine: EngineProcess, rounds: int = 7, events: int = 20_000) -> list[Row]:
    """CPU time per event of a response, beside a chat completion whose events have to be read one by one."""
    with function(MODELS=models(engine.base_url)) as chat:
        kinds = response_event("varied", events), chat_event("varied", events)
        sides = [partial(cpu_s, chat.pid, partial(chat.invoke, kind)) for kind in kinds]
        alternating(1, *sides)
        ours, read = (statistics.median(values) / events for values in alternating(rounds, *sides))
    return [
        Row(
            "a response, CPU per event, the function",
            f"{ours * 1e6:.1f} us",
            f"{read * 1e6:.1f} us chat completion, events read",
            f"{ours / read:.2f} x",
            "<= 1.5 x",
            ours / read <= 1.5,
        )
    ]


def paced(engine: EngineProcess, rounds: int = 5, events: int = 400) -> list[Row]:
    """CPU time per event when the engine sends one event a read, 200 a second."""
    with ExitStack() as stack:
        chat = stack.enter_context(function(MODELS=models(engine.base_url)))
        gateway = stack.enter_context(server("starlette", engine.base_url))
        bare = _client(stack, gateway.port)
        event = chat_event("paced", events)
        sides = (
            lambda: cpu_s(chat.pid, lambda: chat.invoke(event)) / events,
            lambda: cpu_s(gateway.pid, lambda: bare.complete("paced", events)) / events,
        )
        alternating(1, *sides)
        ours, other = (statistics.median(values) for values in alternating(rounds, *sides))
    return [
        Row(
            "paced 200/s, CPU per event, the function",
            f"{ours * 1e6:.0f} us",
            f"{other * 1e6:.0f} us Starlette + httpx, uvicorn",
            f"{ours / other:.2f} x",
            "<= 0.5 x",
            ours / other <= 0.5,
        )
    ]


def concurrency(engine: EngineProcess) -> list[Row]:
    """Events a second of 8 streams at once through 8 environments, beside the engine alone."""
    rows = []
    with run_local(BACKEND=engine.base_url, CONCURRENCY="8") as service:
        sides = partial(Client, service.port), partial(Client, engine.port)
        rows.append(_eight("paced scripted engine", *sides, "paced", tokens=200, goal=0.97))
    with run_local(CONCURRENCY="8") as service:
        embedded = re.search(r"engine .*:(\d+)(/\S+)/v1", service.banner)
        assert embedded
        variables = ChainMap(*(process.environ() for process in service.processes()))
        direct = partial(Client, int(embedded[1]), embedded[2], variables["LLAMA_API_KEY"])
        sides = partial(Client, service.port), direct
        rows.append(_eight("llama.cpp", *sides, "smollm2-135m-instruct", tokens=96, goal=0.98))
    return rows


def memory(engine: EngineProcess) -> list[Row]:
    """Resident size of the function after 1,000 requests beside after 10."""
    with function(MODELS=models(engine.base_url)) as chat:
        event, process = chat_event("scripted", 20), psutil.Process(chat.pid)
        for _ in range(10):
            chat.invoke(event)
        early = process.memory_info().rss
        for _ in range(990):
            chat.invoke(event)
        late = process.memory_info().rss
    growth = late / early - 1
    return [
        Row(
            "memory after 1,000 requests",
            f"{late / 1e6:.0f} MB",
            f"{early / 1e6:.0f} MB after 10",
            f"{growth:+.1%}",
            "<= +5 %, <= 90 MB",
            growth <= 0.05 and late <= 90e6,
        )
    ]


def _eight(
    name: str,
    service: Callable[[], Client],
    engine: Callable[[], Client],
    model: str,
    tokens: int,
    goal: float,
    rounds: int = 5,
) -> Row:
    sides = (lambda: _at_once(service, model, tokens), lambda: _at_once(engine, model, tokens))
    alternating(1, *sides)
    ours, direct = (statistics.median(values) for values in alternating(rounds, *sides))
    return Row(
        f"8 streams at once, {name}",
        f"{ours:,.0f}/s",
        f"{direct:,.0f}/s the engine directly",
        f"{ours / direct:.2f} x",
        f">= {goal} x",
        ours / direct >= goal,
    )


def _at_once(connect: Callable[[], Client], model: str, tokens: int, streams: int = 8) -> float:
    counts: list[int] = []

    def stream() -> None:
        client = connect()
        counts.append(client.complete(model, tokens).events)
        client.close()

    threads = [threading.Thread(target=stream) for _ in range(streams)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == streams, "a stream failed"
    return sum(counts) / (time.perf_counter() - began)


def _client(stack: ExitStack, port: int, prefix: str = "") -> Client:
    client = Client(port, prefix)
    stack.callback(client.close)
    return client


def cpu_s(pid: int, work: Callable[[], object]) -> float:
    """CPU time that a process spends while work is done. Source: proc(5), /proc/pid/schedstat, in ns."""
    before = spent_ns(pid)
    work()
    return (spent_ns(pid) - before) / 1e9


def spent_ns(pid: int) -> int:
    """CPU time that a process has spent so far, as user and in the kernel."""
    tasks = Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks)


def ms(seconds: float) -> str:
    """Write a time, in milliseconds."""
    return f"{seconds * 1000:.1f} ms" if seconds < 0.1 else f"{seconds * 1000:.0f} ms"


def _p99(values: list[float]) -> float:
    return statistics.quantiles(values, n=100)[98]
