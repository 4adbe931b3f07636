"""The pages for browsers: chat at `/`, usage at `/usage`, and the files that they load from `/page/<digest>`.

That address contains a digest of all files, so that browsers may keep them for ever.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from functools import cache
from html import escape
from pathlib import Path
from string import Template

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from functions.shared.frozen import Frozen

_OWN = Path(__file__).parents[1] / "page"
_TYPES = {".mjs": "text/javascript", ".js": "text/javascript", ".txt": "text/plain"}
_VENDORED = frozenset({"lit-html.js", "marked.js", "purify.js", "highlight.js"})
# Whatever a model replies: no script of it runs, and nothing is loaded from elsewhere.
_POLICY = (
    "default-src 'none'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'; connect-src 'self'; "
    "script-src 'self'; style-src '{style}'; img-src data:; "
    "require-trusted-types-for 'script'; trusted-types {makers}"
)


class _Page(Frozen):
    """One page. `makers`: which libraries may make HTML of text in it."""

    template: str
    style: str
    makers: str

    @classmethod
    def read(cls, name: str, makers: str) -> _Page:
        style = "".join((_OWN / f"{each}.css").read_text() for each in ("shared", name))
        return cls((_OWN / f"{name}.html").read_text(), style, makers)


class BrowserPages:
    """The pages and their own files, and the vendored ones in a folder that `infra/pages.py` fills."""

    def __init__(self, vendored: Path) -> None:
        folders = [folder for folder in (_OWN, vendored) if folder.is_dir()]
        known = {path.name: path for folder in folders for path in folder.iterdir() if path.suffix in _TYPES}
        self._files = {name: known[name].read_bytes() for name in sorted(known)}
        self._pages = {
            "chat": _Page.read("chat", "lit-html dompurify"),
            "usage": _Page.read("usage", "lit-html"),
        }
        digest = hashlib.sha256(repr(self._pages).encode())
        for name, content in self._files.items():
            digest.update(f"\0{name}\0{len(content)}\0".encode() + content)
        self._digest = digest.hexdigest()[:16]

    def document(self, name: str, request: Request) -> Response:
        """Return the document of a page, with a policy that lets it connect to this server only."""
        if missing := _VENDORED - self._files.keys():
            return PlainTextResponse(
                f"The pages are not installed here ({', '.join(sorted(missing))}): run infra/pages.py.",
                404,
            )
        page = self._pages[name]
        style = base64.b64encode(hashlib.sha256(page.style.encode()).digest()).decode()
        etag = f'"{self._digest}"'
        headers = {
            "content-security-policy": _POLICY.format(style=f"sha256-{style}", makers=page.makers),
            "cross-origin-opener-policy": "same-origin",
            "referrer-policy": "no-referrer",
            "cache-control": "no-cache",
            "vary": "accept",
            "etag": etag,
        }
        if etag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        # Addresses begin at the root that API Gateway names, else where the document is.
        root, sent = request.scope.get("root_path", ""), request.scope.get("raw_path") or b"/"
        base = f"{root}/" if root else "../" if len(sent) > 1 and sent.endswith(b"/") else "./"
        values = {"base": escape(base), "files": f"page/{self._digest}"}
        return HTMLResponse(Template(page.template).substitute(values, style=page.style), headers=headers)

    def file(self, request: Request) -> Response:
        """Return a file of the request's path, and have it kept unless the document was another version's."""
        name, digest = request.path_params["name"], request.path_params["digest"]
        if name not in self._files:
            return PlainTextResponse("There is no such file.", 404, headers={"cache-control": "no-store"})
        kept = "public, max-age=31536000, immutable" if digest == self._digest else "no-store"
        headers = {"cache-control": kept, "vary": "accept-encoding"}
        content = self._files[name]
        if "gzip" in request.headers.get("accept-encoding", ""):
            content, headers["content-encoding"] = gzip.compress(content, 6, mtime=0), "gzip"
        return Response(content, headers=headers, media_type=_TYPES[Path(name).suffix])


@cache
def pages_in(vendored: Path) -> BrowserPages:
    """Return the pages with the vendored files of this folder, which are read once."""
    return BrowserPages(vendored)
