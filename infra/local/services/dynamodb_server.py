"""The process of the keys' database: moto's DynamoDB, in memory, with the table in it.

It handles one request at a time. Moto reads an item and writes it without a lock: of simultaneous conditional
updates too many would succeed, which DynamoDB rules out. Run as `python -m
infra.local.services.dynamodb_server DESCRIPTOR`, of a listening socket; prints one line when it is ready.
"""

import sys
import threading
from collections.abc import Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server
from werkzeug.test import Client

from infra.local.settings import REGION

# The part of a signature that moto reads.
_SIGNED = f"AWS4-HMAC-SHA256 Credential=local/20260101/{REGION}/dynamodb/aws4_request"
_CREATE = {"Authorization": _SIGNED, "X-Amz-Target": "DynamoDB_20120810.CreateTable"}


class OneAtATime:
    """A WSGI application that handles one request at a time."""

    def __init__(self, app: Any) -> None:
        self._app = app
        self._lock = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        with self._lock:
            reply: Iterable[bytes] = self._app(environ, start_response)
            return reply


class QuietHandler(MotoRequestHandler):
    """Writes no line per request."""

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


def main(descriptor: str, table: str) -> None:
    """Serve until killed."""
    app = OneAtATime(DomainDispatcherApplication(create_backend_app))
    made = Client(app).post("/", headers=_CREATE, data=table)
    if made.status_code != 200:
        sys.exit(made.text)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=QuietHandler, fd=int(descriptor))
    print("ready", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
