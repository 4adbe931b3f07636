"""Which models may answer a request, and what its caller, its key and its record then say."""

import json
import re
from collections.abc import AsyncGenerator, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from functions.chat.api.models import fallbacks_of
from functions.chat.app import create_served_app
from functions.chat.engines.engine import EngineRequest, Event, joined
from functions.chat.engines.fallback import Fallback
from functions.chat.errors import EngineUnreachable, UpstreamError
from functions.chat.models import Model
from functions.chat.usage import Meter
from functions.shared.keys import Key, Keyring
from functions.shared.limits import Reservation, Running
from functions.shared.usage import UsageRecord
from tests.engines import schema
from tests.unit.chat.chunks import GOOD
from tests.unit.chat.fakes import USER, FakeEngine, model, settings
from tests.unit.shared.ledger import MemoryLedger

pytestmark = pytest.mark.anyio
URL = "/v1/chat/completions"
TOOLS = [{"type": "function", "function": {"name": "look_up"}}]
COMPLETION = json.dumps(
    {
        "id": "c",
        "object": "chat.completion",
        "created": 1,
        "model": "x",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
).encode()
DOWN = FakeEngine(refuses=EngineUnreachable("No engine."))
OWN = model("own", fallback=("small", "big"))
SMALL = model("small", max_tokens_limit=32, max_tokens_default=16, listed=False)
BIG = model("big", served_name="/big", max_tokens_limit=512)


class Engines(FakeEngine):
    """The engine of each model, and what each has got."""

    def __init__(self, engines: dict[str, FakeEngine]) -> None:
        super().__init__()
        self.engines, self.got = engines, dict[str, EngineRequest]()

    def open(self, request: EngineRequest) -> aclosing[AsyncGenerator[Event, None]]:
        self.got[request.model.id] = request
        return self.engines[request.model.id].open(request)


class OneKey:
    """A store that knows one key."""

    def __init__(self, models: Collection[str], budget: int | None) -> None:
        self._key = Key(
            id="key_1",
            digest="d",
            name="alice",
            models=frozenset(models),
            tokens_per_minute=100_000,
            budget_tokens=budget,
            created_at=0,
        )

    async def key(self, digest: str) -> Key | None:
        return replace(self._key, digest=digest)


class Ledger(MemoryLedger):
    """Remembers what was reserved."""

    reserved: Running

    async def reserve(self, key: Key, request: Running | None, now: float) -> Reservation:
        if request:
            self.reserved = request
        return await super().reserve(key, request, now)


class Bench:
    """The API on fake engines: that of `own` is down, the others answer."""

    def __init__(
        self,
        *models: Model,
        allowed: Collection[str] = (),
        budget: int | None = None,
        body: bytes = GOOD,
        **engines: FakeEngine,
    ) -> None:
        self.engines = Engines({"own": DOWN, "small": FakeEngine(body), "big": FakeEngine(body), **engines})
        self.ledger = Ledger()
        self.app = create_served_app(
            settings(*(models or (OWN, SMALL, BIG))),
            Fallback(self.engines),
            Keyring(OneKey(allowed, budget)),
            Meter(ledger=self.ledger, now=lambda: 30.0),
        )

    async def post(
        self, headers: Mapping[str, str] | Sequence[tuple[str, str]] | None = None, **fields: Any
    ) -> httpx.Response:
        body = {"model": "own", "messages": [USER], "stream": True, **fields}
        async with client_of(self.app) as client:
            return await client.post(URL, json=body, headers=headers)

    @property
    def record(self) -> UsageRecord:
        (record,) = self.ledger.records.values()
        return record


def client_of(app: ASGIApp) -> httpx.AsyncClient:
    headers = {"authorization": "Bearer sk-test-0123456789abcdef"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://chat", headers=headers)


# who answers, and that it is said


async def test_a_stream_says_who_answered() -> None:
    bench = Bench()
    reply = await bench.post()
    assert (reply.status_code, reply.headers["x-model"]) == (200, "small")
    assert "x-model" in reply.headers["access-control-expose-headers"]
    assert {chunk["model"] for chunk in schema.check_stream(reply.content).chunks} == {"small"}
    assert (bench.record.model, bench.record.outcome) == ("small", "ok")


async def test_a_whole_reply_says_who_answered() -> None:
    bench = Bench(body=COMPLETION)
    reply = await bench.post(stream=False)
    assert (reply.json()["model"], reply.headers["x-model"]) == ("small", "small")
    assert (bench.record.model, bench.record.tokens) == ("small", 10)


async def test_the_models_own_engine_is_named_too() -> None:
    bench = Bench(own=FakeEngine(GOOD))
    reply = await bench.post()
    assert (reply.headers["x-model"], bench.record.model) == ("own", "own")


async def test_where_all_refuse_the_request_is_its_models() -> None:
    bench = Bench(small=DOWN, big=DOWN)
    reply = await bench.post()
    assert (reply.status_code, "x-model" in reply.headers) == (502, False)
    assert (bench.record.model, bench.record.tokens) == ("own", 0)


async def test_what_a_fallback_may_have_run_is_charged_as_its_own() -> None:
    bench = Bench(small=FakeEngine(refuses=UpstreamError("Dropped.", retry=False)))
    reply = await bench.post()
    assert (reply.status_code, reply.headers["x-should-retry"]) == (502, "false")
    assert (bench.record.model, bench.record.outcome) == ("small", "error")
    assert bench.record.tokens > 0


# who may answer


async def test_each_gets_the_request_as_it_would_its_own() -> None:
    """Of what the model before it has been sent, nothing is left."""
    own = replace(OWN, engine="ollama", developer_as_system=True)
    big = replace(BIG, engine="llama.cpp")
    call = {"id": "1", "type": "function", "function": {"name": "look_up", "arguments": "{"}}
    fields: dict[str, Any] = {
        "messages": [
            {"role": "developer", "content": "Be brief."},
            USER,
            {"role": "assistant", "reasoning": "Hm.", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": None},
        ],
        "tools": TOOLS,
    }
    bench = Bench(own, SMALL, big, small=DOWN)
    await bench.post(**fields)
    assert list(bench.engines.got) == ["own", "small", "big"]
    for each in (own, SMALL, big):
        alone = Bench(replace(each, fallback=(), listed=True))
        await alone.post(model=each.id, **fields)
        sent = [json.loads(joined(one.engines.got[each.id].body)) for one in (alone, bench)]
        assert sent[0] == sent[1]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_response_names_the_model_that_wrote_it(stream: bool) -> None:
    bench = Bench(body=GOOD if stream else COMPLETION)
    body = {"model": "own", "input": "Hi", "stream": stream}
    async with client_of(bench.app) as client:
        reply = await client.post("/v1/responses", json=body)
    assert reply.headers["x-model"] == "small"
    assert set(re.findall(r'"model": ?"(\w+)"', reply.text)) == {"small"}


@pytest.mark.parametrize(
    ("fields", "other"),
    [
        ({"max_tokens": 33}, model("small", max_tokens_limit=32)),
        ({"tools": TOOLS, "tool_choice": "required"}, model("small", engine="ollama")),
        ({"top_k": 3}, model("small", engine="openai")),
        ({}, model("small", serves=frozenset({"completions"}))),
    ],
    ids=["max_tokens", "tool_choice", "field", "serves"],
)
async def test_a_model_that_cannot_do_what_is_requested_does_not_answer(
    fields: dict[str, Any], other: Model
) -> None:
    bench = Bench(OWN, other, BIG)
    assert (await bench.post(**fields)).headers["x-model"] == "big"
    assert bench.engines.got.keys() == {"own", "big"}


async def test_what_the_model_itself_cannot_do_is_an_error_though_a_fallback_can() -> None:
    bench = Bench()
    reply = await bench.post(max_tokens=300)
    assert (reply.status_code, bench.engines.got) == (400, {})


@pytest.mark.parametrize(("allowed", "status"), [((), 200), (("own", "big"), 200), (("own",), 502)])
async def test_a_key_gets_no_answer_of_a_model_that_others_can_name_and_it_cannot(
    allowed: tuple[str, ...], status: int
) -> None:
    assert (await Bench(allowed=allowed).post()).headers["x-model"] == "small"
    bench = Bench(allowed=allowed, small=DOWN)
    assert (await bench.post()).status_code == status
    assert ("big" in bench.engines.got) is (status == 200)


async def test_a_model_that_is_not_listed_cannot_be_named() -> None:
    bench = Bench()
    refused = await bench.post(model="small")
    assert (refused.status_code, refused.json()["error"]["code"]) == (404, "model_not_found")
    async with client_of(bench.app) as client:
        listed = await client.get("/v1/models")
        card = await client.get("/v1/models/small")
    assert [each["id"] for each in listed.json()["data"]] == ["own", "big"]
    assert card.status_code == 404


@pytest.mark.parametrize("text", ["none", "None"])
async def test_a_caller_can_refuse_other_models(text: str) -> None:
    bench = Bench()
    reply = await bench.post({"x-fallback": text})
    assert (reply.status_code, [*bench.engines.got]) == (502, ["own"])


@pytest.mark.parametrize("texts", [("off",), ("", "none"), ("none", "none")])
async def test_a_header_that_is_not_understood_sends_no_prompt_anywhere(texts: Sequence[str]) -> None:
    bench = Bench()
    reply = await bench.post([("x-fallback", text) for text in texts])
    assert (reply.status_code, bench.engines.got) == (400, {})
    assert "'x-fallback' to be 'none'" in reply.json()["error"]["message"]


def test_embeddings_are_of_one_model() -> None:
    own, same, other = (
        model(name, served_name=served, serves=frozenset({"embeddings", "chat"}))
        for name, served in (("own", "e5"), ("same", "e5"), ("other", "bge"))
    )
    own = replace(own, fallback=("other", "same"))
    all_three = settings(own, same, other)
    assert fallbacks_of(own, "embeddings", all_three, None) == [same]
    assert fallbacks_of(own, "chat", all_three, None) == [other, same]


# what is reserved


async def test_the_most_that_any_of_them_may_use_is_reserved_once() -> None:
    generous = model("big", max_tokens_default=200)
    for budget in (None, 10_000):
        bench = Bench(OWN, generous, SMALL, small=DOWN, budget=budget)
        reply = await bench.post()
        big = bench.engines.got["big"]
        assert bench.ledger.reserved.model == "own"
        most = big.prompt_tokens_most + 200
        assert (bench.ledger.reserved.tokens, bench.ledger.reserved.most) == (most, most)
        assert int(reply.headers["x-ratelimit-remaining-tokens"]) == 100_000 - most
