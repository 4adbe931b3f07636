"""What HTTP clients send to the gateway, odd and wrong requests included."""

import asyncio
from contextlib import suppress

import pytest

from tests.integration.local.lambda_service.scripted_service import Running, get, scripted_service

HOST = b"Host: localhost\r\n"
END = b"Connection: close\r\n\r\n"
CLOSE = HOST + b"Connection: close\r\n"
CLOSED = HOST + END

# A request, and the status of the response. Each is sent to one service: it outlives them all.
REQUESTS = {
    "HTTP/1.1 without a host": (b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400),
    "two hosts": (b"GET / HTTP/1.1\r\nHost: a\r\n" + CLOSED, 400),
    "another host": (b"GET / HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n", 421),
    "a host within the target": (
        b"GET http://localhost:1/ HTTP/1.1\r\nHost: a\r\n" + END,
        200,
    ),
    "a target without a path": (b"GET http://localhost?a HTTP/1.1\r\n" + CLOSED, 200),
    "another host within the target": (b"GET http://evil.example/ HTTP/1.1\r\n" + CLOSED, 421),
    "a tunnel": (b"CONNECT localhost:443 HTTP/1.1\r\n" + CLOSED, 400),
    "no target": (b"OPTIONS * HTTP/1.1\r\n" + CLOSED, 403),
    "a target without a slash": (b"GET ?x HTTP/1.1\r\n" + CLOSED, 400),
    "a path that is not ASCII": ("GET /ü HTTP/1.1\r\n".encode() + CLOSED, 400),
    "a path that decodes to nonsense": (b"GET /%zz%ff%00 HTTP/1.1\r\n" + CLOSED, 200),
    "a target of 100 kB": (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + CLOSED, 400),
    "a header of 70 kB": (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\n" + CLOSED, 431),
    "a header without an end": (b"GET / HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 1_500_000, 400),
    "length and chunks": (
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n" + CLOSE + b"\r\n0\r\n\r\n",
        400,
    ),
    "two lengths": (
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n" + CLOSED,
        400,
    ),
    "a negative length": (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n" + CLOSED, 400),
    "another encoding": (b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n" + CLOSED, 400),
    "a malformed chunk": (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + CLOSE + b"\r\nzz\r\n", 400),
    "a NUL in a header": (b"GET / HTTP/1.1\r\nX: a\x00b\r\n" + CLOSED, 400),
    "a folded header": (b"GET / HTTP/1.1\r\nX: a\r\n b\r\n" + CLOSED, 400),
    "a space before the colon": (b"GET / HTTP/1.1\r\nX : a\r\n" + CLOSED, 400),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "TLS": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "an upgrade": (
        b"GET / HTTP/1.1\r\n" + HOST + b"Connection: upgrade, close\r\nUpgrade: h2c\r\n\r\n",
        200,
    ),
}

FETCH = """
const say = (text) => process.stdout.write(text);
fetch("%s", { headers: { connection: "%s" } })
  .then(async ({ body }) => { for await (const piece of body) say(Buffer.from(piece).toString()); })
  .then(() => say("|complete"), (error) => say(`|${error}`));
"""


async def exchange(port: int, request: bytes) -> bytes:
    """Send bytes; return all that comes back, up to the end of the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        writer.write(request)
        async with asyncio.timeout(5):
            with suppress(ConnectionError):
                while data := await reader.read(65536):
                    received += data
    finally:
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
    return received


def test_every_odd_request_has_its_status_and_none_ends_the_gateway() -> None:
    async def run() -> None:
        async with scripted_service() as running:
            got = {
                name: (await exchange(running.port, request)).split(b" ")[1:2]
                for name, (request, _) in REQUESTS.items()
            }
            assert got == {name: [b"%d" % status] for name, (_, status) in REQUESTS.items()}
            assert (await get(running.port, "/")).status == 200

    asyncio.run(run())


@pytest.mark.parametrize("fields", [b"", CLOSE, b"Connection: keep-alive\r\n"])
def test_a_caller_with_http_1_0_gets_a_stream_that_ends_with_the_connection(fields: bytes) -> None:
    async def run() -> None:
        async with scripted_service() as running:
            response = await exchange(running.port, b"GET /stream HTTP/1.0\r\n" + fields + b"\r\n")
            head, _, body = response.partition(b"\r\n\r\n")
            assert body == b"piece 0\npiece 1\npiece 2\n"
            assert b"transfer-encoding" not in head
            assert b"connection:" not in head
            whole = await exchange(running.port, b"GET / HTTP/1.0\r\n" + fields + b"\r\n")
            assert b"content-length" in whole.partition(b"\r\n\r\n")[0]
            head_only = await exchange(running.port, b"HEAD /stream HTTP/1.0\r\n" + fields + b"\r\n")
            assert head_only.endswith(b"\r\n\r\n")

    asyncio.run(run())


def test_a_stream_to_http_1_0_that_broke_off_is_reset() -> None:
    async def run() -> None:
        async with scripted_service() as running:
            reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
            writer.write(b"GET /crash-midway?pause=0.1 HTTP/1.0\r\n\r\n")
            assert (await reader.readuntil(b"beginning")).startswith(b"HTTP/1.1 200")
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()

    asyncio.run(run())


# A stream says nothing of the connection's end: with `Connection: close`, fetch takes a cut one as complete.
def test_only_a_response_with_a_length_says_that_the_connection_closes() -> None:
    async def run() -> None:
        async with scripted_service() as running:
            for target, end in (("/stream", b"\r\n0\r\n\r\n"), ("/crash-midway", b"the beginning\r\n")):
                response = await exchange(running.port, b"GET %b HTTP/1.1\r\n" % target.encode() + CLOSED)
                assert b"connection:" not in response
                assert response.endswith(end)
            assert b"connection: close" in await exchange(running.port, b"GET / HTTP/1.1\r\n" + CLOSED)

    asyncio.run(run())


@pytest.mark.parametrize("connection", ["close", "keep-alive"])
def test_a_stream_that_broke_off_is_an_error_to_fetch_in_node(connection: str) -> None:
    async def run() -> None:
        async with scripted_service() as running:
            script = FETCH % (f"http://localhost:{running.port}/crash-midway", connection)
            node = await asyncio.create_subprocess_exec("node", "-e", script, stdout=asyncio.subprocess.PIPE)
            out, _ = await node.communicate()
            assert out == b"the beginning|TypeError: terminated"

    asyncio.run(run())


def test_a_client_that_expects_100_continue_gets_it() -> None:
    request = b"POST / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 2\r\n" + CLOSE + b"\r\nhi"

    async def run() -> None:
        async with scripted_service() as running:
            response = await exchange(running.port, request)
            assert response.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK")

    asyncio.run(run())


def test_requests_that_are_sent_at_once_are_answered_one_after_the_other() -> None:
    request = b"GET /stream?count=1 HTTP/1.1\r\n" + HOST + b"\r\n"

    async def run() -> None:
        async with scripted_service() as running:
            response = await exchange(running.port, request * 2 + b"GET / HTTP/1.1\r\n" + CLOSED)
            assert response.count(b"HTTP/1.1 200") == 3
            assert response.count(b"piece 0") == 2

    asyncio.run(run())


@pytest.mark.parametrize("target", ["/stream", "/"])
def test_head_has_the_headers_of_get_and_no_body(target: str) -> None:
    async def run() -> tuple[str, str]:
        async with scripted_service() as running:
            whole, head = await get(running.port, target), await get(running.port, target, method="HEAD")
            assert head.body == b""
            assert " 0 B" in running.out.getvalue().splitlines()[-1]
            return names(whole.head), names(head.head)

    def names(head: str) -> str:
        kept = [line.partition(":")[0] for line in head.split("\r\n")]
        return " ".join(name for name in kept if name != "transfer-encoding")

    whole, head = asyncio.run(run())
    assert head == whole


def test_a_foreign_page_reaches_no_function() -> None:
    async def scenario(running: Running) -> None:
        for headers in ("Origin: https://evil.example\r\n", "Sec-Fetch-Site: cross-site\r\n"):
            refused = await get(running.port, "/", method="POST", headers=headers, body=b"{}")
            assert refused.status == 403
        assert "starting" not in running.log.getvalue()
        assert "403  first byte" in running.out.getvalue()

    async def run() -> None:
        async with scripted_service() as running:
            await scenario(running)

    asyncio.run(run())
