"""What becomes of requests when the engine's machine vanishes without a word; in a network of its own.

`unshare --map-root-user --net python -m tests.integration.chat.black_hole` prints, as JSON, the name of the
exception and the seconds that it took: of a request on a kept connection, and of a response that had begun.
"""

import asyncio
import json
import subprocess
import time
from unittest import mock

from functions.chat.engines import connection
from functions.chat.engines.connection import TransportError
from tests.integration.chat.caller import Caller

ADDRESS = "10.9.0.2"
# As the transport's own, but faster.
PROBES = (("TCP_KEEPIDLE", 1), ("TCP_KEEPINTVL", 1), ("TCP_USER_TIMEOUT", 1000))


def ip(*arguments: str) -> None:
    """Change the network."""
    subprocess.run(["ip", *arguments], check=True)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer each request of a connection; the response to `/half` is never completed."""
    while head := await reader.readuntil(b"\r\n\r\n"):
        missing = 100 if b"/half" in head else 0
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\nok" % (2 + missing))
        await writer.drain()


async def failure_of(client: Caller, path: str) -> tuple[str, float]:
    """Send a request that must fail; return how it does."""
    began = time.monotonic()
    try:
        await client.post(path)
    except TransportError as error:
        return type(error).__name__, time.monotonic() - began
    raise AssertionError("expected a failure, but got a response")


async def main() -> None:
    """Take the engine's address away while one connection is idle and one in the middle of a response."""
    ip("link", "set", "lo", "up")
    ip("address", "add", f"{ADDRESS}/32", "dev", "lo")
    server = await asyncio.start_server(answer, ADDRESS, 0)
    url = f"http://{ADDRESS}:{server.sockets[0].getsockname()[1]}"
    client = Caller(url, read_timeout_s=60)
    begun = asyncio.create_task(failure_of(client, "/half"))
    await client.post("/")
    ip("address", "delete", f"{ADDRESS}/32", "dev", "lo")
    ip("route", "add", "blackhole", f"{ADDRESS}/32")
    kept = await failure_of(client, "/")
    print(json.dumps({"kept": kept, "begun": await begun}))


if __name__ == "__main__":
    with mock.patch.object(connection, "_PROBES", PROBES):
        asyncio.run(main())
