"""What an HTTP engine makes of what its transport brings."""

import pytest

from functions.chat.engines.engine import Accepted, Chunks, Run
from functions.chat.engines.http import HttpEngine
from tests.engines import events
from tests.engines.behaviours import Sse
from tests.engines.scripted import scripted_engine_here
from tests.unit.chat.fakes import engine_request, model, settings

pytestmark = pytest.mark.anyio


async def test_the_first_event_leaves_before_those_that_came_with_it_are_read() -> None:
    burst = Sse(events.batches(events.tokens(3), 100))
    async with scripted_engine_here(burst) as scripted:
        of = model(base_url=scripted.base_url)
        engine = HttpEngine(settings(of))
        async with engine.open(engine_request(of)) as opened:
            accepted, first, *rest = [event async for event in opened]
        await engine.aclose()
    assert isinstance(accepted, Accepted)
    assert isinstance(first, Chunks)
    assert [value["choices"][0]["delta"]["role"] for value in first.values] == ["assistant"]
    assert b"".join(event.data for event in rest if isinstance(event, Chunks | Run)).count(b'" word"') == 3
