"""`python -m tests.integration.prisma.equivalence.replay [part of a name]`: recorded sessions, in process.

Each has an empty database, of foreign settings; all answers, and the rows at the end, are those recorded.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.integration.prisma.equivalence import clients, recording
from tests.integration.prisma.equivalence.notation import canonical
from tests.integration.prisma.equivalence.schema import read
from tests.integration.prisma.equivalence.side import Side
from tests.postgres import Postgres, run_postgres

# Settings of a database that change how values are written as text: no answer may depend on them.
FOREIGN = {
    "datestyle": "German, DMY",
    "timezone": "Asia/Tokyo",
    "intervalstyle": "sql_standard",
    "bytea_output": "escape",
    "extra_float_digits": "0",
    "standard_conforming_strings": "off",
}
# Faults of a call, of which an engine names the one that it meets first.
_FAULTS = frozenset({"P2002", "P2003", "P2011", "P2014", "P2017", "P2018", "P2025"})
_SHOWN = 1500


@dataclass
class Replay:
    postgres: Postgres
    kit: clients.Kit
    kind: str = "here"
    packages: dict[str, str] = field(default_factory=dict)

    def session(self, head: dict[str, Any], entries: list[dict[str, Any]]) -> list[str]:
        """Replay a session; return what differs."""
        return asyncio.run(self._session(head, entries))

    async def _session(self, head: dict[str, Any], entries: list[dict[str, Any]]) -> list[str]:
        if head["schema"] not in self.packages:
            self.packages[head["schema"]] = self.kit.package(read(head["schema"]), self.kind)
        name = clients.database(self.postgres, head["ddl"], FOREIGN)
        found = []
        async with Side(self.postgres, self.kind, self.packages[head["schema"]], name) as side:
            for number, entry in enumerate(entries):
                last = "tables" in entry["step"]
                answer = clients.tables(self.postgres, name) if last else await side.answer(entry["step"])
                if _promised(answer) != _promised(entry["answer"]) and not _two_faults(entry, answer):
                    found.append(_difference(f"{head['session']} #{number}", entry, answer))
        self.postgres.run_sql(f'DROP DATABASE "{name}"')
        return found


def _promised(answer: Any) -> str:
    """Write an answer without the codes that the engine before did not give."""
    return re.sub(
        r'"code": "(P2007|P2020|P2023|P2039)", "error": "DataError"',
        '"error": "DataError"',
        canonical(answer),
    )


def _two_faults(entry: dict[str, Any], answer: Any) -> bool:
    """Whether rows of several INSERTs, whose order is random, have two faults."""
    many = "createMany" in json.dumps(entry["step"]) or entry["step"].get("call") == "create_many"
    return many and {entry["answer"].get("code"), answer.get("code")} <= _FAULTS


def _difference(place: str, entry: dict[str, Any], answer: Any) -> str:
    parts = (
        json.dumps(each, ensure_ascii=False)[:_SHOWN] for each in (entry["step"], entry["answer"], answer)
    )
    return "{}: {}\n   recorded {}\n   now      {}".format(place, *parts)


def main() -> int:
    only = sys.argv[1] if len(sys.argv) > 1 else ""
    total, found = 0, list[str]()
    with tempfile.TemporaryDirectory() as folder, run_postgres(Path(folder) / "postgres") as postgres:
        replay = Replay(postgres, clients.Kit(Path(folder)))
        for head, entries in recording.read():
            if only in head["session"]:
                found += replay.session(head, entries)
                total += len(entries)
    print("\n".join(found))
    print(f"{total} answers replayed, {len(found)} differ")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
