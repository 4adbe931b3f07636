"""The user's document, held to what it says: its clients, its example body, its Swagger UI."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import urljoin

import pytest

from tests.e2e.conftest import Scripted
from tests.e2e.examples import finish, start
from tests.engines import schema
from tests.engines.behaviours import Chat, Replay
from tests.engines.recordings import recording
from tests.local_service import Service

BODY: dict[str, Any] = {
    "model": "string",
    "messages": [{"role": "string", "content": "string"}],
    "max_tokens": 0,
    "temperature": 0.7,
    "top_p": 1,
    "n": 1,
    "stream": False,
}
CLIENTS = ("stream_chat.py", "stream_chat.mjs", "openai_client.py", "openai_client.mjs")
# A second SDK is not for `make test`.
MARKED = [
    pytest.param(client, marks=pytest.mark.slow if client == "openai_client.mjs" else [])
    for client in CLIENTS
]


def printed(client: str, tokens: Sequence[str]) -> str:
    """Return what a client prints of a stream: these tokens between an empty first and last event."""
    if client == "stream_chat.mjs":
        return "".join(f"{token}\n" for token in ["", *tokens, ""])
    return "".join(tokens) + ("" if client == "stream_chat.py" else "\n")


@pytest.mark.parametrize("client", MARKED)
def test_a_client_prints_each_token_of_a_vllm(client: str, scripted: Scripted) -> None:
    out = finish([start(client, scripted.service)])
    assert out == [printed(client, [" word"] * 8)]


@pytest.mark.parametrize("client", MARKED[:2])
@pytest.mark.parametrize("engine", ["vllm-0.32.0", "llama.cpp-b11549"])
def test_a_client_prints_no_stand_in_for_nothing(client: str, engine: str, scripted: Scripted) -> None:
    """Engines send a null or no content in some events; these clients would print it as a word."""
    scripted.engine.behaviour = Chat(Replay(recording(f"{engine}/stream_basic"), per_event=True))
    (out,) = finish([start(client, scripted.service)])
    assert not re.search("None|undefined|null", out)


@pytest.mark.slow
def test_all_clients_print_what_the_model_says(service: Service) -> None:
    outputs = finish([start(client, service) for client in CLIENTS])
    for out in outputs:
        assert out.strip()
        assert not re.search(r"^(None|undefined|null)|(None|undefined|null)$", out)
    assert not {"undefined", "null"} & set(outputs[1].split("\n"))


@pytest.mark.slow
def test_the_closest_text_is_printed_first(service: Service) -> None:
    (out,) = finish([start("embeddings.py", service)])
    scores = [float(line.split()[0]) for line in out.splitlines()]
    assert len(scores) == 4
    assert scores == sorted(scores, reverse=True)
    assert -1 <= scores[-1] < scores[0] <= 1


def test_the_example_body_is_answered(scripted: Scripted) -> None:
    """Its `string`s stand for what the caller puts there."""
    body = {**BODY, "model": "default", "messages": [{"role": "user", "content": "Tell me a joke"}]}
    with scripted.service.client() as client:
        reply = client.post("/v1/chat/completions", json=body)
    assert reply.status_code == 200
    completion = schema.validate_completion(reply.json())
    assert completion["model"] == "scripted"
    (request,) = scripted.engine.requests
    assert request.fields["max_tokens"] == 1024
    assert request.fields["temperature"] == 0.7


def test_the_example_body_as_printed_gets_an_error_with_the_change(service: Service) -> None:
    with service.client() as client:
        reply = client.post("/v1/chat/completions", json=BODY)
        error = schema.validate_error(reply.json())
        assert (reply.status_code, error["param"]) == (400, "messages[0].role")
        body = {**BODY, "messages": [{"role": "user", "content": "string"}]}
        reply = client.post("/v1/chat/completions", json=body)
        error = schema.validate_error(reply.json())
        assert (reply.status_code, error["code"]) == (404, "model_not_found")


def test_swagger_ui_and_its_assets_are_served_by_us(service: Service) -> None:
    with service.client() as client:
        page = client.get("/docs")
        assert page.headers["content-type"].startswith("text/html")
        assets = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
        assert len(assets) >= 2
        for asset in [urljoin("/docs", asset) for asset in assets]:
            assert asset.startswith("/"), f"expected an asset of ours, but got {asset}"
            reply = client.get(asset)
            assert reply.status_code == 200
            assert reply.content
            assert reply.headers["content-type"].startswith(("text/", "image/", "application/javascript"))
        document = re.search(r"""url: ['"]([^"']+)['"]""", page.text)
        assert document
        assert document[1] == "/openapi.json"


def test_the_openapi_document_describes_the_endpoint(service: Service) -> None:
    with service.client() as client:
        document = client.get("/openapi.json").json()
        operation = document["paths"]["/v1/chat/completions"]["post"]
        example = operation["requestBody"]["content"]["application/json"]["example"]
        assert example.keys() == BODY.keys()
        assert {"application/json", "text/event-stream"} <= operation["responses"]["200"]["content"].keys()
