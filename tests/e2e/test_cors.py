"""Web pages of other origins call the whole service, in a headless Chromium that enforces CORS."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.scenarios import page, seen_in_browser
from tests.engines import events, schema
from tests.engines.behaviours import Chat, Sse
from tests.engines.scripted import scripted_engine
from tests.local_service import run_local

pytestmark = pytest.mark.slow
PACE_S = 0.1


@pytest.fixture(scope="module")
def results(_here: None) -> Iterator[tuple[Any, Any]]:
    """The results of two pages: one of an allowed origin, and one of another."""
    with (
        scripted_engine(models=["scripted"], behaviour=Chat(Sse(events.tokens(6, pace_s=PACE_S)))) as engine,
        page() as known,
        page() as unknown,
        run_local(BACKEND=engine.base_url, CORS_ORIGINS=known) as local,
    ):
        address = f"http://localhost:{local.port}"
        yield tuple(seen_in_browser("cors", address, local.service.key, known, unknown, timeout_s=40))


def test_an_allowed_page_reads_a_stream_as_it_comes(results: tuple[Any, Any]) -> None:
    stream = results[0]["stream"]
    assert stream["status"] == 200
    schema.validate_stream(stream["text"].encode())
    assert stream["tookMs"] > 3 * PACE_S * 1000


def test_it_reads_errors_and_ids_too(results: tuple[Any, Any]) -> None:
    error = results[0]["error"]
    assert (error["status"], error["json"]["error"]["code"]) == (404, "model_not_found")
    assert error["id"].startswith("req_")


def test_it_reads_todos(results: tuple[Any, Any]) -> None:
    assert results[0]["todos"]["json"] == {"data": {"__typename": "Query"}}


def test_another_page_gets_nothing(results: tuple[Any, Any]) -> None:
    assert results[1] == {call: {"refused": "TypeError"} for call in ("stream", "error", "todos")}
