"""`python -m tests.e2e.faults [WORD …]`: print the fault matrix, or what has one of the words in its name.

Exit status 1 if a broken reply looked whole to a client, a client crashed, or a good reply did not arrive.
"""

import sys
import time
from collections import Counter
from concurrent.futures import as_completed

from tests.e2e.faults.matrix import CLIENTS, Client, Results, cases_of, running
from tests.engines.faults.table import FAULTS, KINDS

# What a summary counts, and how the texts of it begin.
COUNTED = {
    "silent successes": "silent success",
    "client crashes": "crash",
    "good replies refused": "refused",
}
WIDTH = max(map(len, FAULTS)) + 4


def main(words: list[str]) -> int:
    """Run the chosen part of the matrix and print it."""
    clients = [each for each in CLIENTS if _named(each.name, words)] or list(CLIENTS)
    parts = [word for word in words if word not in {client.name for client in clients}]
    faults = [name for name in FAULTS if _named(name, parts)] or list(FAULTS)
    names = [*FAULTS, *(each.name for each in CLIENTS)]
    unknown = [word for word in words if not any(_named(name, [word]) for name in names)]
    if unknown:
        print(f"Expected parts of names, but got {unknown}. Faults and clients: {', '.join(names)}")
        return 2
    began_s = time.monotonic()
    columns = _run(clients, faults)
    _print_matrix(faults, columns)
    return _summarise(faults, columns, time.monotonic() - began_s)


def _named(name: str, words: list[str]) -> bool:
    return any(word.lower() in name.lower() for word in words)


def _run(clients: list[Client], faults: list[str]) -> list[Results]:
    total, done = sum(len(cases_of(client, faults)) for client in clients), 0
    start = "\r" if sys.stdout.isatty() else ""

    def seen() -> None:
        nonlocal done
        done += 1
        if start:
            print(f"{start}{done:,} of {total:,} cases", end="", flush=True)

    columns = []
    with running(dict.fromkeys(clients, faults), seen) as results:
        for result in as_completed(results.values()):
            columns.append(column := result.result())
            wrong = sum(map(bool, column.wrong.values()))
            counts = f"{len(column.wrong):>4} cases, {wrong} wrong, {column.took_s:.0f} s"
            print(f"{start}{column.client.name:18} {counts}, version {column.version}", flush=True)
    return sorted(columns, key=lambda column: clients.index(column.client))


def _print_matrix(faults: list[str], columns: list[Results]) -> None:
    print("\n✓ right in each way that was tried   ✗ wrong   – not tried")
    names = "  ".join(column.client.name for column in columns)
    for kind, of_kind in KINDS.items():
        chosen = [name for name in faults if name in of_kind]
        if chosen:
            print(f"\n{kind.ljust(WIDTH)}{names}")
        for name in chosen:
            _print_row(name, columns)


def _print_row(name: str, columns: list[Results]) -> None:
    cells = [column.of(name) for column in columns]
    marks = ("–" if not cell else "✗" if any(cell.values()) else "✓" for cell in cells)
    aligned = (mark.ljust(len(each.client.name)) for mark, each in zip(marks, columns, strict=True))
    print(f"  {name}".ljust(WIDTH) + "  ".join(aligned).rstrip())
    # Clients say the same in their own words: one of them is shown.
    alike: dict[tuple[str, str], list[str]] = {}
    for column, cell in zip(columns, cells, strict=True):
        for mode, wrong in cell.items():
            kind, _, text = " ".join(wrong.split()).partition(": ")
            if kind:
                alike.setdefault((mode, kind), [text]).append(column.client.name)
    for (mode, kind), (text, *names) in alike.items():
        print(f"      {mode}: {kind} ({', '.join(names)}) {text[:120]}".rstrip())


def _summarise(faults: list[str], columns: list[Results], took_s: float) -> int:
    wrong = [text for column in columns for text in column.wrong.values() if text]
    kinds = Counter(kind for text in wrong for kind, start in COUNTED.items() if text.startswith(start))
    counts = ", ".join(f"{kinds[kind]} {kind}" for kind in COUNTED)
    cases = sum(len(column.wrong) for column in columns)
    size = f"{len(faults)} faults x {len(columns)} clients, {cases:,} cases in {took_s:.0f} s"
    print(f"\n{size}: {counts}, {len(wrong) - kinds.total()} other differences.")
    return 1 if wrong else 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
