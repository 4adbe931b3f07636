"""What the engine costs: by the hour, by the wake, by the token."""

from __future__ import annotations

from infra.costs.prices import HOURS, usd
from infra.stages import Engine

# Of a machine of our own; managed ones have local disks.
DISK_GB = 100
_HOUR_S = 3600


def gpu_hour(engine: Engine) -> float:
    """Return what one machine costs in an hour: with AWS's management, or with a disk."""
    machine = usd(engine.instance_type, 1)
    if engine.capacity == "managed_instances":
        return machine + usd("managed", machine)
    return machine + usd("disk", DISK_GB) / HOURS


def wake(engine: Engine) -> float:
    """Return what one request costs that wakes the engine and is not followed by another."""
    return gpu_hour(engine) * (engine.start_s + engine.quiet_minutes * 60) / _HOUR_S


def million_tokens(engine: Engine, tokens_per_s: float) -> float:
    """Return what a million tokens cost that are made at this rate."""
    return gpu_hour(engine) / (tokens_per_s * _HOUR_S) * 1e6


def break_even(engine: Engine, usd_per_million: float) -> float:
    """Return the tokens per second, all the time, at which a million of them cost so much."""
    return gpu_hour(engine) / usd_per_million * 1e6 / _HOUR_S
