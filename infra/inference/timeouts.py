"""Timing of the engine's health check, and of its stop.

ECS allows a start period of at most 300 s, and ten health checks of at most 60 s. Large models load for
longer than the start period. So the check itself waits, until the engine has responded once; from then on it
returns at once, and an engine that hangs is found within minutes.
"""

from __future__ import annotations

import math

START_PERIOD_S = 300
INTERVAL_S = 30  # CDK requires it to be no shorter than the timeout
TIMEOUT_S = 30
# For how long the check itself waits: less than its timeout.
WAIT_S = 25
# Instead of it: an engine that has not responded yet counts as healthy.
NO_WAIT = -1
_CHECK_S = WAIT_S + INTERVAL_S
_MAX_RETRIES = 10
# The longest `start_s`: what all checks together allow, less a margin.
LONGEST_START_S = 800
# A stream may take as long as the chat function may run.
LONGEST_STREAM_S = 900
# How long running requests may go on after SIGTERM; ECS kills the engine after `STOP_S`.
SHUTDOWN_S = 100
STOP_S = 120


def retries(start_s: int) -> int:
    """Return how many checks must fail in a row before ECS replaces an engine.

    Units:  `start_s`: s from the request that starts the engine to its first response. The container's part
            of that is less, so this much for the container alone is a margin.
    """
    return min(_MAX_RETRIES, max(3, math.ceil((start_s - START_PERIOD_S) / _CHECK_S)))


def grace_period_s(start_s: int) -> int:
    """Return how long after its start a container that never responds is replaced."""
    return START_PERIOD_S + retries(start_s) * _CHECK_S
