"""Web pages of other origins call the whole service, in a headless Chromium that enforces CORS."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from infra.paths import ROOT
from tests.engines import events, schema
from tests.engines.behaviours import Chat, Sse
from tests.engines.scripted import scripted_engine
from tests.local_service import run_local

pytestmark = pytest.mark.slow
SCENARIO = ROOT / "tests/e2e/browser/cors.mjs"
PACE_S = 0.1


class _Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>A page</title>")

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def page() -> Iterator[str]:
    """Serve a web page; give its origin."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Page) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


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
        done = subprocess.run(
            ("node", str(SCENARIO), address, local.service.key, known, unknown),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=40,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout)
        if "missing" in seen:
            pytest.skip(
                "no browser: the pinned one is for Linux on x64, and no chromium or chrome is installed"
            )
        yield tuple(seen)


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
