"""Requests to a deployed API, each within a time: their status, their body, and when their parts arrived.

Only the standard library: a client that collects a reply before it hands it on could not measure that.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

_CONNECT_S = 10.0
_SHOWN = 300


class Failed(Exception):
    """A step of the smoke test failed; the text has what was expected, and what came."""


@dataclass(frozen=True)
class Signer:
    """Who signs requests of a Function URL whose authorisation is `AWS_IAM`."""

    credentials: ReadOnlyCredentials
    region: str


@dataclass(frozen=True)
class Reply:
    """A reply, or what has arrived of it.

    Shape:  `parts` of its body, with the time of each in `arrivals`. `took_s`: until its end.
    Units:  s since the request.
    """

    status: int
    headers: Mapping[str, str]
    parts: tuple[bytes, ...]
    arrivals: tuple[float, ...]
    took_s: float

    @property
    def body(self) -> bytes:
        return b"".join(self.parts)

    def json(self) -> Any:
        """Return its body as JSON.

        Raises: Failed.
        """
        try:
            return json.loads(self.body)
        except ValueError:
            raise Failed(f"expected JSON, but got {self.shown()}") from None

    def shown(self) -> str:
        """Return its status and the beginning of its body, on one line."""
        text = " ".join(self.body.decode(errors="replace").split())
        return f"{self.status}: {text[:_SHOWN]}" if text else f"{self.status} without a body"


@dataclass(frozen=True)
class Api:
    """One address of the API: a REST API's, a Function URL, or that of `make run`.

    Shape:  `url` ends with a slash. `key`: "" for none. `signer`: None: requests are not signed. `local_aws`:
            the address of an AWS on this machine, which serves all hosts; None: the URL's own host does.
    """

    url: str
    key: str = ""
    signer: Signer | None = None
    local_aws: str | None = None

    def get(self, path: str, *, timeout_s: float) -> Reply:
        """Send a GET request.

        Raises: Failed.
        """
        return self.send("GET", path, None, timeout_s=timeout_s)

    def post(self, path: str, body: Any, *, timeout_s: float) -> Reply:
        """Send a POST request with a body in JSON.

        Raises: Failed.
        """
        return self.send("POST", path, body, timeout_s=timeout_s)

    def send(self, method: str, path: str, body: Any, *, timeout_s: float) -> Reply:
        """Send a request, and read the reply to its end.

        Raises: Failed, where there is none in time, or it breaks off.
        """
        url = f"{self.url}{path}"
        data = b"" if body is None else json.dumps(body).encode()
        began_s = time.monotonic()
        server, parts_of = urlsplit(self.local_aws or self.url), urlsplit(url)
        kind = http.client.HTTPSConnection if server.scheme == "https" else http.client.HTTPConnection
        connection = kind(server.hostname or "", server.port, timeout=_CONNECT_S)
        path = f"{parts_of.path or '/'}{'?' if parts_of.query else ''}{parts_of.query}"
        try:
            connection.connect()
            # Kept: a connection that its server closes forgets its socket once the headers have come.
            stream = connection.sock
            stream.settimeout(timeout_s)
            connection.request(method, path, data or None, self._headers(method, url, data))
            response = connection.getresponse()
            parts = list(_parts(stream, response, began_s + timeout_s, began_s))
        except TimeoutError:
            raise Failed(
                f"expected a reply of {url} within {timeout_s:g} s, but got none, or not its end"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            text = str(error) or type(error).__name__
            raise Failed(f"expected a reply of {url}, but the connection failed: {text}") from None
        finally:
            connection.close()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Reply(
            response.status,
            headers,
            tuple(part for _, part in parts),
            tuple(at_s for at_s, _ in parts),
            time.monotonic() - began_s,
        )

    def _headers(self, method: str, url: str, data: bytes) -> dict[str, str]:
        headers = {"host": urlsplit(url).netloc, "accept": "application/json, text/event-stream"}
        if data:
            headers["content-type"] = "application/json"
        if self.key:
            headers |= {"x-api-key": self.key} if self.signer else {"authorization": f"Bearer {self.key}"}
        if self.signer:
            request = AWSRequest(method, url, data=data, headers=headers)
            SigV4Auth(self.signer.credentials, "lambda", self.signer.region).add_auth(request)
            headers = {**headers, **dict(request.headers)}
        return headers


def _parts(
    stream: socket.socket, response: http.client.HTTPResponse, until_s: float, began_s: float
) -> Iterator[tuple[float, bytes]]:
    """Yield each part of a reply, as it arrives, with the time since the request.

    Raises: TimeoutError.
    """
    while True:
        left_s = until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        stream.settimeout(left_s)
        part = response.read1(65536)
        if not part:
            return
        yield time.monotonic() - began_s, part
