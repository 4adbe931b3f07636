"""What needs neither a database nor an installed package, tested by Node.js itself."""

import subprocess

from tests.integration.prisma.project import LAYER


def test_pure_parts() -> None:
    files = sorted(
        str(path) for path in (*LAYER.glob("engines/test/*.js"), *LAYER.glob("migrate/*.test.mjs"))
    )
    assert len(files) == 6
    command = ("node", "--test", "--test-reporter=spec", *files)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
