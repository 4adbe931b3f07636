"""A function's reply, as text.

A streamed reply is a JSON prelude, eight zero bytes and the body; a buffered one is JSON. The emulator
returns either as it came, once it is complete.
"""

import base64
import json
from dataclasses import dataclass, field
from typing import Self

from infra.emulator.errors import CannotInvoke

_PRELUDE_END = b"\0" * 8


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A reply; `status` is None where the event was not of an HTTP request."""

    status: int | None
    headers: dict[str, str] = field(default_factory=dict)
    cookies: list[str] = field(default_factory=list)
    body: bytes

    @classmethod
    def read(cls, content: bytes) -> Self:
        """Read what the emulator returned.

        Raises: CannotInvoke, where the function failed.
        """
        prelude, streamed, body = content.partition(_PRELUDE_END)
        try:
            document = json.loads(prelude)
        except ValueError:
            raise CannotInvoke(f"The function did not reply: {content.decode(errors='replace')}") from None
        if isinstance(document, dict) and "errorType" in document:
            raise CannotInvoke(
                f"The function failed: {document['errorType']}: {document.get('errorMessage')}"
            )
        if not isinstance(document, dict) or "statusCode" not in document:
            return cls(status=None, body=content)
        multiple = {name: ", ".join(each) for name, each in (document.get("multiValueHeaders") or {}).items()}
        if not streamed:
            text = document.get("body") or ""
            body = base64.b64decode(text) if document.get("isBase64Encoded") else str(text).encode()
        return cls(
            status=document["statusCode"],
            headers=document.get("headers") or multiple,
            cookies=document.get("cookies") or [],
            body=body,
        )

    def text(self) -> str:
        """Return it as it would be on the wire."""
        head = [] if self.status is None else [f"HTTP/1.1 {self.status}"]
        head += [f"{name}: {value}" for name, value in self.headers.items()]
        head += [f"set-cookie: {cookie}" for cookie in self.cookies]
        try:
            body = self.body.decode()
        except UnicodeDecodeError:
            body = f"({len(self.body)} bytes that are no text)"
        return "\n".join([*head, *([""] if head else []), body])
