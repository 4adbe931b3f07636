"""What engines' own lists of models say of the length of the context."""

import asyncio
import json
from typing import Any

import pytest

from functions.chat.engines.context_lengths import KNOWN_S, UNKNOWN_S, WAIT_S, ContextLengths
from functions.chat.models import Model
from functions.shared.clock import Clock
from tests.engines.recordings import recordings
from tests.unit.chat.fakes import FakeEngine, model

ONE, TWO = model("one", served_name="/weights/one"), model("two")


class ListingEngine(FakeEngine):
    """An engine with a list of models, which it may hold back or fail to give."""

    def __init__(self, listed: Any) -> None:
        super().__init__()
        self.listed = listed
        self.calls = 0

    async def models(self, _: Model) -> Any:
        self.calls += 1
        if isinstance(self.listed, Exception):
            raise self.listed
        if self.listed == "never":
            await asyncio.Event().wait()
        return self.listed


def lengths(listed: Any) -> dict[str, int]:
    return asyncio.run(ContextLengths(ListingEngine(listed)).of([ONE]))


def entry(**fields: Any) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": "/weights/one", "object": "model", **fields}]}


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (entry(max_model_len=4096), 4096),
        (entry(meta={"n_ctx": 2048, "n_ctx_train": 8192}), 2048),
        (entry(meta={"n_ctx_train": 8192}), 8192),
        (entry(context_length=131072), 131072),
        (entry(context_window=8192), 8192),
        (entry(max_context_length=32768), 32768),
        (entry(max_context_length=32768, loaded_context_length=4096), 4096),
        (entry(id="another name, but the only one", max_model_len=4096), 4096),
        ({"data": [{"id": "x", "max_model_len": 1}, {"id": "/weights/one", "max_model_len": 4096}]}, 4096),
        ({"data": [{"id": "x", "max_model_len": 1}, {"id": "y", "max_model_len": 4096}]}, None),
        (entry(), None),
        (entry(max_model_len="4096"), None),
        (entry(max_model_len=0), None),
        (entry(max_model_len=True), None),
        (entry(meta=None), None),
        ({"data": None}, None),
        ({"data": [None]}, None),
        ({"error": {"message": "Unauthorized"}}, None),
        ([], None),
        (None, None),
        (RuntimeError("bug"), None),
    ],
    ids=str,
)
def test_the_length_is_read(listed: Any, expected: int | None) -> None:
    assert lengths(listed) == ({} if expected is None else {"one": expected})


@pytest.mark.parametrize("recorded", recordings("*/models"), ids=str)
def test_recorded_lists_have_the_length_that_their_errors_name(recorded: Any) -> None:
    assert lengths(json.loads(recorded.body)) == {"one": 2048}


def test_an_engine_is_queried_once_an_hour_and_one_that_knows_nothing_once_a_minute() -> None:
    at = 0.0

    async def scenario() -> None:
        nonlocal at
        engine = ListingEngine(None)
        known = ContextLengths(engine, Clock(lambda: at, lambda: at))
        for seconds, calls in ((0, 1), (UNKNOWN_S - 1, 1), (UNKNOWN_S, 2)):
            at = seconds
            assert await known.of([ONE]) == {}
            assert engine.calls == calls
        engine.listed = entry(max_model_len=4096)
        at += UNKNOWN_S
        began = at
        for seconds, calls in ((0, 3), (KNOWN_S - 1, 3), (KNOWN_S, 4)):
            at = began + seconds
            assert await known.of([ONE]) == {"one": 4096}
            assert engine.calls == calls
        engine.listed = None  # it is scaled to zero by now: what it said stays true
        at += KNOWN_S
        assert await known.of([ONE]) == {"one": 4096}

    asyncio.run(scenario())


def test_a_silent_engine_delays_the_list_once_and_briefly() -> None:
    async def scenario() -> float:
        clock = asyncio.get_running_loop().time
        known = ContextLengths(ListingEngine("never"))
        began = clock()
        assert await known.of([ONE, TWO]) == {}
        first = clock() - began
        assert await known.of([ONE, TWO]) == {}
        assert clock() - began - first < WAIT_S
        return first

    assert asyncio.run(scenario()) < 4 * WAIT_S
