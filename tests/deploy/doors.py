"""The addresses that a stack puts out, as ministack serves them: on its port, told apart by path or host."""

import re
from urllib.parse import urlsplit

import httpx

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
