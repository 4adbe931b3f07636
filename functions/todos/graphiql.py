"""GraphiQL: the page at /graphql and its files, all served from here."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from string import Template
from uuid import uuid4

from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response

_MEDIA_TYPES = {".js": "text/javascript", ".css": "text/css", ".txt": "text/plain"}
# What the page loads: placeholder in the template → name of the file, less its version.
_PARTS = {
    "react": r"react-[\d.]+\.js",
    "react_dom": r"react-dom-[\d.]+\.js",
    "graphiql": r"graphiql-[\d.]+\.js",
    "style": r"graphiql-[\d.]+\.css",
}
_POLICY = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'; "
    "script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; img-src data:; font-src data:"
)


class GraphiQL:
    """The page and the files that it loads, from a folder that `infra/pages.py` fills."""

    def __init__(self, directory: Path) -> None:
        known = directory.iterdir() if directory.is_dir() else ()
        self._files = {path.name: path for path in known if path.suffix in _MEDIA_TYPES}
        self._template = Template(Path(__file__).with_name("graphiql.html").read_text())

    def page(self) -> Response:
        """Return the page, with a policy that lets it connect to this server only."""
        if len(self._parts) < len(_PARTS):
            return PlainTextResponse("GraphiQL is not installed here: run infra/pages.py.", 404)
        nonce = uuid4().hex
        headers = {
            "content-security-policy": _POLICY.format(nonce=nonce),
            "cache-control": "no-cache",
            "vary": "accept",
            "referrer-policy": "no-referrer",
            "x-content-type-options": "nosniff",
        }
        return HTMLResponse(self._template.substitute(self._parts, nonce=nonce), headers=headers)

    def file(self, name: str) -> Response | None:
        """Return a file. Caches may keep it for ever, since its name contains its version."""
        if name not in self._files:
            return None
        headers = {
            "cache-control": "public, max-age=31536000, immutable",
            "x-content-type-options": "nosniff",
        }
        path = self._files[name]
        return FileResponse(path, headers=headers, media_type=_MEDIA_TYPES[path.suffix])

    @cached_property
    def _parts(self) -> dict[str, str]:
        """Return the names of the files that the page loads, of those that are installed."""
        return {
            part: name for part, form in _PARTS.items() for name in self._files if re.fullmatch(form, name)
        }
