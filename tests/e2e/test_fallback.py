"""Two engines through the whole service: who answers, how often each runs a request, what the caller sees."""

import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.e2e.raw_http import QUESTION
from tests.engines import events, schema
from tests.engines.behaviours import ByModel, Chat, Drop, End, Hang, Sse, vllm_error
from tests.engines.scripted import ScriptedEngine, scripted_engine
from tests.engines.wire import Behaviour
from tests.local_service import LocalService, run_local

pytestmark = pytest.mark.slow
PATH = "/v1/chat/completions"
# What the first engine does, by model: each has marks of its own.
FIRST: dict[str, Behaviour] = {
    "good": Chat(),
    "full": vllm_error(503),
    "limited": vllm_error(429),
    "key": vllm_error(401),
    "crashes": vllm_error(500),
    "drops": Drop(),
    "hangs": Hang(),
    "cut": Chat(Sse(events.first(events.tokens(8), 4), End.CUT)),
    "refused": vllm_error(503),
    "gone": Chat(),
}


@dataclass(frozen=True)
class Pair:
    """The service on two engines."""

    first: ScriptedEngine
    second: ScriptedEngine
    local: LocalService
    stack: ExitStack

    def request(self, model: str, headers: dict[str, str] | None = None, **fields: Any) -> httpx.Response:
        """Request a completion, a stream unless `fields` say otherwise."""
        for engine in (self.first, self.second):
            engine.received_requests.clear()
        with self.local.service.client() as client:
            body = {**QUESTION, "model": model, "stream": True, **fields}
            return client.post(PATH, json=body, headers=headers)

    @property
    def runs(self) -> tuple[int, int]:
        """How many requests each engine has got."""
        return len(self.first.requests), len(self.second.requests)


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with ExitStack() as stack:
        first = stack.enter_context(ExitStack())
        one = first.enter_context(scripted_engine(ByModel(FIRST, Chat()), models=list(FIRST)))
        two = stack.enter_context(scripted_engine(models=["second"]))
        local = stack.enter_context(run_local(BACKEND=one.base_url, FALLBACK=two.base_url))
        yield Pair(one, two, local, first)


@pytest.mark.parametrize(("model", "tries"), [("full", 3), ("limited", 1), ("key", 1)])
@pytest.mark.parametrize("stream", [True, False])
def test_what_the_first_engine_refuses_the_second_answers(
    pair: Pair, model: str, tries: int, stream: bool
) -> None:
    reply = pair.request(model, stream=stream)
    assert (reply.status_code, reply.headers["x-model"]) == (200, "second")
    assert pair.runs[1] == 1
    assert pair.runs[0] in (tries, 0), "refused, or put behind by the request before"
    models = {chunk["model"] for chunk in schema.check_stream(reply.content).chunks} if stream else set()
    assert stream == bool(models)
    assert (models or {reply.json()["model"]}) == {"second"}
    pair.local.out.wait_for(lambda text: re.search(r"POST .* 200 .*  second  \d+\+\d+ tokens", text))


@pytest.mark.parametrize(("model", "status"), [("crashes", 502), ("drops", 502)])
def test_what_the_first_engine_may_have_run_stays_an_error_and_puts_it_behind(
    pair: Pair, model: str, status: int
) -> None:
    failed = pair.request(model)
    assert (failed.status_code, failed.headers["x-should-retry"], pair.runs) == (status, "false", (1, 0))
    assert pair.request(model).headers["x-model"] == "second"
    assert pair.runs == (0, 1)


def test_a_stream_that_was_cut_stays_an_error(pair: Pair) -> None:
    reply = pair.request("cut")
    assert (reply.status_code, reply.headers["x-model"], pair.runs) == (200, "cut", (1, 0))
    assert schema.validate_failed_stream(reply.content).error["code"] == "upstream_error"


def test_a_silent_engine_keeps_its_request(pair: Pair) -> None:
    with pytest.raises(httpx.ReadTimeout), pair.local.service.client() as client:
        client.post(PATH, json={**QUESTION, "model": "hangs", "stream": True}, timeout=1)
    pair.first.wait_until(lambda: pair.first.disconnects)
    assert pair.runs[1] == 0


def test_a_caller_can_refuse_the_second_engine(pair: Pair) -> None:
    reply = pair.request("refused", {"x-fallback": "none"})
    assert (reply.status_code, reply.json()["error"]["code"]) == (503, "server_is_overloaded")
    assert pair.runs == (3, 0)


def test_the_models_of_the_second_engine_are_not_listed(pair: Pair) -> None:
    with pair.local.service.client() as client:
        assert [each["id"] for each in client.get("/v1/models").json()["data"]] == list(FIRST)
    assert pair.request("second").status_code == 404


def test_an_engine_that_is_gone_is_replaced_within_a_second(pair: Pair) -> None:
    assert pair.request("good").headers["x-model"] == "good"
    pair.stack.close()
    for within_s in (1.0, 0.3):
        began = time.monotonic()
        assert pair.request("gone").headers["x-model"] == "second"
        assert time.monotonic() - began < within_s
