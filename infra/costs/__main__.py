"""`python -m infra.costs` prints what each stage costs; `--write` puts it into docs/deploy.md."""

from __future__ import annotations

import sys
from pathlib import Path

from infra.costs.tables import report

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "deploy.md"
BEGIN, END = "<!-- python -m infra.costs --write -->\n", "<!-- end -->\n"


def written(document: str) -> str:
    """Return the document with what stands between its marks replaced by the report.

    Raises: ValueError, where it has not both marks once, in their order.
    """
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in after or END in before + after:
        raise ValueError(f"Expected {BEGIN.strip()} and then {END.strip()} in {DOCUMENT.name}, once each.")
    return f"{before}{begin}\n{report()}\n\n{end}{after}"


def main() -> None:
    """Print the report, or write it."""
    if sys.argv[1:] == ["--write"]:
        DOCUMENT.write_text(written(DOCUMENT.read_text()))
    elif sys.argv[1:]:
        sys.exit(f"Expected no argument, or --write, but got {' '.join(sys.argv[1:])}.")
    else:
        print(report())


if __name__ == "__main__":
    main()
