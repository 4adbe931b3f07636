"""`python -m tests.integration.prisma.equivalence.live`: another way beside the engine in process.

Each has an empty database of one Postgres, and answers the same steps. `--seeds 1-20` draws random sessions,
`--record` writes what was answered; where they differ, the other's answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.prisma.equivalence import clients, recording, sessions, steps
from tests.integration.prisma.equivalence.notation import canonical
from tests.integration.prisma.equivalence.schema import read
from tests.integration.prisma.equivalence.sessions import Session
from tests.integration.prisma.equivalence.side import Side
from tests.postgres import Postgres, run_postgres

_SHOWN = 1500


@dataclass
class Comparison:
    """What was seen."""

    postgres: Postgres
    kit: clients.Kit
    beside: str
    undecided: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    packages: dict[str, tuple[str, str, str]] = field(default_factory=dict)

    def prepare(self, name: str) -> tuple[str, str, str]:
        """Generate both clients of a schema; return their packages, and the SQL of its tables."""
        if name not in self.packages:
            schema = read(name)
            beside, here = (self.kit.package(schema, kind) for kind in (self.beside, "here"))
            ddl = self.kit.ddl(schema, self.postgres.url(self.postgres.create_database()))
            self.packages[name] = (beside, here, ddl)
        return self.packages[name]

    async def session(self, session: Session) -> recording.Recorded:
        """Compare one session; return its recording."""
        *packages, ddl = self.prepare(session.schema)
        names = [clients.database(self.postgres, ddl, {}) for _ in packages]
        entries = []
        sides = map(Side, [self.postgres] * 2, (self.beside, "here"), packages, names)
        async with next(sides) as other, next(sides) as here:
            for number, step in enumerate(session.steps):
                first, second = await asyncio.gather(other.answer(step), here.answer(step))
                entries.append(self._entry(f"{session.name} #{number}", step, first, second))
        first, second = (clients.tables(self.postgres, name) for name in names)
        entries.append(self._entry(f"{session.name} tables", {"tables": session.name}, first, second))
        for name in names:
            self.postgres.run_sql(f'DROP DATABASE "{name}"')
        return {"session": session.name, "schema": session.schema, "ddl": ddl}, entries

    def _entry(self, place: str, step: steps.Step, other: Any, here: Any) -> dict[str, Any]:
        self.answers[str(other.get("code", other.get("error", "value")))] += 1
        if canonical(other) == canonical(here):
            return {"step": step, "answer": here}
        self.undecided += 1
        shown = "{}: {}\n   {:6}{}\n   here  {}"
        print(shown.format(place, _short(step), self.beside, _short(other), _short(here)), flush=True)
        return {"step": step, "answer": other}


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) < _SHOWN else f"{text[:_SHOWN]}…"


async def compare(comparison: Comparison, chosen: Iterable[Session]) -> list[recording.Recorded]:
    """Compare sessions one after the other; return what to record."""
    return [await comparison.session(each) for each in chosen]


def chosen(only: str, seeds: str) -> Iterator[Session]:
    """Yield the sessions whose name contains a text: the fixed ones, then random ones of these seeds."""
    first, _, last = seeds.partition("-")
    every = [*sessions.fixed()]
    every += [
        sessions.random(name, seed)
        for seed in range(int(first), int(last or first) + 1)
        for name in sessions.RANDOM
    ]
    yield from (each for each in every if only in each.name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a part of the names of sessions")
    parser.add_argument("--seeds", default="1-3")
    parser.add_argument("--beside", default="literal", choices=("literal", "sync"))
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    began_s = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, run_postgres(Path(folder) / "postgres") as postgres:
        comparison = Comparison(postgres, clients.Kit(Path(folder)), options.beside)
        recorded = asyncio.run(compare(comparison, chosen(options.only, options.seeds)))
    answers = comparison.answers
    print(f"{answers.total()} answers in {time.monotonic() - began_s:.0f} s: {dict(answers)}")
    print(f"undecided: {comparison.undecided}")
    if options.record:
        recording.write(recorded)
    return 1 if comparison.undecided else 0


if __name__ == "__main__":
    sys.exit(main())
