"""Why an engine does not start, in our words, from what ECS and Auto Scaling report of it.

Callers get a cause's name; AWS's own words and the remedy are for the log. Only what is newer than the start
counts, and a report of AWS's that is normal while a machine starts is none.

The words of failed launches are those of public reports, read 2026-11-27; those of events and tasks are from
memory, and were seen nowhere: what none of them fits is reported as slow, not as blocked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

REMEDIES = {
    "quota": "request vCPUs for G and VT instances: quota L-DB2E81BA on demand, L-3819A6DF for Spot",
    "capacity": "AWS has no such machine free in these zones now: wait, or set more zones or another "
    "instance_type in infra/stages.py",
    "permission": "the account may not start the machine, or the task: the message says what is not allowed",
    "machine": "the machine does not start, or does not join the cluster: see the group's activities, and "
    "whether the zones offer the instance type",
    "placement": "the machine has too little for the task: compare instance_type, cpus, memory_gib and gpus "
    "in infra/stages.py",
    "image": "the image cannot be pulled: see docs/operations.md, Changing the model",
    "memory": "the task runs out of memory: raise memory_gib, or lower context, in infra/stages.py",
    "engine": "vLLM fails while it starts: see the engine's log",
}
# The first that matches counts.
_LAUNCH = (
    (
        "quota",
        r"VcpuLimitExceeded|vCPU limit|MaxSpotInstanceCountExceeded|Max spot instance count|"
        r"InstanceLimitExceeded|instance limit",
    ),
    (
        "capacity",
        r"InsufficientInstanceCapacity|UnfulfillableCapacity|[Ii]nsufficient capacity|"
        r"sufficient .*capacity|SpotMaxPriceTooLow",
    ),
    ("permission", r"UnauthorizedOperation|AccessDenied|not authorized|InvalidKMSKey|OptInRequired"),
    ("machine", r""),
)
_EVENT = (
    ("placement", r"unable to place a task.*closest matching"),
    ("permission", r"unable to assume the (service )?role|not authorized"),
    # Not "unable to consistently start tasks successfully": ECS says it for want of a machine, too.
    ("engine", r"deployment circuit breaker"),
)
# For so long a machine that was just stopped may still be there, full or draining.
_SETTLED_S = 180.0
# All tasks ran at this time, so what was reported before was no reason for it any more.
_STEADY = "has reached a steady state"
# Normal until the machine has joined the cluster.
_NO_MACHINE = re.compile(r"No Container Instances were found in your cluster", re.IGNORECASE)
_TASK = (
    ("image", r"CannotPull"),
    ("memory", r"OutOfMemory"),
    ("engine", r"TaskFailedToStart|EssentialContainerExited|ResourceInitializationError|health checks"),
)
# Tasks may fail once by chance; an image that was not pulled is reported after ECS has retried it.
_FAILURES = {"image": 1, "memory": 2, "engine": 2}


@dataclass(frozen=True, slots=True)
class Cause:
    """A cause, one of REMEDIES, and AWS's words for it."""

    name: str
    words: str


def cause_of_launches(activities: Iterable[Any], since: float) -> Cause | None:
    """Return why no machine could be launched; None, if the last launch that ended was successful."""
    for activity in activities:
        ended = activity["StatusCode"] in ("Failed", "Cancelled", "Successful")
        if not ended or activity["Description"].startswith("Terminating"):
            continue
        if activity["StatusCode"] != "Failed" or activity["StartTime"].timestamp() < since:
            return None
        return _first(_LAUNCH, activity.get("StatusMessage", ""))
    return None


def cause_of_events(events: Iterable[Any], since: float, *, is_late: bool) -> Cause | None:
    """Return why the service cannot place or start its task.

    Shape:  `events`: the newest first. `is_late`: a machine has been there for so long that it should have
            joined the cluster.
    """
    for event in events:
        if event["createdAt"].timestamp() < since:
            continue
        if _STEADY in event["message"]:
            return None
        cause = _first(_EVENT, event["message"])
        is_early = event["createdAt"].timestamp() < since + _SETTLED_S
        if cause and not (cause.name == "placement" and is_early):
            return cause
        if is_late and _NO_MACHINE.search(event["message"]):
            return Cause("machine", event["message"])
    return None


def cause_of_tasks(tasks: Iterable[Any], since: float) -> Cause | None:
    """Return why tasks stopped, if as many did for one cause as it takes."""
    causes: dict[str, list[Cause]] = {}
    for task in tasks:
        if task["createdAt"].timestamp() < since:
            continue
        reasons = [task.get("stopCode", ""), task.get("stoppedReason", "")]
        reasons += [each.get("reason", "") for each in task.get("containers", ())]
        if cause := _first(_TASK, " ".join(filter(None, reasons))):
            causes.setdefault(cause.name, []).append(cause)
    return next((found[0] for name, found in causes.items() if len(found) >= _FAILURES[name]), None)


def _first(table: Iterable[tuple[str, str]], words: str) -> Cause | None:
    return next((Cause(name, words) for name, pattern in table if re.search(pattern, words)), None)
