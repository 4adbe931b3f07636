"""How long a loading engine is waited for, and a stopping one.

ECS gives a container at most 300 s of start period, a check at most 60 s and ten tries. Large models load for
longer than the start period. So a check waits itself, until the engine has answered once; from then on it
answers at once, and an engine that hangs is found within minutes.
"""

from __future__ import annotations

import math

START_PERIOD_S = 300
INTERVAL_S = 30  # CDK wants it no shorter than the timeout
TIMEOUT_S = 30
# What the check itself waits, less than its timeout.
WAIT_S = 25
_TRY_S = WAIT_S + INTERVAL_S
_MOST_TRIES = 10
# The longest `start_s`: what all tries together allow, less a margin.
LONGEST_START_S = 800
# As long as the chat function may run: so long may a stream take.
LONGEST_STREAM_S = 900
# A running request may go on for so long once the engine is told to stop; ECS kills it after `STOP_S`.
SHUTDOWN_S = 100
STOP_S = 120


def tries(start_s: int) -> int:
    """Return how many checks must fail in a row before an engine is given up.

    Units:  `start_s`: s from the wake to the first answer. The container's part of that is less, so this much
            for the container alone is a margin.
    """
    return min(_MOST_TRIES, max(3, math.ceil((start_s - START_PERIOD_S) / _TRY_S)))


def patience_s(start_s: int) -> int:
    """Return how long after its start a container that never answers is given up."""
    return START_PERIOD_S + tries(start_s) * _TRY_S
