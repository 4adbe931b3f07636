"""`make bench`: one table of medians and ratios, each comparison taken within this run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from bench import bundle, growth, keys, measures, peers, requests, streams, todos
from bench.measures import Row
from tests.engines.scripted import EngineProcess, scripted_process

MEASURES: dict[str, Callable[[EngineProcess], list[Row]]] = {
    "cold": measures.cold_start,
    "first": measures.first_byte,
    "flat": measures.flat_out,
    "responses": measures.responses,
    "paced": measures.paced,
    "concurrency": measures.concurrency,
    "memory": measures.memory,
    "requests": lambda _: requests.measure(),
    "keys": keys.first_byte,
    "keys-cold": keys.cold_start,
    "todos-cold": lambda _: todos.cold_start(),
    "todos": lambda _: todos.round_trips(),
    "todos-driver": lambda _: todos.at_the_driver(),
    "streams": lambda _: streams.many_streams(),
}
# By their names alone: one needs an installation of 600 MB, the other 256 processes.
OTHERS: dict[str, Callable[[EngineProcess], list[Row]]] = {
    "peers": peers.peers,
    "growth": lambda _: growth.growth(),
}


def main(names: Sequence[str]) -> None:
    """Print the rows of the named measures, all of them by default."""
    known = MEASURES | OTHERS
    unknown = set(names) - known.keys()
    if unknown:
        sys.exit(f"Expected some of {', '.join(known)}, but got {', '.join(sorted(unknown))}.")
    bundle.prepare()
    with scripted_process() as engine:
        for name in names or MEASURES:
            for row in known[name](engine):
                print(_line(row), flush=True)


def _line(row: Row) -> str:
    verdict = {None: "", True: "met", False: "MISSED"}[row.met]
    return (
        f"{row.what:<40} {row.ours:>14}  {row.beside:<46} {row.result:>9}  {row.goal:<18} {verdict}".rstrip()
    )


if __name__ == "__main__":
    main(sys.argv[1:])
