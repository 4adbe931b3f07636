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
from jsonschema import Draft202012Validator
from schemathesis.specs.openapi.checks import (
    negative_data_rejection,
    positive_data_acceptance,
    unsupported_method,
)
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from functions.chat.api import chat_schema
from functions.chat.api.openapi import REQUESTS
from functions.chat.api.routes import ROUTES, Route
from functions.chat.app import create_app
from functions.chat.engines.engine import EngineRequest, Event, joined
from functions.chat.engines.kinds import ENGINES
from functions.chat.errors import InvalidRequest
from functions.chat.settings import Settings
from functions.shared.key_text import digest
from functions.shared.version import VERSION
from tests.integration.chat.service import URL, body, client_of, settings_for
from tests.unit.chat.api import test_completions, test_embeddings
from tests.unit.chat.chunks import DONE, dumps, event, finish, role
from tests.unit.chat.fakes import FakeEngine, model
from tests.unit.chat.fakes import settings as settings_of

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
        given = json.loads(joined(request.body))
        count = 1 if isinstance(given["input"], str) else len(given["input"])
        one = {"embedding": [0.5] * given.get("dimensions", 3)}
        return FakeEngine(dumps({"data": [one] * count})).open(request)


ALL = {"tiny": {"base_url": "http://engine/v1", "serves": ["chat", "completions", "embeddings"]}}
APP = create_app(Settings.from_environment({"MODELS": json.dumps(ALL), "MAX_N": "1"}), SaneEngine())
API = schemathesis.openapi.from_asgi("/openapi.json", APP)


@API.parametrize()
@settings(
    max_examples=6,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
def test_every_reply_is_as_described(case: schemathesis.Case[Any]) -> None:
    if isinstance(case.body, dict) and isinstance(case.body.get("model"), str) and case.body["model"]:
        case.body["model"] = "default"  # any other name is a 404, which proves little
    if isinstance(case.body, dict) and type(size := case.body.get("dimensions")) is int:
        case.body["dimensions"] = min(size, 10)  # what the engine can make
    # Rules between fields, such as top_logprobs only with logprobs, are not part of the schema.
    # What is POSTed to the root is meant for another URL, which a 404 names.
    beyond = [positive_data_acceptance, *([unsupported_method] if case.path == "/" else [])]
    if case.method == "POST" and is_valid(
        case
    ):  # what is wrong for one kind of message may be right for another
        beyond.append(negative_data_rejection)
    case.call_and_validate(excluded_checks=beyond)


def is_valid(case: schemathesis.Case[Any]) -> bool:
    """Return whether the document allows a body."""
    document = APP.openapi()
    request = document["paths"][case.path].get("post", {}).get("requestBody")
    schema = request["content"]["application/json"]["schema"] if request else {}
    return bool(Draft202012Validator({**document, **schema}).is_valid(case.body))


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
    described = {route.path.replace(":path", "") for route in ROUTES if route.reply and not route.of_keys}
    assert set(paths) == described
    for operation in (each for path in paths.values() for each in path.values()):
        assert {"200", "4XX", "5XX"} == operation["responses"].keys()
        assert operation["summary"]
        assert operation["description"]


@pytest.mark.parametrize(
    "route", [route for route in ROUTES if route.path in REQUESTS], ids=lambda route: route.path
)
def test_an_example_is_accepted_and_valid(route: Route) -> None:
    document = APP.openapi()
    content = document["paths"][route.path]["post"]["requestBody"]["content"]["application/json"]
    assert content["example"] == {"model": "default", **route.example}
    REQUESTS[route.path].check(content["example"], None)
    Draft202012Validator({**document, **content["schema"]}).validate(content["example"])


# Rules between fields, of a model's settings, and of what JSON Schema has no word for.
BEYOND_A_SCHEMA = {
    "many prompts",
    "many choices",
    "many choices of prompts",
    "many tokens",
    "suffix",
    "best_of",
    "echo of tokens",
    "echo with logprobs",
    "options without stream",
    "half a character",
}
BODIES = [
    *(("/v1/completions", test_completions.body(**sent), True) for sent, _ in test_completions.SENT.values()),
    ("/v1/embeddings", test_embeddings.body(input=["a", "b"], encoding_format="base64", dimensions=3), True),
    *(
        (path, refused[0], False)
        for path, table in (
            ("/v1/completions", test_completions.REFUSED),
            ("/v1/embeddings", test_embeddings.REFUSED),
        )
        for name, refused in table.items()
        if name not in BEYOND_A_SCHEMA and len(str(refused[0])) < 100_000
    ),
]


@pytest.mark.parametrize(("path", "fields", "is_accepted"), BODIES, ids=range(len(BODIES)))
def test_a_request_is_valid_where_it_is_accepted(
    path: str, fields: dict[str, Any], is_accepted: bool
) -> None:
    document = APP.openapi()
    content = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
    assert Draft202012Validator({**document, **content["schema"]}).is_valid(fields) is is_accepted


def test_an_endpoint_is_described_with_a_model_that_serves_it_or_not_at_all() -> None:
    first, second = model("a", serves=frozenset({"completions"})), model("b", serves=frozenset({"chat"}))
    paths = create_app(settings_of(first, second), SaneEngine()).openapi()["paths"]
    body = paths[URL]["post"]["requestBody"]["content"]["application/json"]
    assert body["example"]["model"] == "b"
    assert "/v1/embeddings" not in paths


@pytest.mark.parametrize("keys", [{}, {"API_KEYS": json.dumps({digest("key"): []})}], ids=["open", "keys"])
def test_a_key_is_described_only_where_one_is_required(keys: dict[str, str]) -> None:
    document = create_app(settings_for("http://engine/v1", **keys), SaneEngine()).openapi()
    assert document.get("security") == ([{"key": []}] if keys else None)
    assert ("securitySchemes" in document["components"]) is bool(keys)
    assert document["paths"]["/health"]["get"].get("security") == ([] if keys else None)
    assert ({"/v1/key", "/v1/key/usage"} <= document["paths"].keys()) is bool(keys)
    OPENAPI_31_VALIDATOR.validate(document)


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
    text = app.openapi()["components"]["schemas"]["CompletionRequest"]["properties"]
    assert {"grammar", "top_k"} <= text.keys()
    assert "chat_template_kwargs" not in text


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
