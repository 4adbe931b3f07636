"""Set up the clone: `python3 infra/setup.py run|chat|test|test-all|deploy`.

Any Python from 3.6 on can parse this file, and an old one gets a sentence instead of a traceback.
"""

import os
import platform
import sys

OLDEST_PYTHON = (3, 11)


def main() -> None:
    """Run the installer; it is imported only once the version suits it."""
    if sys.version_info < OLDEST_PYTHON:
        sys.exit(
            f"Expected Python 3.11 or newer, but got {platform.python_version()}. "
            "Name a newer one, for example: make run PYTHON=python3.13"
        )
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    from infra.install.main import install

    sys.exit(install(sys.argv[1:]))


if __name__ == "__main__":
    main()
