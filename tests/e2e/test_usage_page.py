"""The usage page at `/usage`, used in a headless Chromium.

`PICTURES=<folder> make test-all ARGS=tests/e2e/test_usage_page.py` takes pictures of its states;
`docs/usage.png` is `usage-light.png`.
"""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.scenarios import seen_in_browser
from tests.engines.scripted import scripted_engine
from tests.local_service import Service, run_local

pytestmark = pytest.mark.slow
Report = dict[str, Any]


@dataclass(frozen=True)
class Visit:
    """The service, and what the browser reports."""

    service: Service
    report: Report


@pytest.fixture(scope="module")
def visit(_here: None) -> Iterator[Visit]:
    with scripted_engine() as engine, run_local(BACKEND=engine.base_url, AUTH="on") as local:
        service = local.service
        body = {"model": "default", "messages": [{"role": "user", "content": "Hi"}]}
        with service.client() as client:
            assert client.post("/v1/chat/completions", json=body).status_code == 200
            assert client.post("/v1/chat/completions", json={**body, "n": "one"}).status_code == 400
        pictures = filter(None, [os.environ.get("PICTURES")])
        report = seen_in_browser("usage", f"{service.url}/usage", service.key, *pictures, timeout_s=120)
        yield Visit(service, report)


@pytest.fixture
def report(visit: Visit) -> Report:
    return visit.report


def test_a_missing_key_is_requested_and_a_wrong_one_explained(report: Report) -> None:
    assert report["missing_key"].startswith("An API key is needed")
    assert report["wrong_key"].startswith("This API key is not accepted\n\nIncorrect API key provided.")
    assert "it has characters that are in none" in report["no_key"]


def test_the_key_is_kept_in_the_page_only(visit: Visit) -> None:
    assert visit.report["kept"] == [{}, {}, "", f"{visit.service.url}/usage"]
    assert not [url for _, url in visit.report["requests"] if visit.service.key in url]


def test_a_key_sees_what_it_has_used(report: Report) -> None:
    own = report["own"]
    assert own.startswith("development\n\nkey_")
    assert "This key has no limits." in own
    assert re.search(r"Requests\n2 1 refused\n", own)
    assert re.search(r"Tokens out\n[1-9]", own)


def test_the_pages_lead_to_each_other(visit: Visit) -> None:
    url = visit.service.url
    assert visit.report["linked"] == [f"{url}/", f"{url}/usage", "_blank"]


def test_limits_say_what_is_left_and_when_they_reset(report: Report) -> None:
    for text in (
        "Models\ndefault, large\n",
        "Expires\n16 Feb 2027, ",
        "Budget of tokens, by the month\n\n188,800 of 1,000,000 left\n\n"
        "Resets on 1 Dec 2026, 00:00 (Europe/Berlin)\n",
        "Requests a minute\n\n48 of 60 left\n\nAll of it again in 73 s\n",
        "Requests at a time\n\n3 of 4 left\n\n1 running\n",
    ):
        assert text in report["full"]


def test_a_day_is_chosen_by_arrow_keys_and_by_the_pointer(report: Report) -> None:
    last, before, again, end, first, pointed, caption = report["chosen"]
    assert last.startswith("27 Nov 2026: ")
    assert re.fullmatch(
        r"26 Nov 2026: [\d,]+ requests, [\d,]+ tokens in \([\d,]+ cached\), [\d,]+ out", before
    )
    assert first.startswith("29 Oct 2026: ")
    assert (again, end, pointed, caption) == (last,) * 4


def test_a_long_span_is_shown_by_weeks(report: Report) -> None:
    last, text = report["weeks"]
    assert (last, text.split(":")[0]) == ("52", "21 Nov 2026 to 27 Nov 2026")


def test_what_the_chart_shows_is_in_tables_too(report: Report) -> None:
    models, days = report["tables"]
    assert models.splitlines()[0] == "Model\tRequests\tTokens in\tCached\tTokens out\tCost"
    assert [line.split("\t")[0] for line in models.splitlines()[1:]] == ["default", "large"]
    assert days.splitlines()[1].startswith("27 Nov 2026, large\t3\t2,000\t500\t6,400\t0.0028")


@pytest.mark.parametrize(
    ("case", "texts"),
    [
        ("spent", ("0 of 500 left", "it does not reset", "this text of it works until")),
        (
            "unlimited",
            ("This key has no limits.", "No requests in this time.", "None that is served", "<b>long"),
        ),
        ("unread", ("188,800 of", "The service is not ready", "cannot be read right now", "Retry")),
        ("unkept", ("188,800 of", "This API keeps no record.")),
        ("unavailable", ("The service is not ready", "cannot be checked right now", "Retry")),
        ("other", ("An API key is needed",)),
        ("keyless", ("No key is needed here", "This API requires no key.")),
    ],
)
def test_each_state_is_explained(report: Report, case: str, texts: tuple[str, ...]) -> None:
    for text in texts:
        assert text in report[case]


def test_everything_is_reached_by_tab_and_shows_that_it_has_the_focus(report: Report) -> None:
    assert [name for name, _ in report["focused"]] == [
        "Chat",
        "Docs",
        "Other key",
        "Refresh",
        "7 days30 days90 days",
        "Tokens by day",
        "By model",
        "By day",
    ]
    assert all(is_visible for _, is_visible in report["focused"])


def test_nothing_is_wider_than_the_screen(report: Report) -> None:
    assert report["phone"] == report["zoomed"] == {"page": 0, "outside": []}
    assert report["tapped"].startswith("29 Oct 2026: ")


def test_a_page_that_was_not_loaded_completely_says_so(report: Report) -> None:
    assert report["incomplete"] == [False, True]


def test_axe_finds_nothing(report: Report) -> None:
    assert len(report["axe"]) == 12
    assert {name: found for name, found in report["axe"].items() if found} == {}


def test_the_browser_connects_to_this_service_only_and_reports_nothing(visit: Visit) -> None:
    assert [url for _, url in visit.report["requests"] if not url.startswith(f"{visit.service.url}/")] == []
    assert visit.report["violations"] == []
    lines = [line for line in visit.report["console"] if line.startswith(("error", "uncaught"))]
    expected = "error: Failed to load resource: "  # what was provoked: 401, 404, 429, 503, no network
    assert [line for line in lines if not line.startswith(expected)] == []
