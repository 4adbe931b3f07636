"""Sessions: steps on one database that begins empty."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from tests.integration.prisma.equivalence import by_hand, scalars
from tests.integration.prisma.equivalence.reads import Reads
from tests.integration.prisma.equivalence.schema import read
from tests.integration.prisma.equivalence.steps import Step
from tests.integration.prisma.equivalence.writes import Writes

RANDOM = ("relations", "blog", "shop", "tenants")


@dataclass(frozen=True)
class Session:
    name: str
    schema: str
    steps: list[Step]


def random(name: str, seed: int, size: int = 90) -> Session:
    """Draw rows, then reads and writes by turns."""
    draw, schema = Random(f"{name} {seed}"), read(name)
    reads, writes = Reads(draw, schema), Writes(draw, schema)
    models = list(schema.models.values())
    steps = writes.seeds()
    steps += [draw.choice((reads, writes)).step(draw.choice(models)) for _ in range(size)]
    return Session(f"{name} {seed}", name, _grouped(steps, draw))


def _grouped(steps: list[Step], draw: Random) -> list[Step]:
    """Put some steps into transactions and batches."""
    grouped: list[Step] = []
    rest = iter(steps)
    for step in rest:
        kind = draw.random()
        if kind > 0.06:
            grouped.append(step)
            continue
        some = [step, *(each for each, _ in zip(rest, range(draw.randint(1, 3)), strict=False))]
        batch = [each for each in some if each["call"] in _IN_BATCHES]
        if kind < 0.02 and batch:
            grouped.append({"batch": batch})
        else:
            grouped.append({"tx": some, "end": draw.choice(["commit", "commit", "raise"])})
    return grouped


_IN_BATCHES = frozenset({"create", "update", "upsert", "delete", "create_many", "update_many", "delete_many"})


def fixed() -> Iterator[Session]:
    """Yield the sessions that no seed changes."""
    for name, steps in by_hand.sessions():
        yield Session(f"by hand: {name}", "relations", steps)
    for name, steps in scalars.sessions():
        yield Session(f"scalar: {name}", "scalars", steps)
