"""Below a stage or a base path, /docs finds its files and shows the address of the API."""

import json
import re
from collections.abc import Iterator
from urllib.parse import urljoin

import pytest

from functions.chat.app import create_served_app
from tests.integration.chat.service import settings_for
from tests.rest_api import RestApi, rest_api
from tests.unit.chat.fakes import FakeEngine

ADDRESSES = {
    "a stage": ("https://a1b2c3.execute-api.eu-central-1.amazonaws.com/dev", True),
    "a base path": ("https://api.example.com/ai", False),
    "a domain": ("https://api.example.com", False),
}


@pytest.fixture(params=list(ADDRESSES.values()), ids=list(ADDRESSES))
def api(request: pytest.FixtureRequest) -> Iterator[RestApi]:
    url, own_address = request.param
    app = create_served_app(settings_for("http://engine/v1"), FakeEngine())
    with rest_api(app, url, own_address=own_address) as api:
        yield api


def test_the_page_finds_its_document_and_its_assets(api: RestApi) -> None:
    page = api.get(f"{api.url}/docs")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    links = re.findall(r"""(?:src|href)=["']([^"']+)["']""", page.text)
    (document,) = re.findall(r"""url: ["']([^"']+)["']""", page.text)
    replies = {link: api.get(urljoin(f"{api.url}/docs", link)) for link in (*links, document)}
    assert len(links) >= 3
    assert {link: reply.status for link, reply in replies.items()} == dict.fromkeys(replies, 200)
    assert replies[document].json()["info"]["title"] == "Chatbot API"


def test_the_document_has_the_address_of_the_api(api: RestApi) -> None:
    for _ in range(2):
        document = api.get(f"{api.url}/openapi.json").json()
        servers = [server["url"] for server in document.get("servers", [{"url": "/"}])]
        assert [urljoin(f"{api.url}/docs", server).rstrip("/") for server in servers] == [api.url]
        assert "/health" in document["paths"]
    assert api.get(f"{api.url}/health").json() == {"status": "ok"}


def test_the_document_of_one_address_does_not_name_another() -> None:
    app = create_served_app(settings_for("http://engine/v1"), FakeEngine())
    servers = []
    for url, own_address in ADDRESSES.values():
        with rest_api(app, url, own_address=own_address) as api:
            servers.append(api.get(f"{url}/openapi.json").json().get("servers"))
    assert servers == [[{"url": "/dev"}], [{"url": "/ai"}], None]


def test_an_unknown_path_is_named_as_the_caller_knows_it(api: RestApi) -> None:
    reply = api.get(f"{api.url}/v1/nope")
    path = api.url.partition("://")[2].partition("/")[2]
    assert reply.status == 404
    assert f"(GET /{path}/v1/nope)".replace("//", "/") in json.loads(reply.body)["error"]["message"]


def test_a_caller_cannot_forge_a_prefix(api: RestApi) -> None:
    forged = dict.fromkeys(("X-Forwarded-Prefix", "X-Script-Name", "X-Forwarded-Path"), "/evil")
    for path in ("/docs", "/openapi.json"):
        assert "evil" not in api.get(f"{api.url}{path}", **forged).text


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/", "//v1/models", "/models", "/models/"])
def test_other_spellings_of_a_path_are_served_below_it_too(api: RestApi, path: str) -> None:
    reply = api.get(f"{api.url}{path}")
    assert (reply.status, reply.json()["object"]) == (200, "list")


def test_a_path_that_is_not_served_names_the_one_below_it(api: RestApi) -> None:
    prefix = api.url.removeprefix("https://").partition("/")[2]
    root = f"/{prefix}" if prefix else ""
    reply = api.get(f"{api.url}/openai/v1/models")
    assert reply.status == 404
    assert f"Expected GET {root}/v1/models" in reply.json()["error"]["message"]
