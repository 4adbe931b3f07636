"""Print the line of each resource and output of all stages, as in tests/unit/infra/logical_ids.txt.

python -m tests.tools.logical_ids > /tmp/ids && mv /tmp/ids tests/unit/infra/logical_ids.txt

It shows no renames: read the difference before you commit it.
"""

import tempfile
from pathlib import Path

from tests.unit.infra.templates import Deployments
from tests.unit.infra.test_logical_ids import logical_ids


def main() -> None:
    """Synthesise all stages, and print the lines in order."""
    with tempfile.TemporaryDirectory() as folder:
        stages = Deployments(Path(folder))
        lines = sorted(line for name in stages for line in logical_ids(stages[name]))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
