"""The pages at `/` and `/usage`, their files, and what programs get there."""

import base64
import gzip
import hashlib
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest
from starlette.types import ASGIApp

from functions.chat.api.browser_pages import pages_in
from functions.chat.app import create_served_app
from functions.shared.version import VERSION
from infra.pages import PAGES
from infra.paths import ROOT
from tests.rest_api import rest_api
from tests.unit.chat.fakes import FakeEngine, settings

pytestmark = pytest.mark.anyio
OWN = ROOT / "functions/chat/page"
VENDORED = [name for package in PAGES["chat-page"] for name in package.files.values()]
BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
ADDRESSES = [
    ("https://a1b2c3.execute-api.eu-central-1.amazonaws.com/dev", True),
    ("https://api.example.com/ai", False),
    ("https://api.example.com", False),
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "chat-page"
    folder.mkdir()
    for name in VENDORED:
        (folder / name).write_text(f"// {name}")
    (tmp_path / "secret.txt").write_text("secret")
    return folder


def app(page: Path | None) -> ASGIApp:
    return create_served_app(settings(page=page), FakeEngine())


@asynccontextmanager
async def browser(page: Path | None, accept: str = BROWSER) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"accept": accept, "accept-encoding": "identity"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app(page)), base_url="http://chat", headers=headers
    ) as client:
        yield client


def links_in(html: str, address: str) -> Iterator[str]:
    """Yield the addresses that a browser loads."""
    (base,) = re.findall(r'<base href="([^"]*)"', html)
    for link in re.findall(r'<(?:script|link)[^>]+(?:src|href)="([^"]+)"', html):
        if link != "data:,":
            yield urljoin(urljoin(address, base), link)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        (BROWSER, "text/html; charset=utf-8"),
        ("text/html", "text/html; charset=utf-8"),
        ("text/html;q=0.1", "text/html; charset=utf-8"),
        ("*/*", "application/json"),
        ("", "application/json"),
        ("application/json", "application/json"),
        ("application/json, text/html;q=0.9", "application/json"),
        ("text/html;q=0, */*", "application/json"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_browser_gets_the_page_and_a_program_the_index(
    folder: Path, accept: str, media_type: str, method: str
) -> None:
    async with browser(folder, accept) as client:
        reply = await client.request(method, "/")
    assert (reply.status_code, reply.headers["content-type"]) == (200, media_type)
    assert reply.headers["vary"] == "accept"
    assert bool(reply.content) is (method == "GET")


@pytest.mark.parametrize("page", [True, False])
async def test_the_index_says_what_is_served(folder: Path, page: bool) -> None:
    async with browser(folder if page else None, "*/*") as client:
        reply = await client.get("/")
        index = reply.json()
        for name in ("models", "docs", "openapi"):
            assert (await client.get(index[name])).status_code == 200
    assert reply.headers["cache-control"] == "no-store"
    assert (index["name"], index["version"], index["base_url"]) == ("Chatbot API", VERSION, "http://chat/v1")
    assert {"POST /v1/chat/completions", "GET /v1/models", "GET /v1/models/{model}"} <= set(
        index["endpoints"]
    )
    assert index.get("chat") == ("http://chat/" if page else None)
    assert index.get("usage") == ("http://chat/usage" if page else None)


async def test_where_the_pages_are_off_a_browser_gets_the_index() -> None:
    async with browser(None) as client:
        usage = await client.get("/usage")
        assert (usage.status_code, "GET /v1/key/usage" in usage.text) == (404, True)
        assert (await client.get("/")).json()["base_url"] == "http://chat/v1"
        assert (await client.get("/page/0/chat.mjs")).status_code == 404


@pytest.mark.parametrize(("url", "own_address"), ADDRESSES)
@pytest.mark.parametrize("path", ["", "/", "/usage", "/usage/"])
def test_a_page_finds_its_files_and_the_api_below_a_prefix(
    folder: Path, url: str, own_address: bool, path: str
) -> None:
    with rest_api(app(folder), url, own_address=own_address) as api:
        page = api.get(f"{url}{path}", Accept=BROWSER)
        links = list(links_in(page.text, f"{url}{path}"))
        assert [api.get(link).status for link in links] == [200] * 7
        (base,) = re.findall(r'<base href="([^"]*)"', page.text)
        assert urljoin(urljoin(f"{url}{path}", base), "v1/models") == f"{url}/v1/models"
        assert api.get(f"{url}/", Accept="*/*").json()["base_url"] == f"{url}/v1"


async def test_every_module_and_element_that_is_named_exists() -> None:
    modules = {path.name: path.read_text() for path in OWN.glob("*.mjs")}
    imported = {name for text in modules.values() for name in re.findall(r'from "\./([^"]+)"', text)}
    assert imported == {*modules, *VENDORED} - {"chat.mjs", "usage.mjs"}
    for name in ("chat", "usage"):
        ids = set(re.findall(r'id="([^"]+)"', (OWN / f"{name}.html").read_text()))
        assert set(re.findall(r'(?:\$|on)\("([^"]+)"', modules[f"{name}.mjs"])) <= ids


@pytest.mark.parametrize("name", ["chat", "usage"])
async def test_a_page_preloads_each_module_that_it_imports_at_once(name: str) -> None:
    modules = {path.name: path.read_text() for path in OWN.glob("*.mjs")}
    needed, found = {f"{name}.mjs"}, set[str]()
    while needed:
        found.add(each := needed.pop())
        needed |= set(re.findall(r'from "\./([^"]+)"', modules.get(each, ""))) - found
    html = (OWN / f"{name}.html").read_text()
    own = {each for each in found if each in modules} | {"lit-html.js"}
    assert set(re.findall(r'\$files/([\w.-]+)"', html)) == own


@pytest.mark.parametrize(("path", "makers"), [("/", "lit-html dompurify"), ("/usage", "lit-html")])
async def test_the_policy_lets_in_only_what_is_ours(folder: Path, path: str, makers: str) -> None:
    async with browser(folder) as client:
        reply = await client.get(path)
    (style,) = re.findall(r"<style>(.*?)</style>", reply.text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    directives = dict(
        each.strip().partition(" ")[::2] for each in reply.headers["content-security-policy"].split(";")
    )
    assert directives["default-src"] == "'none'"
    assert directives["connect-src"] == directives["script-src"] == directives["base-uri"] == "'self'"
    assert directives["style-src"] == f"'sha256-{digest}'"
    assert directives["img-src"] == "data:"
    assert directives["require-trusted-types-for"] == "'script'"
    assert directives["trusted-types"] == makers
    assert re.findall(r"<script[^>]*>", reply.text) == re.findall(r"<script [^>]*src=[^>]*>", reply.text)
    assert not re.search(r"\son\w+=|\sstyle=|//", reply.text.replace(style, ""))
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["referrer-policy"] == "no-referrer"


async def test_a_page_that_has_not_changed_is_not_sent_again(folder: Path) -> None:
    async with browser(folder) as client:
        first = await client.get("/")
        again = await client.get("/", headers={"if-none-match": first.headers["etag"]})
    assert (first.status_code, first.headers["cache-control"]) == (200, "no-cache")
    assert (again.status_code, again.content) == (304, b"")
    (folder / "marked.js").write_text("// another version")
    pages_in.cache_clear()  # an environment reads its files once
    async with browser(folder) as client:
        changed = await client.get("/", headers={"if-none-match": first.headers["etag"]})
    assert changed.status_code == 200
    assert set(links_in(changed.text, "http://chat/")).isdisjoint(links_in(first.text, "http://chat/"))


async def test_files_are_kept_for_ever_and_can_be_compressed(folder: Path) -> None:
    async with browser(folder) as client:
        module = next(
            link for link in links_in((await client.get("/")).text, "http://chat/") if "chat.mjs" in link
        )
        plain = await client.get(module)
        async with client.stream("GET", module, headers={"accept-encoding": "gzip, br"}) as compressed:
            content = b"".join([part async for part in compressed.aiter_raw()])
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert plain.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert plain.headers["vary"] == "accept-encoding"
    assert compressed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(content) == plain.content == (OWN / "chat.mjs").read_bytes()


@pytest.mark.parametrize("name", ["other.js", "chat.html", "..%2Fsecret.txt", "%2Fetc%2Fpasswd", "chat.py"])
async def test_there_is_nothing_but_these_files(folder: Path, name: str) -> None:
    async with browser(folder) as client:
        digest = re.findall(r"page/(\w+)/", (await client.get("/")).text)[0]
        reply = await client.get(f"/page/{digest}/{name}")
    assert reply.status_code == 404
    assert "immutable" not in reply.headers.get("cache-control", "")


async def test_a_document_of_another_version_gets_files_which_are_not_kept(folder: Path) -> None:
    """While a version replaces another, a page is loaded from both."""
    async with browser(folder) as client:
        reply = await client.get("/page/0123456789abcdef/chat.mjs")
    assert (reply.status_code, reply.headers["cache-control"]) == (200, "no-store")


async def test_without_its_files_it_says_so(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        async with browser(folder) as client:
            reply = await client.get("/")
        assert reply.status_code == 404
        assert "infra/pages.py" in reply.text
        assert "marked.js" in reply.text


def test_a_function_starts_without_what_only_some_requests_need() -> None:
    late = {"functions.chat.api.browser_pages", "functions.chat.api.key"}
    code = f"import functions.chat.app, sys; sys.exit(bool({late} & sys.modules.keys()))"
    assert subprocess.run((sys.executable, "-c", code), cwd=ROOT, check=False).returncode == 0
