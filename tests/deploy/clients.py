"""Clients of the addresses in a stack's outputs: ministack serves all on its port, by path or host."""

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

_REST_API = re.compile(r"(?P<api>\w+)\.execute-api\.")
_TIMEOUT_S = 30.0


def client_of(url: str, endpoint: str, key: str | None = None) -> httpx.Client:
    """Return a client of a REST API or a Function URL, to be closed by its user."""
    parts = urlsplit(url)
    headers = {"authorization": f"Bearer {key}"} if key else {}
    if api := _REST_API.match(parts.netloc):
        base = f"{endpoint}/_aws/execute-api/{api['api']}{parts.path}"
    else:
        base, headers["host"] = f"{endpoint}{parts.path}", parts.netloc
    return httpx.Client(base_url=base, headers=headers, timeout=_TIMEOUT_S, trust_env=False)


class Signature(httpx.Auth):
    """AWS's signature of version 4, as `AWS_IAM` requires it; the key moves to `x-api-key`."""

    requires_request_body = True

    def __init__(self, access_key: str, secret_key: str, region: str) -> None:
        self._signer = SigV4Auth(Credentials(access_key, secret_key), "lambda", region)

    def auth_flow(self, request: httpx.Request) -> Iterator[httpx.Request]:  # type: ignore[override]
        """Move the key, and sign."""
        key = request.headers.pop("authorization").removeprefix("Bearer ")
        headers = {"host": request.headers["host"], "x-api-key": key}
        address = f"https://{headers['host']}{request.url.raw_path.decode()}"
        signed = AWSRequest(request.method, address, data=request.content, headers=headers)
        self._signer.add_auth(signed)
        request.headers.update(dict(signed.headers))
        yield request
