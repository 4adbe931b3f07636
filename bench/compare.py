"""`make bench BASE=<checkout>`: what a request costs in this tree, beside another checkout of the project.

Both trees run on this interpreter, each with its own packages and its own streaming layer. Each pair starts a
process of each tree, as a process's speed depends on its memory layout, and alternates between the two.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from operator import truediv
from pathlib import Path
from statistics import median
from typing import Any

from bench import todos
from bench.bundle import ROOT, prepare_chat
from bench.measures import alternating, cpu_s
from bench.runtime_api import Function, chat_event, function, models
from tests.engines.scripted import scripted_process

GOAL = 1.03
PAIRS = 9
FLAT_EVENTS = 100_000
PACED_EVENTS = 400

Start = Callable[[], AbstractContextManager[Function]]


def first_byte_ms(chat: Function) -> float:
    """From an event's delivery to the first byte of the streamed body."""
    return chat.invoke(chat_event("scripted", 4)).first_byte_s * 1e3


def flat_out_us(chat: Function) -> float:
    """Time per event when the engine sends as fast as it is read."""
    return chat.invoke(chat_event("flat", FLAT_EVENTS)).total_s / FLAT_EVENTS * 1e6


def cpu_us(chat: Function, model: str, events: int) -> float:
    """CPU time per event: `flat` sends as fast as it is read, `paced` one event a write, 200 a second."""
    event = chat_event(model, events)
    return cpu_s(chat.pid, lambda: chat.invoke(event)) / events * 1e6


COLD_STARTS = 5
WARM_UPS = 50
# What a process costs that has started, and how often it is measured for a median.
WARM: tuple[tuple[str, int, Callable[[Function], float]], ...] = (
    ("first byte, ms", 200, first_byte_ms),
    ("flat out, us per event", 9, flat_out_us),
    ("flat out, us of CPU per event", 5, partial(cpu_us, model="flat", events=FLAT_EVENTS)),
    ("paced, us of CPU per event", 1, partial(cpu_us, model="paced", events=PACED_EVENTS)),
)
_EXAMPLES = {name: (ROOT / "examples" / f"{name}.graphql").read_text() for name in ("todos", "create_todo")}
QUERY, MUTATION = (todos.graphql_event(text) for text in _EXAMPLES.values())
ROUND_TRIPS = 100
FIGURES = (
    "cold start and first event, ms",
    *(name for name, _, _ in WARM),
    "todos: cold start and first reply, ms",
    "todos: query of 20, ms",
    "todos: mutation, ms",
)


def main(base: str) -> None:
    """Print a line for each figure. Exits with 1 if three quarters of a figure's ratios are over the goal."""
    checkout = Path(base).resolve()
    if not (checkout / "functions/chat/handler.py").is_file():
        sys.exit(f"Expected BASE to be a checkout of this project, but {checkout} has no functions/chat.")
    pairs = []
    with scripted_process() as engine:
        served = models(engine.base_url)
        this, other = (
            partial(function, root=root, packages=prepare_chat(root), MODELS=served)
            for root in (ROOT, checkout)
        )
        for number in range(PAIRS):
            print(f"pair {number + 1} of {PAIRS}", file=sys.stderr, flush=True)
            with todos.database() as postgres:
                its, others = (partial(todos.todos, postgres, root) for root in (ROOT, checkout))
                sides = (this, its), (other, others)
                pairs.append(_pair(*sides) if number % 2 else _pair(*sides[::-1])[::-1])
    print(f"{f'median of {PAIRS} pairs':<38} {'this':>8} {'base':>8} {'ratio':>8}  quartiles")
    over = False
    for number, name in enumerate(FIGURES):
        ours, theirs = ([pair[side][number] for pair in pairs] for side in (0, 1))
        lower, ratio, upper = statistics.quantiles(map(truediv, ours, theirs), n=4, method="inclusive")
        verdict = "met" if ratio <= GOAL else "unclear, run it again" if lower <= GOAL else "MISSED"
        over |= lower > GOAL
        print(
            f"{name:<38} {median(ours):>8.3g} {median(theirs):>8.3g} {ratio:>6.3f} x"
            f"  {lower:.2f} to {upper:.2f}  <= {GOAL} x  {verdict}"
        )
    sys.exit(over)


def _pair(*sides: tuple[Start, Start]) -> list[list[float]]:
    """Return what each side costs, one figure after the other."""
    starts, starts_of_todos = zip(*sides, strict=True)
    results = [alternating(COLD_STARTS, *(partial(_cold_start_ms, start) for start in starts))]
    with ExitStack() as stack:
        functions = [stack.enter_context(start()) for start in starts]
        alternating(WARM_UPS, *(partial(first_byte_ms, each) for each in functions))
        for _, rounds, cost in WARM:
            results.append(alternating(rounds, *(partial(cost, each) for each in functions)))
    results.append(alternating(COLD_STARTS, *(partial(_first_reply_ms, start) for start in starts_of_todos)))
    with ExitStack() as stack:
        functions = [stack.enter_context(start()) for start in starts_of_todos]
        for event in (QUERY, MUTATION):
            alternating(WARM_UPS, *(partial(_total_ms, each, event) for each in functions))
            results.append(alternating(ROUND_TRIPS, *(partial(_total_ms, each, event) for each in functions)))
    return [[median(figure[side]) for figure in results] for side in range(len(sides))]


def _cold_start_ms(start: Start) -> float:
    with start() as chat:
        return chat.first_event_s(chat_event("scripted", 4)) * 1e3


def _first_reply_ms(start: Start) -> float:
    with start() as started:
        return started.first_reply_s(QUERY, b"todo 7") * 1e3


def _total_ms(started: Function, event: dict[str, Any]) -> float:
    return started.invoke(event).total_s * 1e3


if __name__ == "__main__":
    main(sys.argv[1])
