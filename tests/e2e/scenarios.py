"""What pages do in a headless Chromium: the scenarios in `browser`, and a page of another origin for them."""

import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from infra.paths import ROOT


def seen_in_browser(scenario: str, *arguments: str, timeout_s: float = 50) -> Any:
    """Run a scenario, by its name; return what it has seen. Skips the test where there is no browser."""
    done = subprocess.run(
        ("node", f"tests/e2e/browser/{scenario}.mjs", *arguments),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=timeout_s,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    if "missing" in seen:
        pytest.skip("no browser: the pinned one is for Linux on x64, and no chromium or chrome is installed")
    return seen


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
