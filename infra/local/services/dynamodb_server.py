"""The process of the keys' database: moto's DynamoDB, in memory, with the table in it.

It handles one request at a time. Moto reads an item and writes it without a lock: of simultaneous conditional
updates too many would succeed, which DynamoDB rules out. Run as `python -m
infra.local.services.dynamodb_server DESCRIPTOR TABLE`, of a listening socket, with the only key id that it
accepts in AWS_ACCESS_KEY_ID; prints one line when it is ready.
"""

import gc
import http
import json
import os
import re
import secrets
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from moto.moto_server import werkzeug_app
from werkzeug.serving import make_server
from werkzeug.test import Client

from infra.local.loopback import HOST, is_named
from infra.local.services import moto_queries, moto_transactions
from infra.local.settings import REGION

# Of DynamoDB alone: moto is all of AWS, and goes by this.
_KEY_ID = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]*)/[^/]*/[^/]*/dynamodb/")


class Guarded:
    """A WSGI application for those who know a key id; never for web pages.

    Moto itself accepts any credentials, lets every page read its responses, and empties the database on
    `POST /moto-api/reset`.
    """

    def __init__(self, app: Any, key_id: str) -> None:
        self._app, self._key_id = app, key_id

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if refusal := self._refusal(environ):
            status, kind, message = refusal
            body = json.dumps({"__type": kind, "message": message}).encode()
            fields = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
            start_response(f"{status.value} {status.phrase}", fields)
            return [body]
        reply: Iterable[bytes] = self._app(environ, start_response)
        return reply

    def _refusal(self, environ: Mapping[str, Any]) -> tuple[http.HTTPStatus, str, str] | None:
        """Return the status, the error's type and its text, None for a request that may pass."""
        host = environ.get("HTTP_HOST", "")
        if not is_named(host):
            message = f"Expected a host name of this machine, but got {host!r}."
            return http.HTTPStatus.MISDIRECTED_REQUEST, "MisdirectedRequest", message
        of_page = "HTTP_ORIGIN" in environ or "HTTP_SEC_FETCH_SITE" in environ
        if of_page or environ["REQUEST_METHOD"] != "POST" or environ["PATH_INFO"] != "/":
            message = "Expected a POST to / by an AWS SDK; web pages are not served."
            return http.HTTPStatus.FORBIDDEN, "AccessDeniedException", message
        sent = _KEY_ID.match(environ.get("HTTP_AUTHORIZATION", ""))
        if not secrets.compare_digest((sent[1] if sent else "").encode(), self._key_id.encode()):
            message = (
                "Expected the AWS_ACCESS_KEY_ID of this run, which `make run` prints with the keys command."
            )
            return http.HTTPStatus.BAD_REQUEST, "UnrecognizedClientException", message
        return None


class OneAtATime:
    """A WSGI application that handles one request at a time, transactions included."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._lock:
            reply: Iterable[bytes] = self._app(environ, start_response)
            return reply


class QuietHandler(werkzeug_app.MotoRequestHandler):
    """Writes no line per request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def main(descriptor: str, table: str, fill: Callable[[], None] = lambda: None) -> None:
    """Serve until killed; `fill` puts items into the table before."""
    gc.set_threshold(100_000, 50, 100)  # items are no garbage: looking for some took most of a query's time
    key_id = os.environ["AWS_ACCESS_KEY_ID"]
    moto_transactions.install()
    moto_queries.install()
    setattr(werkzeug_app, "DISABLE_GLOBAL_CORS", True)  # noqa: B010 - moto does not export it
    app = OneAtATime(werkzeug_app.DomainDispatcherApplication(werkzeug_app.create_backend_app))
    signed = f"AWS4-HMAC-SHA256 Credential={key_id}/20260101/{REGION}/dynamodb/aws4_request"
    create = {"Authorization": signed, "X-Amz-Target": "DynamoDB_20120810.CreateTable"}
    made = Client(app).post("/", headers=create, data=table)
    if made.status_code != 200:
        sys.exit(made.text)
    fill()
    guarded = Guarded(app, key_id)
    server = make_server(HOST, 0, guarded, threaded=True, request_handler=QuietHandler, fd=int(descriptor))
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
