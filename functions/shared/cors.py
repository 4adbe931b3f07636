"""Which web pages may call a function from a browser.

Cookies play no part: a page that may call sends an API key of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from starlette.types import ASGIApp

from .environment import SettingsError

ALL = "*"
METHODS = ("GET", "HEAD", "POST")
# How long a browser may keep the permission; none keeps it for more than 2 hours.
MAX_AGE_S = 7200

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:[^\s/?#@\\:,*\[\]]+|\[[0-9a-f:]+\])(?::\d{1,5})?")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def origins_from(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Read `CORS_ORIGINS`: origins as browsers send them, or ("*",) for all.

    Raises: SettingsError.
    """
    text = (environ.get("CORS_ORIGINS") or "").strip()
    if text in ("", ALL):
        return (text,) if text else ()
    return tuple(_origin(each.strip().lower()) for each in text.split(","))


def with_cors(app: ASGIApp, origins: Sequence[str], *, exposed: Sequence[str] = ()) -> ASGIApp:
    """Let the pages of these origins call an app and read these headers of its responses.

    Any request header is allowed: SDKs send many of their own. So is the local network: for a page of the
    internet, Chrome requires that of a service on a laptop.
    """
    if not origins:
        return app
    from starlette.middleware.cors import CORSMiddleware  # here: it takes time to import

    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=METHODS,
        allow_headers=[ALL],
        expose_headers=exposed,
        max_age=MAX_AGE_S,
        allow_private_network=True,
    )


def _origin(text: str) -> str:
    if not _ORIGIN.fullmatch(text):
        raise SettingsError(
            f"CORS_ORIGINS: expected origins like https://chat.example, without a path, separated by commas, "
            f"or * alone, but got {text!r}."
        )
    return text.removesuffix(_DEFAULT_PORTS.get(text.partition(":")[0], ""))  # as browsers leave it out
