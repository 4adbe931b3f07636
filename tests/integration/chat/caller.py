"""A caller of the engines' transport."""

from dataclasses import dataclass
from typing import Self

from functions.chat.engines.engine import Body
from functions.chat.engines.transport import EngineTransport, Request, Response


@dataclass(frozen=True)
class Whole:
    """A response that was read to its end."""

    status: int
    headers: dict[str, str]
    content: bytes


class Caller:
    """Sends requests to one engine, by default over a transport of its own."""

    def __init__(
        self, base_url: str, transport: EngineTransport | None = None, *, read_timeout_s: float = 2
    ) -> None:
        self.base_url, self.transport = base_url, transport or EngineTransport(None)
        self.read_timeout_s = read_timeout_s

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.transport.close()

    async def send(self, path: str, body: Body = b"") -> Response:
        """Send a POST; return the head of its response."""
        return await self.transport.send(
            Request(
                method="POST",
                url=self.base_url + path,
                headers={},
                connect_timeout_s=2,
                read_timeout_s=self.read_timeout_s,
                body=body,
            )
        )

    async def post(self, path: str, body: Body = b"") -> Whole:
        """Send a POST; return its whole response."""
        response, content = await self.send(path, body), b""
        try:
            while data := await response.read():
                content += data
        finally:
            response.close()
        return Whole(response.status, response.headers, content)
