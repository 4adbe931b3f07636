"""Requests as a REST API shows them to its function, and a browser that follows its links."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from lambda_stream import StreamingHandler
from starlette.types import ASGIApp

_EVENTS = Path(__file__).parent / "events"


@dataclass(frozen=True)
class Reply:
    """One whole reply."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True)
class RestApi:
    """An API, called by its URLs: at its own address, below a stage, or at a domain, below a base path."""

    handler: StreamingHandler
    url: str
    own_address: bool

    def get(self, url: str, **headers: str) -> Reply:
        """Follow a link; one that leads elsewhere is not found."""
        split, base = urlsplit(url), urlsplit(self.url)
        if split.netloc != base.netloc or not f"{split.path}/".startswith(f"{base.path}/"):
            return Reply(403, {}, b'{"message":"Missing Authentication Token"}')
        reply = self.handler(self._event(split.path, headers), SimpleNamespace(aws_request_id="1"))
        body = reply["body"].encode()
        return Reply(
            reply["statusCode"],
            {**reply["headers"], **{name: values[-1] for name, values in reply["multiValueHeaders"].items()}},
            base64.b64decode(body) if reply["isBase64Encoded"] else body,
        )

    def _event(self, path: str, headers: Mapping[str, str]) -> dict[str, Any]:
        event: dict[str, Any] = json.loads((_EVENTS / "rest_api_v1_stage.json").read_text())
        own = path.removeprefix(urlsplit(self.url).path) or "/"
        host = urlsplit(self.url).netloc
        sent = {**event["headers"], "Host": host, **headers}
        return {
            **event,
            "path": own if self.own_address else path,
            "headers": sent,
            "multiValueHeaders": {name: [value] for name, value in sent.items()},
            "pathParameters": {"proxy": own.strip("/")},
            "requestContext": {**event["requestContext"], "path": path, "domainName": host},
        }


@contextmanager
def rest_api(app: ASGIApp, url: str, *, own_address: bool) -> Iterator[RestApi]:
    """Serve an app at a URL, on the stock runtime."""
    handler = StreamingHandler(app)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(handler.start())
    try:
        yield RestApi(handler, url, own_address)
    finally:
        handler.close()
        loop.close()
