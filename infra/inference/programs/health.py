"""The engine's health check: `python3 -c SOURCE URL MARKER WAIT_S`, exit status 0 or 1.

Until the engine has answered once, which the marker file tells, it is asked for WAIT_S; then only once.
"""

import sys
import time
import urllib.request
from pathlib import Path

ANSWER_S = 5
PAUSE_S = 1


def answers(url: str) -> bool:
    """Tell whether something answers there with success."""
    try:
        with urllib.request.urlopen(url, timeout=ANSWER_S):
            return True
    except OSError:  # a refused connection, a slow answer, any status above 399
        return False


def healthy(url: str, marker: Path, wait_s: float) -> bool:
    """Ask until there is an answer, or no time."""
    deadline = time.monotonic() + (0 if marker.exists() else wait_s)
    while not answers(url):
        if time.monotonic() >= deadline:
            return False
        time.sleep(PAUSE_S)
    marker.touch()
    return True


if __name__ == "__main__":
    sys.exit(not healthy(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])))
