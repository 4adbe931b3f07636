"""The engine's health check: `python3 -c SOURCE URL MARKER WAIT_S`, exit status 0 or 1.

Until the engine has responded once, for which the marker file stands, the check tries for WAIT_S; then once.
With a WAIT_S below 0 it tries once, and an engine that has not responded yet counts as healthy.
"""

import sys
import time
import urllib.request
from pathlib import Path

TIMEOUT_S = 5
PAUSE_S = 1


def responds(url: str) -> bool:
    """Return whether there is a response with a status below 400."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT_S):
            return True
    except OSError:  # a refused connection, a timeout, any status above 399
        return False


def healthy(url: str, marker: Path, wait_s: float) -> bool:
    """Try until there is a response, or no time left."""
    deadline = time.monotonic() + (0 if marker.exists() else wait_s)
    while not responds(url):
        if time.monotonic() >= deadline:
            return wait_s < 0 and not marker.exists()
        time.sleep(PAUSE_S)
    marker.touch()
    return True


if __name__ == "__main__":
    sys.exit(not healthy(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3])))
