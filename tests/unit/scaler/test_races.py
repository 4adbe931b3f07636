"""Every order in which the calls of stops and starts can follow each other, and every call after which one
of them dies. What each actor does next depends only on the responses that it had, so it is run again from its
beginning with these, up to its next call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from functions.scaler import state
from functions.scaler.scaler import Scaler
from functions.shared.aws import AwsError
from tests.unit.scaler.world import IDLE_S, TASK, WRITTEN, World, idle_line, instant

LAMBDA_REPEATS_S = 60
Action = Callable[[Scaler], object]


def start(scaler: Scaler) -> object:
    return scaler.start(None)


def stop(scaler: Scaler) -> object:
    return scaler.stop(idle_line())


def follow(scaler: Scaler) -> object:
    return scaler.follow()


class _NextCall(BaseException):
    """An actor has done its next call."""


class _Replayed:
    """Responds as it did before; then does one call more."""

    def __init__(self, world: World, responses: list[Any]) -> None:
        self._world, self._responses, self._at = world, responses, 0

    def service(self, _: str) -> _Replayed:
        return self

    def call(self, operation: str, **parameters: Any) -> Any:
        if self._at == len(self._responses):
            try:
                response = self._world.call(operation, **parameters)
            except AwsError as error:
                response = error
            self._responses.append(response)
            raise _NextCall
        response = self._responses[self._at]
        self._at += 1
        if isinstance(response, AwsError):
            raise response
        return response


@dataclass
class Actor:
    """One invocation: it has ended, or died after its last response."""

    action: Action
    calls: list[str] = field(default_factory=list)
    responses: list[Any] = field(default_factory=list)
    ended: bool = False
    died: bool = False

    @property
    def wanted(self) -> bool:
        """Whether it is a start that has written that the engine is wanted."""
        return self.action is start and WRITTEN in self.responses

    def copy(self) -> Actor:
        return replace(self, calls=list(self.calls), responses=list(self.responses))

    def step(self, world: World) -> None:
        """Do the next call, or end."""
        before = len(world.calls)
        try:
            self.action(world.scaler(_Replayed(world, self.responses)))
        except _NextCall:
            self.calls += world.calls[before:]
            return
        self.ended = True

    def key(self) -> tuple[object, ...]:
        """Return what decides about its next calls: how far it is, and what it has read since its last write.

        What it had read before that is of no use to it any more.
        """
        writes = self.responses.count(WRITTEN)
        if self.ended:
            return self.action.__name__, self.died, writes
        write = max((at for at, name in enumerate(self.calls) if name == "update_item"), default=0)
        return self.action.__name__, writes, *map(str, self.responses[write:])


@dataclass
class Search:
    """All ends that can be reached from where actors are."""

    deaths: int
    ends: list[tuple[World, list[Actor]]] = field(default_factory=list)
    seen: set[tuple[object, ...]] = field(default_factory=set)

    def run(self, world: World, actors: list[Actor]) -> None:
        """Go on in every order."""
        key = (world.counts, str(world.item), *sorted((each.key() for each in actors), key=str))
        if key in self.seen:
            return
        self.seen.add(key)
        left = [number for number, each in enumerate(actors) if not each.ended]
        if not left:
            self.ends.append((world, actors))
        for number in left:
            stepped, after = world.copy(), actors[number].copy()
            after.step(stepped)
            self.run(stepped, [*actors[:number], after, *actors[number + 1 :]])
            if after.responses and sum(each.died for each in actors) < self.deaths:
                dead = replace(actors[number], ended=True, died=True)
                self.run(world, [*actors[:number], dead, *actors[number + 1 :]])


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "time", SimpleNamespace(sleep=lambda _: None))


@pytest.mark.parametrize(
    ("actions", "deaths"),
    [
        ((stop,), 1),
        ((stop, start), 1),
        ((stop, start, start), 0),
        ((stop, stop, start), 1),
        ((stop, stop), 1),
    ],
    ids=lambda value: "-".join(each.__name__ for each in value) if isinstance(value, tuple) else None,
)
def test_an_engine_that_is_wanted_runs_in_the_end(actions: tuple[Action, ...], deaths: int) -> None:
    world = World(tasks=1, machines=1, running=[TASK], instances=["InService"])
    search = Search(deaths)
    search.run(world, [Actor(action) for action in actions])
    assert len(search.ends) > 1
    for ended, actors in search.ends:
        if any(actor.died and actor.action is stop for actor in actors):  # Lambda repeats it
            ended.now += LAMBDA_REPEATS_S
            ended.scaler().stop(idle_line())
        wanted = any(actor.wanted and not actor.died for actor in actors)
        history = [(actor.action.__name__, actor.died, *actor.calls) for actor in actors]
        assert ended.counts != (0, 1), history
        if wanted:
            assert ended.counts == (1, 1), history
        elif not any(actor.wanted for actor in actors) and not all(actor.died for actor in actors):
            assert ended.counts == (0, 0), history
        # The next call of a stream that waits, within 15 s, repeats what was not done.
        ended.scaler().start(None)
        assert ended.counts == (1, 1), history


def test_a_machine_that_follows_its_service_does_not_overtake_a_start() -> None:
    """A deployment has set the service to 0."""
    search = Search(0)
    search.run(World(machines=1), [Actor(follow), Actor(start)])
    assert {ended.counts for ended, _ in search.ends} == {(1, 1)}


def test_an_engine_that_keeps_failing_is_not_stopped_over_a_start() -> None:
    world = World()
    world.scaler().start(None)
    crashed = {"createdAt": instant(world.now), "stopCode": "EssentialContainerExited"}
    world.now, world.instances, world.stopped = world.now + IDLE_S + 1, ["InService"], [crashed, crashed]
    search = Search(0)
    search.run(world, [Actor(follow), Actor(start)])
    assert {ended.counts for ended, _ in search.ends} == {(1, 1)}
