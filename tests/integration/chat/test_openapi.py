"""`/docs` and `/openapi.json` describe what the API does."""

import json
import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any
from urllib.parse import urljoin

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.specs.openapi.checks import positive_data_acceptance
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from functions.chat.api import chat_schema, response_schema
from functions.chat.app import create_app
from functions.chat.engines.engine import EngineRequest, Event
from functions.chat.engines.kinds import ENGINES
from functions.chat.errors import InvalidRequest
from functions.chat.settings import Settings
from functions.shared.version import VERSION
from tests.integration.chat.service import URL, body, client_of
from tests.unit.chat.chunks import DONE, dumps, event, finish, role
from tests.unit.chat.fakes import FakeEngine

REPLY = {
    "id": "chatcmpl-1",
    "created": 1795373005,
    "choices": [{"message": {"role": "assistant", "content": "Paris"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
}
TEXT = {"choices": [{"index": 0, "text": "a", "finish_reason": "stop"}]}
TEXT_STREAM = event(TEXT) + DONE


class SaneEngine(FakeEngine):
    """An engine that answers everything, whole or as a stream."""

    def open(self, request: EngineRequest) -> aclosing[AsyncGenerator[Event, None]]:
        streamed = role() + finish() + DONE
        if request.path == "chat/completions":
            return FakeEngine(streamed if request.stream else dumps(REPLY)).open(request)
        if request.path == "completions":
            return FakeEngine(TEXT_STREAM if request.stream else dumps(TEXT)).open(request)
        given = json.loads(request.body)
        count = 1 if isinstance(given["input"], str) else len(given["input"])
        one = {"embedding": [0.5] * min(given.get("dimensions", 3), 10)}
        return FakeEngine(dumps({"data": [one] * count})).open(request)


ALL = {"tiny": {"base_url": "http://engine/v1", "serves": ["chat", "completions", "embeddings"]}}
APP = create_app(Settings.from_environment({"MODELS": json.dumps(ALL), "MAX_N": "1"}), SaneEngine())
API = schemathesis.openapi.from_asgi("/openapi.json", APP)


@API.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_every_reply_is_as_described(case: schemathesis.Case[Any]) -> None:
    if isinstance(case.body, dict) and isinstance(case.body.get("model"), str) and case.body["model"]:
        case.body["model"] = "default"  # any other name is a 404, which proves little
    # Rules between fields, such as top_logprobs only with logprobs, are not part of the schema.
    case.call_and_validate(excluded_checks=[positive_data_acceptance])


def test_the_document_has_the_version_of_the_project() -> None:
    assert APP.openapi()["info"]["version"] == VERSION


def test_the_document_is_valid_openapi() -> None:
    document = APP.openapi()
    assert document["openapi"].startswith("3.1.")
    OPENAPI_31_VALIDATOR.validate(document)


def test_every_reference_within_the_document_leads_somewhere() -> None:
    document = APP.openapi()
    references = set(re.findall(r"'\$ref': '#/components/schemas/(\w+)'", str(document)))
    assert len(references) > 10
    assert references <= document["components"]["schemas"].keys()


def test_every_route_is_described_with_its_errors() -> None:
    paths = APP.openapi()["paths"]
    posted = {URL, "/v1/responses", "/v1/completions", "/v1/embeddings"}
    assert set(paths) == {*posted, "/v1/models", "/v1/models/{model}", "/health"}
    for operation in (each for path in paths.values() for each in path.values()):
        assert {"200", "4XX", "5XX"} == operation["responses"].keys()
        assert operation["summary"]


def test_the_example_is_accepted() -> None:
    for path, check in ((URL, chat_schema.check), ("/v1/responses", response_schema.check)):
        content = APP.openapi()["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        check(content["example"])


def test_every_field_is_described() -> None:
    described = APP.openapi()["components"]["schemas"]["ChatCompletionRequest"]["properties"]
    assert chat_schema.CHAT_COMPLETION_REQUEST.members.keys() <= described.keys()


def test_the_fields_of_the_models_engines_are_described_and_no_others() -> None:
    table = {
        "a": {"base_url": "http://engine/v1", "engine": "llama.cpp", "extra_fields": ["grammar"]},
        "b": {"base_url": "http://engine/v1", "engine": "openai"},
    }
    app = create_app(Settings.from_environment({"MODELS": json.dumps(table)}), SaneEngine())
    described = app.openapi()["components"]["schemas"]["ChatCompletionRequest"]
    openai = chat_schema.CHAT_COMPLETION_REQUEST.members.keys()
    assert described["properties"].keys() == openai | ENGINES["llama.cpp"].own | {"grammar"}
    assert described["additionalProperties"] is False


def test_a_field_that_is_described_as_required_is() -> None:
    required = APP.openapi()["components"]["schemas"]["ChatCompletionRequest"]["required"]
    for name in required:
        with pytest.raises(InvalidRequest):
            chat_schema.check({key: value for key, value in body().items() if key != name})
    assert required == ["model", "messages"]


@pytest.mark.anyio
async def test_the_page_and_its_assets_come_from_us() -> None:
    async with client_of(APP) as client:
        page = await client.get("/docs")
        assets = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
        replies = [await client.get(urljoin("/docs", asset)) for asset in assets]
    assert page.headers["content-type"].startswith("text/html")
    assert not re.search(r"""(https?:)?//[\w-]+\.""", page.text)
    assert len(assets) >= 3
    assert {reply.status_code for reply in replies} == {200}
    assert any(len(reply.content) > 100_000 for reply in replies)
    assert "/openapi.json" in page.text


@pytest.mark.anyio
async def test_the_document_is_served() -> None:
    async with client_of(APP) as client:
        reply = await client.get("/openapi.json")
    assert reply.json() == APP.openapi()
