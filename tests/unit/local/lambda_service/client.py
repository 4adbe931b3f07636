"""The client of a reply, which records what it gets."""

import asyncio

from infra.local.lambda_service.reply import FunctionReply


class Client:
    """A client that takes everything until it is full."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.is_full = False
        self._takes_more = asyncio.Event()

    def write(self, data: bytes) -> None:
        self.pieces.append(data)

    async def drain(self) -> None:
        await self._takes_more.wait()
        self.is_full = False

    def take_more(self) -> None:
        self._takes_more.set()


async def body(reply: FunctionReply) -> bytes:
    """Return a reply's whole body."""
    client = Client()
    last = await reply.pass_to(client)
    return b"".join(client.pieces) + last
