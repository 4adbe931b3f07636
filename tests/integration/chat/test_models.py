"""`GET /v1/models`, with the context length that an engine reports over HTTP."""

import json
from typing import Any

import pytest

from tests.engines.behaviours import Hang, Status
from tests.engines.scripted import ScriptedEngine, refusing_engine
from tests.engines.wire import Behaviour
from tests.integration.chat.conftest import Connect
from tests.integration.chat.service import MODEL, connected

pytestmark = pytest.mark.anyio
LISTED = {"object": "list", "data": [{"id": MODEL, "object": "model", "max_model_len": 4096}]}


def answer(value: Any, status: int = 200) -> Status:
    return Status(status, json.dumps(value).encode())


async def test_the_context_length_that_the_engine_reports_is_listed(
    engine: ScriptedEngine, connect: Connect
) -> None:
    engine.models = answer(LISTED)
    async with connect() as client:
        listed = (await client.get("/v1/models")).json()
        one = (await client.get("/v1/models/default")).json()
    assert [each["max_model_len"] for each in listed["data"]] == [4096, 4096]
    assert one["max_model_len"] == 4096
    assert {"id", "object", "created", "owned_by", "serves", "max_model_len"} == one.keys()
    assert one["serves"] == ["chat", "completions"]


@pytest.mark.parametrize(
    "behaviour",
    [
        answer({"error": "Unauthorized"}, 401),
        answer({"detail": "Not Found"}, 404),
        Status(200, b"<html>"),
        Status(200, b"[" * 100_000),
        Status(200, b""),
        Hang(),
    ],
    ids=str,
)
async def test_an_engine_that_does_not_say_it_fails_nothing(
    engine: ScriptedEngine, connect: Connect, behaviour: Behaviour
) -> None:
    engine.models = behaviour
    async with connect() as client:
        reply = await client.get("/v1/models")
    assert reply.status_code == 200
    assert [each["id"] for each in reply.json()["data"]] == [MODEL, "other"]
    assert "max_model_len" not in reply.text


async def test_an_engine_that_is_gone_fails_nothing() -> None:
    with refusing_engine() as url:
        async with connected(url) as client:
            reply = await client.get("/v1/models")
    assert (reply.status_code, len(reply.json()["data"])) == (200, 2)
