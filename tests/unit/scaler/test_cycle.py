"""Whole cycles on one clock: chat functions, the scaler, AWS, and the reporter beside the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import pytest

from functions.chat.engines.engine import Accepted, End, EngineRequest, Event, Failure, Run
from functions.chat.engines.scale_from_zero import CHECK_S, POLL_S, ScaleFromZero
from functions.chat.engines.scaler import Start, StartFailed
from functions.chat.errors import EngineUnreachable, ModelUnavailable
from functions.chat.models import Model
from functions.shared.aws import AwsError
from functions.shared.clock import Clock
from infra.inference.programs.report import COUNTERS, ENDED, Idleness
from tests.unit.chat.fakes import engine_request, model
from tests.unit.scaler.world import IDLE_S, NOW, START_S, TASK, World, idle_line

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(10)]

TINY = model(scaler="arn:aws:lambda:eu-central-1:123456789012:function:scaler", start_s=START_S)
STREAMED: list[Event] = [Accepted(), Run(b"data: {}\n\n", 1), End()]


class Cycle:
    """An engine that is up `START_S` after its service and its group have been at 1 without a break."""

    def __init__(self) -> None:
        self.world = World()
        self.wanted_since: float | None = None
        self.served = 0
        self.at: dict[float, Callable[[World], object]] = {}
        self.chat, self.other = (self._chat() for _ in range(2))

    def _chat(self) -> ScaleFromZero:
        def read() -> float:
            return self.world.now

        return ScaleFromZero(self, self, timeout_s=840, clock=Clock(read, read), pause=self.pause)

    async def pause(self, seconds: float) -> None:
        """Let time pass, and what is planned for it happen."""
        world = self.world
        world.now += seconds
        for after_s in [each for each in self.at if NOW + each <= world.now]:
            self.at.pop(after_s)(world)
        if world.counts != (1, 1):
            self.wanted_since, world.running, world.instances = None, [], []
        elif self.wanted_since is None:
            self.wanted_since = world.now
        elif world.now - self.wanted_since >= START_S:
            world.running, world.instances = [TASK], ["InService"]

    # the engine

    def open(self, request: EngineRequest) -> aclosing[AsyncGenerator[Event, None]]:
        return aclosing(self._events(request))

    async def _events(self, _: EngineRequest) -> AsyncGenerator[Event, None]:
        if not self.world.running:
            yield Failure(EngineUnreachable("No engine."))
            return
        self.served += 1
        for event in STREAMED:
            yield event

    async def models(self, _: Model) -> Any:
        """It has no list of models."""

    async def aclose(self) -> None:
        """Nothing to close."""

    # the scaler, as Lambda invokes it

    async def start(self, _: str, holder: str | None) -> Start:
        try:
            reply = self.world.scaler().start(holder)
        except AwsError as error:
            raise StartFailed(error.code) from None
        return Start(reply["state"], reply["reason"], reply["elapsed_s"], reply["may_hold"])

    async def release(self, _: str, holder: str) -> None:
        self.world.scaler().release(holder)

    async def stream(self, chat: ScaleFromZero | None = None) -> list[Event]:
        """Send a request from one environment."""
        async with (chat or self.chat).open(engine_request(TINY)) as events:
            return [event async for event in events]

    async def report(self, minutes: int, *, restart_at: int | None = None) -> int:
        """Let the reporter read every 10 s and write every minute; return the minute of the stop."""
        idleness = Idleness(self.world.now)
        for minute in range(1, minutes + 1):
            if minute == restart_at:
                idleness = Idleness(self.world.now)
            for _ in range(6):
                await self.pause(10)
                idle_s = idleness.update(dict.fromkeys((*COUNTERS, ENDED), self.served), self.world.now)
            if idle_s >= IDLE_S and self.world.scaler().stop(idle_line(at=self.world.now, idle_s=idle_s)):
                return minute
        raise AssertionError(f"expected a stop within {minutes} minutes")


def set_counts(tasks: int, machines: int) -> Callable[[World], object]:
    def set_both(world: World) -> None:
        world.tasks, world.machines = tasks, machines

    return set_both


def fail(operation: str | None) -> Callable[[World], object]:
    return lambda world: (
        world.fails.update({operation: "ThrottlingException"}) if operation else world.fails.clear()
    )


@pytest.mark.parametrize(
    ("planned", "late_s"),
    [
        ({}, 0),
        ({100: set_counts(0, 0)}, 100 + CHECK_S),
        ({100: set_counts(1, 0)}, 100 + CHECK_S),
        ({100: set_counts(0, 1)}, 100 + CHECK_S),
        ({1: set_counts(0, 0), 2: fail("update_service"), 60: fail(None)}, 60 + CHECK_S),
        ({1: fail("describe_services"), 300: fail(None)}, 0),
    ],
    ids=["undisturbed", "stopped", "no machine", "no task", "throttled while stopped", "not to be described"],
)
async def test_a_held_stream_starts_again_what_was_undone(
    planned: dict[float, Callable[[World], object]], late_s: float
) -> None:
    cycle = Cycle()
    cycle.at = dict(planned)
    assert await cycle.stream() == STREAMED
    assert cycle.world.now - NOW <= START_S + late_s + 3 * POLL_S
    await asyncio.sleep(0)
    assert cycle.world.item["holders"] == {"M": {}}


async def test_a_group_that_cannot_launch_ends_the_wait_at_the_next_call() -> None:
    cycle = Cycle()
    cycle.at[3] = lambda world: world.launches.append((NOW + 3, "Failed", "InsufficientInstanceCapacity"))
    accepted, failure = await cycle.stream()
    assert accepted == Accepted()
    assert isinstance(failure, Failure)
    assert isinstance(failure.error, ModelUnavailable)
    assert cycle.world.now - NOW <= CHECK_S + POLL_S


async def test_from_zero_and_back_and_from_zero_again() -> None:
    cycle = Cycle()
    assert await cycle.stream() == STREAMED
    assert await cycle.stream(cycle.other) == STREAMED, "at once, for it runs"
    assert await cycle.report(30) == 21, "the first whole minute after 20 since the last request was seen"
    assert cycle.world.counts == (0, 0)
    began = cycle.world.now
    await cycle.pause(1)
    assert await cycle.stream(cycle.other) == STREAMED
    assert cycle.world.now - began >= START_S
    assert await cycle.report(60, restart_at=15) == 35, "a reporter that starts again counts from 0"


async def test_an_engine_that_was_started_by_hand_runs_for_as_long_as_it_may_be_idle() -> None:
    cycle = Cycle()
    set_counts(1, 1)(cycle.world)
    while not cycle.world.running:
        await cycle.pause(10)
    assert await cycle.report(30) == 21
