"""A stream whose engine is late to begin goes to a second one, too, and the first that begins goes on."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from functions.chat.engines.engine import Accepted, End, EngineRequest, Event, Failure, Hedged, Reply, Run
from functions.chat.engines.fallback import Fallback
from functions.chat.errors import Overloaded, UpstreamError
from functions.chat.models import Model
from tests.unit.chat.fakes import engine_request, model

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(5)]

AFTER_S = 0.02
A, B, C = replace(model("a"), hedge_after_s=AFTER_S), model("b"), model("c")
FULL, BROKEN = Failure(Overloaded("Full.")), Failure(UpstreamError("Cut.", retry=False))
GOOD = ("accept", "run", "end")


def run_of(name: str) -> Run:
    return Run(f"data: {name}\n\n".encode(), 1)


class Engines:
    """One engine for each model, which does what its script says; "wait" is until it is let go on."""

    def __init__(self, **scripts: tuple[str, ...]) -> None:
        self.scripts, self.go_on = scripts, {name: asyncio.Event() for name in scripts}
        self.opened: list[str] = []
        self.running: list[str] = []

    def open(self, request: EngineRequest) -> aclosing[AsyncGenerator[Event, None]]:
        return aclosing(self._events(request.model.id))

    async def _events(self, name: str) -> AsyncGenerator[Event, None]:
        self.opened.append(name)
        self.running.append(name)
        steps: dict[str, Event] = {"accept": Accepted(), "run": run_of(name), "end": End()}
        steps |= {"reply": Reply({}), "full": FULL, "broken": BROKEN}
        try:
            for step in self.scripts[name]:
                if step == "wait":
                    await self.go_on[name].wait()
                else:
                    yield steps[step]
        finally:
            self.running.remove(name)

    async def models(self, model: Model) -> Any: ...
    async def aclose(self) -> None: ...


def requested(*models: Model, stream: bool = True) -> EngineRequest:
    own, *others = (engine_request(each, stream=stream) for each in models)
    return replace(own, fallbacks=tuple(others))


def said(events: list[Event]) -> list[str]:
    """Return the events in short: who was tried beside whom, who was accepted, whose tokens came."""
    texts = []
    for event in events:
        match event:
            case Hedged():
                texts.append(f"{event.first.model.id}+{event.second.model.id}")
            case Accepted(request=EngineRequest() as request):
                texts.append(request.model.id)
            case Run():
                texts.append(event.data.decode()[6:7])
            case _:
                texts.append(type(event).__name__)
    return texts


async def answer(engines: Engines, *models: Model, stream: bool = True) -> list[str]:
    async with Fallback(engines).open(requested(*models, stream=stream)) as events:
        return said([event async for event in events])


async def test_an_engine_in_time_is_alone() -> None:
    engines = Engines(a=GOOD, b=GOOD)
    assert await answer(engines, A, B) == ["a", "a", "End"]
    assert engines.opened == ["a"]


async def test_the_second_goes_on_where_it_begins_first() -> None:
    engines = Engines(a=("accept", "wait"), b=GOOD)
    assert await answer(engines, A, B, C) == ["a+b", "b", "b", "End"]
    assert engines.running == []


async def test_the_first_is_stopped_before_the_reply_of_the_second_begins() -> None:
    engines = Engines(a=("accept", "wait"), b=GOOD)
    async with Fallback(engines).open(requested(A, B)) as events:
        assert said([await anext(events), await anext(events)]) == ["a+b", "b"]
        assert engines.running == ["b"]


async def test_an_engine_that_has_lost_comes_after_the_others_next_time() -> None:
    engines = Engines(a=("accept", "wait"), b=GOOD)
    fallback = Fallback(engines)
    for expected in (["a", "b"], ["a", "b", "b"]):
        async with fallback.open(requested(A, B)) as events:
            assert [event async for event in events]
        assert engines.opened == expected


@pytest.mark.parametrize("second", [("full",), ("accept", "broken"), ("accept", "wait"), ("wait",)])
async def test_the_first_goes_on_where_the_second_does_not_begin(second: tuple[str, ...]) -> None:
    engines = Engines(a=("accept", "wait", "run", "end"), b=second)
    async with Fallback(engines).open(requested(A, B)) as events:
        reading = asyncio.ensure_future(_all(events))
        await asyncio.sleep(4 * AFTER_S)
        assert engines.running == ["a"], "expected the second to be stopped after as long as the first had"
        engines.go_on["a"].set()
        hedged = ["a+b"] if second[0] == "accept" else []
        assert said(await reading) == [*hedged, "a", "a", "End"]


async def test_the_second_goes_on_where_the_first_fails_meanwhile() -> None:
    engines = Engines(a=("accept", "wait", "broken"), b=("accept", "wait", "run", "end"))
    async with Fallback(engines).open(requested(A, B)) as events:
        reading = asyncio.ensure_future(_all(events))
        await asyncio.sleep(1.5 * AFTER_S)
        engines.go_on["a"].set()
        await asyncio.sleep(2 * AFTER_S)
        engines.go_on["b"].set()
        assert said(await reading) == ["a+b", "b", "b", "End"]


async def test_both_fail() -> None:
    engines = Engines(a=("accept", "wait", "broken"), b=("accept", "broken"))
    engines.go_on["a"].set()
    assert await answer(engines, A, B) == ["a", "Failure"]


async def test_a_caller_who_leaves_stops_both() -> None:
    engines = Engines(a=("accept", "wait"), b=("accept", "wait"))
    async with Fallback(engines).open(requested(A, B)) as events:
        assert said([await anext(events)]) == ["a+b"]
        assert engines.running == ["a", "b"]
    assert engines.running == []


async def test_a_whole_reply_is_never_run_twice() -> None:
    engines = Engines(a=("accept", "wait", "reply", "end"), b=GOOD)
    reading = asyncio.ensure_future(answer(engines, A, B, stream=False))
    await asyncio.sleep(2 * AFTER_S)
    engines.go_on["a"].set()
    assert await reading == ["a", "Reply", "End"]
    assert engines.opened == ["a"]


async def test_without_the_setting_no_stream_is_moved() -> None:
    engines = Engines(b=("accept", "wait", "run", "end"), c=GOOD)
    reading = asyncio.ensure_future(answer(engines, B, C))
    await asyncio.sleep(2 * AFTER_S)
    engines.go_on["b"].set()
    assert await reading == ["b", "b", "End"]
    assert engines.opened == ["b"]


async def _all(events: Any) -> list[Event]:
    return [event async for event in events]
