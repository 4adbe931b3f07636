import re
from pathlib import Path
from urllib.parse import urljoin

import pytest
from starlette.responses import FileResponse

from functions.todos.app import create_app
from functions.todos.graphiql import GraphiQL
from functions.todos.settings import Settings
from tests.rest_api import rest_api
from tests.unit.todos.stores import FakeStore, todo

NAMES = ("react-18.3.1.js", "react-dom-18.3.1.js", "graphiql-4.1.2.js", "graphiql-4.1.2.css")
LICENCE = "graphiql-4.1.2.LICENSE.txt"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "graphiql"
    folder.mkdir()
    for name in (*NAMES, LICENCE):
        (folder / name).write_text(name)
    (tmp_path / "secret.txt").write_text("secret")
    return folder


def html_of(folder: Path) -> str:
    return bytes(GraphiQL(folder).page().body).decode()


def linked(html: str) -> list[str]:
    return re.findall(r'(?:src|href)="([^"]+)"', html)


@pytest.mark.parametrize("address", ["https://api.example/graphql", "https://api.example/dev/graphql"])
def test_the_page_loads_its_files_from_below_itself(folder: Path, address: str) -> None:
    links = [urljoin(address, link) for link in linked(html_of(folder))]
    assert links[0] == "data:,", "expected no request for a favicon"
    assert sorted(links[1:]) == sorted(f"{address}/assets/{name}" for name in NAMES)


@pytest.mark.parametrize(
    ("url", "own_address"),
    [
        ("https://a1b2c3.execute-api.eu-central-1.amazonaws.com/dev", True),
        ("https://api.example.com/ai", False),
        ("https://api.example.com", False),
    ],
)
def test_behind_a_rest_api_the_page_its_files_and_redirects_stay_below_its_prefix(
    folder: Path, url: str, own_address: bool
) -> None:
    settings = Settings(database_url="postgresql://nowhere", graphiql=folder)
    address = f"{url}/graphql"
    with rest_api(create_app(settings, FakeStore([todo(1)])), url, own_address=own_address) as api:
        page = api.get(address, Accept="text/html")
        files = [urljoin(address, link) for link in linked(page.text)][1:]
        assert [api.get(file).status for file in files] == [200] * len(NAMES)
        assert "url: location.origin + location.pathname" in page.text
        # What it posts to: an answer that there is no query, but no 404.
        assert api.get(address, Accept="application/json").status == 400
        slashed = api.get(f"{address}/", Accept="text/html")
        assert (slashed.status, slashed.headers["location"]) == (307, address)


def test_react_comes_before_what_needs_it(folder: Path) -> None:
    scripts = [link for link in linked(html_of(folder)) if link.endswith(".js")]
    assert scripts == [f"graphql/assets/{name}" for name in NAMES[:3]]


def test_the_page_names_no_other_host(folder: Path) -> None:
    assert "//" not in html_of(folder).replace("; // ", "")


def test_the_policy_lets_in_only_what_is_ours(folder: Path) -> None:
    graphiql = GraphiQL(folder)
    first, second = graphiql.page(), graphiql.page()
    directives = dict(
        each.strip().partition(" ")[::2] for each in first.headers["content-security-policy"].split(";")
    )
    (nonce,) = set(re.findall(r'nonce="(\w+)"', bytes(first.body).decode()))
    assert directives["default-src"] == "'none'"
    assert directives["connect-src"] == "'self'"
    assert directives["script-src"] == directives["style-src"] == f"'self' 'nonce-{nonce}'"
    assert nonce not in bytes(second.body).decode()


def test_the_page_is_never_kept_and_its_type_not_guessed(folder: Path) -> None:
    headers = GraphiQL(folder).page().headers
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"
    assert (headers["cache-control"], headers["vary"]) == ("no-cache", "accept")


@pytest.mark.parametrize(
    ("name", "media_type"),
    [(NAMES[0], "text/javascript"), (NAMES[3], "text/css"), (LICENCE, "text/plain")],
)
def test_a_file_is_kept_for_ever(folder: Path, name: str, media_type: str) -> None:
    response = GraphiQL(folder).file(name)
    assert isinstance(response, FileResponse)
    assert Path(response.path) == folder / name
    assert response.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "other.js", "../secret.txt", "/etc/passwd", "react-18.3.1.js/"]
)
def test_there_is_nothing_but_these_files(folder: Path, name: str) -> None:
    assert GraphiQL(folder).file(name) is None


def test_without_its_files_it_says_so(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "none"):
        page = GraphiQL(folder).page()
        assert page.status_code == 404
        assert "infra/pages.py" in bytes(page.body).decode()
