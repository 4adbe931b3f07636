"""Starts and stops an engine, so that none is left stopped that is wanted.

    start   writes until when the engine is wanted; then sets the service, then the group, to 1
    stop    writes that it begins, unless the engine is wanted; then sets the group, then the service, to 0;
            then writes that it has ended, unless the engine is wanted by now: else sets both to 1 again

A start that writes before a stop's first write prevents it; before its last one, it is repeated by the stop;
after that, it finds both at 0. A stop that dies on the way is repeated by Lambda, a start by its caller. In
this order what is left halfway costs nothing: a service that wants a task, and no machine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from functions.shared.aws import Aws, AwsError

from .causes import REMEDIES, Cause, cause_of_events, cause_of_launches, cause_of_tasks
from .fleet import Counts, Fleet
from .lines import Line
from .settings import Settings
from .state import State, StateStore

logger = logging.getLogger("scaler")

# How long the place of a stream that waits lasts; it is renewed every 15 s.
HOLD_S = 30.0
# An older line is of no use, for requests may have come since. The next one follows within a minute.
LINE_S = 90.0
# A stop takes less: the function's timeout is 45 s. Within this time no other begins.
STOP_S = 50.0
# Lambda repeats the event of a stop that died after 1 minute, and after 2 more.
REPEATED_S = 600.0


class Scaler:
    """Starts and stops one engine."""

    def __init__(self, settings: Settings, aws: Aws, *, now: Callable[[], float]) -> None:
        self._settings, self._now = settings, now
        self._store = StateStore(aws.service("dynamodb"), settings.table, settings.model)
        self._fleet = Fleet(settings, aws)

    def start(self, holder: str | None) -> dict[str, Any]:
        """Start the engine unless it runs or starts; return how far it is, and whether `holder` has a place.

        Raises: AwsError, ServiceMissing.
        """
        now = self._now()
        state = self._renew(now, holder)
        counts = self._fleet.counts()
        is_stopped = not (counts.tasks_wanted and counts.machines_wanted)
        if is_stopped and state.started_at != now:
            state = self._store.change(lambda state: replace(state, started_at=now)) or state
        if is_stopped:  # both, for what is at 1 may be about to be set to 0
            self._fleet.set_tasks(1)
            self._fleet.set_machines(1)
            logger.info("%s is starting", self._settings.model)
        started_at = now if state.started_at is None else state.started_at
        is_running = counts.tasks_running > 0
        cause = None if is_running or is_stopped else self._cause(counts, started_at, now)
        return {
            "state": "running" if is_running else "blocked" if cause else "starting",
            "reason": cause.name if cause else None,
            "elapsed_s": max(round(now - started_at, 1), 0.0),
            "held": len(state.holders),
            "may_hold": holder in state.holders,
        }

    def release(self, holder: str) -> int:
        """Give back the place of a stream that waits no longer; return how many others wait.

        Raises: AwsError.
        """

        def released(state: State) -> State:
            holders = _live(state, self._now())
            return replace(state, holders={name: holders[name] for name in holders if name != holder})

        state = self._store.change(released)
        return len(state.holders) if state else 0

    def stop(self, line: Line) -> bool:
        """Stop the engine, if a line of its reporter says that it is idle; return whether that was done.

        Raises: AwsError.
        """
        now = self._now()
        seen = self._store.read()
        if seen.wanted_until > now:
            if seen.stopping_at is not None and STOP_S <= now - seen.stopping_at < REPEATED_S:
                self._start_again()
            return False
        is_idle = line.idle_s >= self._settings.idle_s and now - line.at <= LINE_S
        if not is_idle or not self._fleet.has_task(line.task):
            return False
        return self._stop(now, f"idle for {line.idle_s:.0f} s")

    def follow(self) -> bool:
        """Stop the machine of a service that wants no task, or whose tasks fail; return whether it did.

        A deployment that changes the task sets the service to 0, and an operator may. Neither knows the
        group, and without a task no line would ever stop its machine. Nor does an engine that fails, again
        and again, write a line: it is stopped once it has not been requested for as long as it may be idle.
        Raises: AwsError, ServiceMissing.
        """
        counts = self._fleet.counts()
        if counts.tasks_wanted:
            now, seen = self._now(), self._store.read()
            if counts.tasks_running or seen.started_at is None or seen.wanted_until > now:
                return False
            cause = self._cause(counts, seen.started_at, now)
            return cause is not None and self._stop(now, f"its tasks fail: {cause.name}")
        if not counts.machines_wanted:
            return False
        self._fleet.set_machines(0)
        if self._fleet.counts().tasks_wanted:  # a start came between, and had found a machine
            self._fleet.set_machines(1)
            return False
        logger.info("%s has no task any more: its machine is stopped", self._settings.model)
        return True

    def place(self) -> bool:
        """Have the task placed on a machine that has joined the cluster; return whether that was done.

        The service wants its task before there is a machine. ECS tries for about 50 s to place it, and then
        only every five minutes: a machine that joins later would wait. A task that failed is not hurried.
        Source: Amazon ECS, "Service throttle logic", of a lack of resources; reproio/ecs_deploy #53, for the
                times; read 2026-11-27.
        Raises: AwsError, ServiceMissing.
        """
        counts = self._fleet.counts()
        if not counts.tasks_wanted or counts.tasks_running or counts.tasks_pending:
            return False
        since = self._store.read().started_at or 0.0
        if any(task["createdAt"].timestamp() >= since for task in self._fleet.stopped_tasks()):
            return False
        self._fleet.place_again()
        logger.info("%s has its machine", self._settings.model)
        return True

    def _stop(self, now: float, why: str) -> bool:
        """Set both to 0, unless the engine is wanted by then; return whether that was done."""
        if not self._store.change(lambda state: _stopping(state, now)):
            return False
        self._fleet.set_machines(0)
        self._fleet.set_tasks(0)
        if not self._store.change(lambda state: _stopped(state, self._now())):
            self._start_again()
            return False
        logger.info("%s is stopped: %s", self._settings.model, why)
        return True

    def _renew(self, now: float, holder: str | None) -> State:
        """Write that the engine is wanted from now on, with a place for `holder` if one is free."""

        def renewed(state: State) -> State:
            holders = _live(state, now)
            if holder and (holder in holders or len(holders) < self._settings.held_streams):
                holders[holder] = now + HOLD_S
            return replace(
                state,
                wanted_until=max(state.wanted_until, now + self._settings.idle_s),
                started_at=now if state.started_at is None else state.started_at,
                holders=holders,
            )

        state = self._store.change(renewed)
        assert state
        return state

    def _start_again(self) -> None:
        """Undo a stop that a start has overtaken."""
        logger.info("%s is started again: it was requested while it was stopped", self._settings.model)
        self._fleet.set_tasks(1)
        self._fleet.set_machines(1)
        self._store.change(lambda state: replace(state, stopping_at=None))

    def _cause(self, counts: Counts, since: float, now: float) -> Cause | None:
        """Return why the engine does not start, and log the remedy; None where no reason is known."""
        is_late = bool(counts.machines) and now - since > self._settings.start_s
        try:
            cause = None if counts.machines else cause_of_launches(self._fleet.launches(), since)
            cause = cause or cause_of_events(counts.events, since, is_late=is_late)
            cause = cause or cause_of_tasks(self._fleet.stopped_tasks(), since)
        except AwsError as error:
            logger.warning("why %s is not running yet is unknown: %s", self._settings.model, error)
            return None
        if cause:
            model, remedy = self._settings.model, REMEDIES[cause.name]
            logger.error("%s cannot start: %s: %s. AWS: %s", model, cause.name, remedy, cause.words)
        return cause


def _live(state: State, now: float) -> dict[str, float]:
    """Return the places that have not expired."""
    return {name: until for name, until in state.holders.items() if until > now}


def _stopping(state: State, now: float) -> State | None:
    """Return the state of an engine whose stop begins; None, if it is wanted, or being stopped already."""
    is_stopping = state.stopping_at is not None and now - state.stopping_at < STOP_S
    return None if state.wanted_until > now or is_stopping else replace(state, stopping_at=now)


def _stopped(state: State, now: float) -> State | None:
    """Return the state of an engine that was stopped; None, if it is wanted by now."""
    if state.wanted_until > now:
        return None
    return replace(state, stopping_at=None, started_at=None, holders={})
