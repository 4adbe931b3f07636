"""Programs of this machine, its own pages and the pages that are allowed are served; no others."""

import json

import pytest

from infra.local.lambda_service.callers import Callers
from infra.local.lambda_service.failures import NotServed

FOREIGN = "https://evil.example"
PLAIN = Callers()


def status(method: str = "POST", callers: Callers = PLAIN, version: str = "1.1", **headers: str) -> int:
    """Return the status of the refusal, 0 where a request may pass."""
    fields = [
        (name.replace("_", "-").encode(), value.encode("latin-1"))
        for name, value in {"host": "localhost:8000", **headers}.items()
        if value != "-"
    ]
    try:
        callers.check({"method": method, "headers": fields, "http_version": version})
    except NotServed as refused:
        error = json.loads(refused.message)["error"]
        assert error.keys() == {"message", "type", "param", "code"}
        return refused.status
    return 0


@pytest.mark.parametrize(
    "host",
    ["localhost", "localhost:8000", "LocalHost:1", "127.0.0.1:8000", "127.0.0.1", "[::1]:8000", "[::1]"],
)
def test_the_names_of_this_machine_are_served(host: str) -> None:
    assert status(host=host) == 0


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.nip.example:8000",
        "localhost:8000@evil.example",
        "evil.example:localhost",
        "localhost:",
        "localhost:8000:8000",
        "localhost:\u00b2",
        "localhost,evil.example",
        "box.example",
        "127.0.0.2",
        "0.0.0.0:8000",
        "::1",
        "",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_other_names_are_not(host: str, method: str) -> None:
    assert status(method, host=host) == 421


def test_a_configured_name_is_served() -> None:
    callers = Callers(hosts=["box.example"])
    assert status(callers=callers, host="Box.example:8000") == status(callers=callers) == 0
    assert status(callers=callers, host="other.example") == 421


def test_a_request_has_one_host() -> None:
    assert status(host="-") == 400
    assert status(host="-", version="1.0") == 0
    assert status(host="evil.example", version="1.0") == 421


def test_headers_have_an_end() -> None:
    assert status(x="a" * 60_000) == 0
    assert status(x="a" * 70_000) == 431


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {"origin": FOREIGN}),
        ("POST", {"origin": FOREIGN, "content-type": "application/json"}),
        ("POST", {"origin": FOREIGN, "sec-fetch-site": "cross-site", "content-type": "text/plain"}),
        ("POST", {"origin": "null"}),
        ("POST", {"origin": ""}),
        ("POST", {"origin": "http://localhost:3000", "sec-fetch-site": "same-site"}),
        ("POST", {"origin": "http://localhost"}),
        ("POST", {"origin": "http://127.0.0.1:8000"}),
        ("POST", {"sec-fetch-site": "cross-site"}),
        ("POST", {"sec-fetch-site": "same-site"}),
        ("POST", {"sec-fetch-site": "Cross-Site"}),
        ("POST", {"sec-fetch-site": ""}),
        ("POST", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}),
        ("GET", {"origin": FOREIGN}),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "iframe"}),
        ("DELETE", {"origin": FOREIGN}),
    ],
)
def test_a_foreign_page_is_refused(method: str, headers: dict[str, str]) -> None:
    assert status(method, PLAIN, **headers) == 403
    assert status(method, Callers(origins=["https://chat.example"]), **headers) == 403


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("POST", {}),
        ("POST", {"content-type": "text/plain"}),
        ("POST", {"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}),
        ("POST", {"sec-fetch-site": "same-origin"}),
        ("POST", {"sec-fetch-site": "none"}),
        ("GET", {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}),
        ("GET", {"sec-fetch-site": "same-site", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}),
        ("HEAD", {"sec-fetch-site": "none", "sec-fetch-mode": "navigate"}),
        ("OPTIONS", {"origin": FOREIGN, "access-control-request-method": "POST"}),
    ],
)
def test_programs_own_pages_links_and_preflights_pass(method: str, headers: dict[str, str]) -> None:
    assert status(method, PLAIN, **headers) == 0


@pytest.mark.parametrize("allowed", ["https://chat.example", " HTTPS://chat.example:443", "*"])
def test_an_allowed_page_passes(allowed: str) -> None:
    callers = Callers(origins=["http://localhost:3000", allowed])
    for site in ("cross-site", "same-site"):
        assert status(callers=callers, origin="https://chat.example", **{"sec-fetch-site": site}) == 0
    assert status(callers=callers, origin="https://other.example") == (0 if allowed == "*" else 403)


def test_what_is_refused_says_what_to_do() -> None:
    with pytest.raises(NotServed) as refused:
        Callers().check({"method": "POST", "headers": [(b"host", b"box:1")], "http_version": "1.1"})
    assert "make run HOSTS=<name>" in json.loads(refused.value.message)["error"]["message"]
    assert str(refused.value) == "foreign host"
