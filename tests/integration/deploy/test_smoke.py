"""The smoke test with real servers: when a chunk arrives, what is signed, how long it waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from botocore.credentials import ReadOnlyCredentials

from infra.smoke.checks import Checks, Places
from infra.smoke.client import Api, Failed, Signer

EVENT = b'data: {"choices": []}\n\n'
PLACES = Places("", "", "")


class Handler(BaseHTTPRequestHandler):
    """Streams events 0.1 s apart; or collects them, as a gateway that cannot stream; or says nothing."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        parts = [EVENT] * 4 + [b"data: [DONE]\n\n"]
        if self.path.startswith("/silent"):
            time.sleep(1)
            return
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.send_header("x-signed", self.headers.get("authorization", "").partition(" ")[0])
        self.send_header("x-host", self.headers["host"])
        self.send_header("x-key", str("x-api-key" in self.headers))
        self.end_headers()
        if self.path.startswith("/collected"):
            time.sleep(0.1 * len(parts))
            parts = [b"".join(parts)]
        for part in parts:
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
            time.sleep(0.1)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Print nothing."""


@contextmanager
def serving() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with serving() as url:
        yield url


def test_a_stream_that_arrives_as_it_is_made(url: str) -> None:
    api = Api(f"{url}streamed/")
    assert "first chunk after 0.0" in Checks(api, PLACES).stream(api)


def test_a_stream_that_is_collected_on_its_way_fails(url: str) -> None:
    api = Api(f"{url}collected/")
    with pytest.raises(Failed, match="collected on its way"):
        Checks(api, PLACES).stream(api)


def test_a_server_that_says_nothing_is_not_waited_for_longer(url: str) -> None:
    began_s = time.monotonic()
    with pytest.raises(Failed, match=r"within 0\.2 s"):
        Api(f"{url}silent/").post("v1", {}, timeout_s=0.2)
    assert time.monotonic() - began_s < 0.9


def test_a_stream_without_an_end_is_not_read_for_longer(url: str) -> None:
    with pytest.raises(Failed, match=r"within 0\.25 s"):
        Api(f"{url}streamed/").post("v1", {}, timeout_s=0.25)


def test_no_server() -> None:
    with serving() as url:
        pass
    with pytest.raises(Failed, match=r"the connection failed: .*refused"):
        Api(url).get("health", timeout_s=5)


def test_a_local_aws_gets_signed_requests_for_their_own_host(url: str) -> None:
    signer = Signer(ReadOnlyCredentials("id", "secret", None), "us-east-1")
    api = Api("https://id.lambda-url.us-east-1.on.aws/", "sk-a", signer, local_aws=url)
    headers = api.post("v1", {}, timeout_s=5).headers
    assert headers["x-signed"] == "AWS4-HMAC-SHA256"
    assert headers["x-host"] == "id.lambda-url.us-east-1.on.aws"
    assert headers["x-key"] == "True"
