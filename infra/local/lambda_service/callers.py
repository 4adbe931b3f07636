"""Which callers the gateway serves: programs of this machine, its own pages, and allowed web pages.

The gateway requires no key by default, and a browser carries the requests of any page to it. So the Host must
be this machine's (a page that resolves its own name to 127.0.0.1 sends that name), and a page of another
origin is refused before a function runs, whether or not it could read the response. Browsers name a page's
origin in `Origin`; where they leave it out, `Sec-Fetch-Site` says that there is one. Other programs send
neither.

Source: RFC 9110, 7.2 and 15.5.20; Fetch standard, "Origin header"; W3C Fetch Metadata Request Headers; read
        2026-11-26.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.lambda_service.failures import NotServed
from infra.local.loopback import NAMES, is_named

_MAX_HEADER_BYTES = 64 * 1024
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True)
class Callers:
    """Those who may call.

    Shape:  `hosts` are further names for this machine, without a port; `origins` are those of web pages, or
            "*" for all.
    """

    hosts: Collection[str] = ()
    origins: Collection[str] = ()

    def check(self, scope: Mapping[str, Any]) -> None:
        """Check a request's headers.

        Raises: NotServed.
        """
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if sum(len(name) + len(value) for name, value in scope["headers"]) > _MAX_HEADER_BYTES:
            message = f"Expected headers of at most {_MAX_HEADER_BYTES} bytes: send less."
            raise NotServed(431, message, "headers_too_large")
        if len(hosts) > 1 or (not hosts and scope["http_version"] != "1.0"):
            raise NotServed(400, f"Expected one Host header, but got {len(hosts)}.", "not_one_host")
        if hosts and not is_named(hosts[0], {*NAMES, *(name.lower() for name in self.hosts)}):
            raise NotServed(
                421,
                f"This service does not answer to the host {hosts[0]!r}. Use localhost, or start it with"
                " that name: make run HOSTS=<name>",
                "foreign_host",
            )
        if scope["method"] != "OPTIONS" and self._is_of_a_foreign_page(scope["method"], headers):
            raise NotServed(
                403,
                f"Web pages of {headers.get('origin', 'another site')} may not call this service. Where they"
                " should, start it with their origin: make run CORS_ORIGINS=<origin>",
                "foreign_page",
            )

    def _is_of_a_foreign_page(self, method: str, headers: Mapping[str, str]) -> bool:
        origin = headers.get("origin")
        if origin is not None:
            own = origin.partition("://")[2] == headers.get("host", "").lower()
            return not (own or "*" in self.origins or _plain(origin) in map(_plain, self.origins))
        opened = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest", "document")
        opened_in_a_window = method in ("GET", "HEAD") and opened == ("navigate", "document")
        foreign = headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
        return foreign and not opened_in_a_window and "*" not in self.origins


def _plain(origin: str) -> str:
    """Return an origin as browsers send it."""
    origin = origin.strip().lower()
    return origin.removesuffix(_DEFAULT_PORTS.get(origin.partition(":")[0], ""))
