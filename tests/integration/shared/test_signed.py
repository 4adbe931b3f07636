"""The services that functions call without boto3: what is sent, over which connections, and what is read."""

import asyncio
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.regions import EndpointResolver

from functions.shared import https
from functions.shared.aws import MAX_CONNECTIONS, Aws, AwsError, in_thread
from functions.shared.keys import KeyRefused, Keyring
from functions.shared.role import Role
from functions.shared.secrets import Secrets
from functions.shared.signed import _JSON, Signed, SignedClient
from functions.shared.table import Table
from tests.integration.shared.conftest import serving
from tests.tls import Authority

KEYS = Credentials("ASIAEXAMPLE", "secret/+=", "session//token+=")
REGION = "eu-central-1"
ENVIRON = {
    "AWS_REGION": REGION,
    "AWS_ACCESS_KEY_ID": KEYS.access_key,
    "AWS_SECRET_ACCESS_KEY": KEYS.secret_key,
    "AWS_SESSION_TOKEN": KEYS.token,
}
ARN = f"arn:aws:lambda:{REGION}:123456789012:function:scaler ü"


class Server(ThreadingHTTPServer):
    """Keeps what it receives, and responds with `body` once as many have come as `together` wants."""

    daemon_threads = True
    request_queue_size = MAX_CONNECTIONS

    def __init__(self) -> None:
        self.received: list[tuple[str, str, dict[str, str], bytes]] = []
        self.connections = 0
        self.body, self.together = b"{}", threading.Barrier(1)
        self.clients: list[Any] = []
        self.deaf, self.ended = list[Any](), threading.Event()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def finish_request(self, request: Any, client_address: Any) -> None:
        self.connections += 1
        super().finish_request(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.received.append((self.command, self.path, headers, body))
        self.server.clients.append(self.client_address)
        if self.client_address in self.server.deaf:
            self.server.ended.wait(5)
            return
        self.server.together.wait(10)
        self.send_response(200)
        self.send_header("content-length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Server()) as server:
        yield server


def aws(**environ: str) -> Aws:
    environ = ENVIRON | environ
    return Aws(Signed(environ, Role(environ)))


def client(name: str, url: str | None = None, region: str = REGION, **environ: str) -> SignedClient:
    environ = ENVIRON | {"AWS_REGION": region} | environ
    return Signed(environ, Role(environ)).client(name, url, 2.0)


def sent(name: str, url: str, operation: str = "get_item", /, **parameters: Any) -> Any:
    """Return the response to one call."""
    with closing(client(name, url)) as calling:
        return calling.send(operation, parameters)


@pytest.mark.parametrize(
    ("name", "operation", "parameters"),
    [
        ("dynamodb", "get_item", {"TableName": "keys", "Key": {"pk": {"S": "é"}}, "ConsistentRead": True}),
        ("dynamodb", "transact_write_items", {"TransactItems": [{}], "ClientRequestToken": "t"}),
        ("secretsmanager", "get_secret_value", {"SecretId": "arn:aws:secretsmanager:x"}),
        ("lambda", "invoke", {"FunctionName": ARN, "Payload": '{"action": "ü"}'}),
    ],
)
def test_what_arrives_is_what_boto3_sends_and_bears_its_signature(
    server: Server, name: str, operation: str, parameters: dict[str, Any]
) -> None:
    keys = {"aws_access_key_id": KEYS.access_key, "aws_secret_access_key": KEYS.secret_key}
    theirs = boto3.client(name, region_name=REGION, endpoint_url=server.url, **keys)
    getattr(theirs, operation)(**parameters)
    theirs.close()
    sent(name, server.url, operation, **parameters)
    expected, (method, path, headers, body) = server.received
    assert (method, path) == expected[:2]
    assert json.loads(body) == json.loads(expected[3])
    assert headers.get("x-amz-target") == expected[2].get("x-amz-target")
    if name in _JSON:
        assert headers["content-type"] == expected[2]["content-type"]
    signed, _, signature = headers["authorization"].partition(", SignedHeaders=")[2].partition(", Signature=")
    assert {each for each in headers if each.startswith(("x-amz-", "content-type", "host"))} == set(
        signed.split(";")
    )
    request: Any = AWSRequest(
        method, server.url + path, headers={each: headers[each] for each in signed.split(";")}, data=body
    )
    request.context["timestamp"] = headers["x-amz-date"]
    signer: Any = SigV4Auth(KEYS, name, REGION)
    assert signature == signer.signature(
        signer.string_to_sign(request, signer.canonical_request(request)), request
    )


def test_names_are_boto3_s_in_every_region() -> None:
    """DynamoDB has all regions; the services' names are formed alike, by the rules of each partition."""
    session = boto3.Session()
    regions = [
        region
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("dynamodb", partition)
    ]
    assert len(regions) > 30
    resolver = EndpointResolver(session._session.get_data("endpoints"))
    for name in ("dynamodb", "secretsmanager", "lambda"):
        for region in regions:
            theirs = resolver.construct_endpoint(name, region)
            assert client(name, region=region).url == f"https://{theirs['hostname']}"


def test_a_call_loads_no_other_client(server: Server) -> None:
    """The first request with a key waits for all that its lookup imports."""
    code = (
        "import asyncio, os, sys; from functions.shared.aws import Aws; "
        "from functions.shared.role import Role; from functions.shared.signed import Signed; "
        "from functions.shared.table import Table; "
        f"table = Table('keys', aws=Aws(Signed(os.environ, Role(os.environ))), endpoint_url='{server.url}'); "
        "assert asyncio.run(table.key('unknown')) is None; print(*sys.modules)"
    )
    done = subprocess.run(
        (sys.executable, "-c", code), capture_output=True, text=True, check=True, env=os.environ | ENVIRON
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert not {"boto3", "botocore", "urllib3", "email"} & loaded
    assert len(server.received) == 1


def test_a_variable_may_set_an_address() -> None:
    assert client("secretsmanager", AWS_ENDPOINT_URL_SECRETS_MANAGER="http://one:1/").url == "http://one:1"
    assert client("lambda", AWS_ENDPOINT_URL="http://all:1").url == "http://all:1"
    assert client("lambda", "http://own:1", AWS_ENDPOINT_URL="http://all:1").url == "http://own:1"


def test_a_connection_is_kept_and_is_open_before_the_first_call(server: Server) -> None:
    own = aws()
    service = own.service("dynamodb", endpoint_url=server.url)
    service.warm()
    own._working[0].join()
    for _ in range(3):
        service.call("get_item", TableName="keys")
    assert server.connections == 1
    own.drain()
    service.call("get_item", TableName="keys")
    assert server.connections == 2, "those from before a snapshot are dead"
    own.drain()


def test_a_connection_that_was_closed_meanwhile_is_not_used() -> None:
    responses = [b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"] * 2
    with scripted(*responses) as (url, connections):
        service = aws().service("dynamodb", endpoint_url=url)
        for _ in range(2):
            assert service.call("update_item", idempotent=False)["ResponseMetadata"]["HTTPStatusCode"] == 200
            time.sleep(0.02)
        service.close()
    assert len(connections) == 2


def test_where_one_connection_is_dead_all_from_before_are_given_up(server: Server) -> None:
    """As after a time without packets: nothing has closed them, and nothing arrives any more."""
    service = aws().service("dynamodb", endpoint_url=server.url, read_timeout_s=0.1)
    server.together = threading.Barrier(2)
    threads = [threading.Thread(target=service.call, args=("get_item",)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    server.together, server.deaf = threading.Barrier(1), server.clients[:]
    assert service.call("get_item")["ResponseMetadata"] == {"HTTPStatusCode": 200}
    assert len(set(server.clients)) == 3
    server.ended.set()
    service.close()


@contextmanager
def scripted(*responses: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Serve these bytes, each on a connection of its own; yield the address and the requests' heads."""
    requests: list[bytes] = []

    def serve() -> None:
        for response in responses:
            connection, _ = listener.accept()
            requests.append(connection.recv(65536))
            with suppress(OSError):  # it gives up, as it should
                connection.sendall(response)
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", requests
        finally:
            thread.join(5)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (b'HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n{"a":1}', {"a": 1}),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", {}),
        (
            b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3;x=y\r\n{"a\r\n4\r\n":1}\r\n0\r\n\r\n',
            {"a": 1},
        ),
        (b'HTTP/1.0 200 OK\r\n\r\n{"a":1}', {"a": 1}),
        (b'HTTP/1.1 200\nContent-Length:7\nContent-Length: 7\n\n{"a":1}', {"a": 1}),
    ],
    ids=["length", "continue", "chunked", "to the end", "ends of lines"],
)
def test_a_body_is_read_to_its_end(response: bytes, expected: dict[str, int]) -> None:
    with scripted(response) as (url, _):
        read = sent("dynamodb", url)
    assert read == {**expected, "ResponseMetadata": {"HTTPStatusCode": 200}}


@pytest.mark.parametrize(
    ("response", "code"),
    [
        (b"", "ConnectionClosedError"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{", "ConnectionClosedError"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: -7\r\n\r\n{", "ConnectionClosedError"),
        (b"HTTP/1.1 200 OK\r\ncontent-len", "ConnectionClosedError"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\n{}", "ConnectionClosedError"),
        (b"SSH-2.0 canary\r\n", "ConnectionClosedError"),
        (b"HTTP/1.1 2000 OK\r\ncontent-length: 2\r\n\r\n{}", "ConnectionClosedError"),
        (b"HTTP/1.1 +20 OK\r\ncontent-length: 2\r\n\r\n{}", "ConnectionClosedError"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\n{}", "ConnectionClosedError"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0_2\r\n\r\n{}", "ConnectionClosedError"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 1%b\r\n\r\n{}" % (b"0" * 18), "ConnectionClosedError"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 4\r\n\r\n{}  ",
            "ConnectionClosedError",
        ),
        (b"HTTP/1.1 200 OK\r\na: b\r\n content-length: 2\r\n\r\n{}", "ConnectionClosedError"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n2\r\n{}\r\n0\r\n\r\n", "ConnectionClosedError"),
        *(
            (
                b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%b\r\n{}\r\n0\r\n\r\n" % size,
                "ConnectionClosedError",
            )
            for size in (b"+2", b"0_2", b"0x2", b" 2", b"1", b"fffffffffffff")
        ),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20_000, "ConnectionClosedError"),
        (b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 50_000, "ConnectionClosedError"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\ncanary", "ResponseParserError"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnull", "ResponseParserError"),
        (b"HTTP/1.1 503 Busy\r\ncontent-length: 6\r\n\r\ncanary", "503"),
        (
            b"HTTP/1.1 403 No\r\ncontent-length: 2\r\nx-amzn-errortype: AccessDeniedException:http://x/\r\n\r\n{}",
            "AccessDeniedException",
        ),
        (b'HTTP/1.1 400 No\r\ncontent-length: 34\r\n\r\n{"__type":"com.amazon#Throttling"}', "Throttling"),
    ],
)
def test_what_cannot_be_used_is_an_error_that_quotes_nothing(response: bytes, code: str) -> None:
    with scripted(response) as (url, _), pytest.raises(AwsError) as raised:
        sent("dynamodb", url)
    assert (str(raised.value), raised.value.__cause__) == (code, None)
    assert raised.value.may_have_been_done is (code not in ("AccessDeniedException", "Throttling"))


def test_bytes_after_a_response_are_not_the_next_one() -> None:
    response = b'HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n{"a":%d}'
    with socket.create_server(("127.0.0.1", 0)) as listener:
        open_ones = []

        def serve() -> None:
            for content in (response % 1 + response % 2, response % 3):
                open_ones.append(listener.accept()[0])
                open_ones[-1].recv(65536)
                open_ones[-1].sendall(content)

        thread = threading.Thread(target=serve)
        thread.start()
        with closing(client("dynamodb", f"http://127.0.0.1:{listener.getsockname()[1]}")) as calling:
            assert [calling.send("get_item", {})["a"] for _ in range(2)] == [1, 3]
        thread.join(5)
        for connection in open_ones:
            connection.close()


def test_a_response_that_comes_byte_by_byte_ends_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while True:
                    connection.sendall(b"a")
                    time.sleep(0.02)

        thread = threading.Thread(target=serve)
        thread.start()
        url, began = f"http://127.0.0.1:{listener.getsockname()[1]}", time.monotonic()
        server = https.Server(url, connect_timeout_s=1, read_timeout_s=0.05)
        with pytest.raises(AwsError, match="ReadTimeoutError") as raised:
            server.send("GET", "/", {})
        assert 0.2 < time.monotonic() - began < 2
        assert raised.value.lost
        thread.join(5)


def test_keys_that_no_header_can_hold_are_sent_nowhere(server: Server) -> None:
    for token in ("canary\n", "canary\r\nx: y", "canary\N{EURO SIGN}"):
        with (
            closing(client("dynamodb", server.url, AWS_SESSION_TOKEN=token)) as calling,
            pytest.raises(AwsError) as raised,
        ):
            calling.send("get_item", {})
        assert (str(raised.value), raised.value.may_have_been_done) == ("InvalidHeaderError", False)
    assert not server.received


def test_a_connection_with_tls_is_open_before_the_first_call(tmp_path: Path) -> None:
    """After its handshake the server sends tickets for the next one, which is nothing of HTTP."""
    authority = Authority(tmp_path, "authority")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        response = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
        serving = threading.Thread(
            target=_serve_tls, args=(listener, authority.server("localhost"), response), daemon=True
        )
        serving.start()
        url = f"https://localhost:{listener.getsockname()[1]}"
        with closing(client("dynamodb", url, AWS_CA_BUNDLE=str(authority.file))) as calling:
            calling.connect()
            time.sleep(0.1)
            assert calling.send("get_item", {})["ResponseMetadata"] == {"HTTPStatusCode": 200}
        serving.join(5)


def test_a_function_s_own_failure_is_marked() -> None:
    response = b"HTTP/1.1 200 OK\r\nx-amz-function-error: Unhandled\r\ncontent-length: 4\r\n\r\nnull"
    with scripted(response) as (url, _):
        read = sent("lambda", url, "invoke", FunctionName="f", Payload="{}")
    assert (read["FunctionError"], json.load(read["Payload"])) == ("Unhandled", None)


def test_only_the_server_s_own_name_with_a_trusted_certificate_is_called(tmp_path: Path) -> None:
    authority, other = Authority(tmp_path, "authority"), Authority(tmp_path, "other")
    response = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"
    for trusted, host, code in (
        (authority, "localhost", None),
        (other, "localhost", "SSLError"),
        (authority, "elsewhere", "SSLError"),
    ):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(
                target=_serve_tls, args=(listener, authority.server(host), response), daemon=True
            )
            thread.start()
            url = f"https://localhost:{listener.getsockname()[1]}"
            https._tls.cache_clear()
            with (
                closing(client("dynamodb", url, AWS_CA_BUNDLE=str(trusted.file))) as calling,
                pytest.raises(AwsError, match=code) if code else nullcontext() as raised,
            ):
                assert calling.send("get_item", {})["ResponseMetadata"] == {"HTTPStatusCode": 200}
            assert not raised or raised.value.unreached
            thread.join(5)


def _serve_tls(listener: socket.socket, context: ssl.SSLContext, response: bytes) -> None:
    plain, _ = listener.accept()
    try:
        with context.wrap_socket(plain, server_side=True) as connection:
            connection.recv(65536)
            connection.sendall(response)
    except OSError:
        plain.close()


@pytest.mark.anyio
async def test_as_many_calls_as_an_environment_has_requests_run_at_once() -> None:
    """asyncio's own pool has few threads: a table that hangs for some callers would hold up all others."""
    together = threading.Barrier(MAX_CONNECTIONS, timeout=5)
    waits = (in_thread(together.wait) for _ in range(MAX_CONNECTIONS))
    assert sorted(await asyncio.gather(*waits)) == list(range(MAX_CONNECTIONS))


def test_all_threads_share_the_connections(server: Server) -> None:
    service = aws().service("dynamodb", endpoint_url=server.url)
    for _ in range(2):
        threads = [threading.Thread(target=lambda: service.call("get_item")) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.received) == 16
    assert server.connections <= 8
    service.close()


@pytest.mark.anyio
async def test_many_requests_with_one_key_look_it_up_once(server: Server) -> None:
    own = aws()
    keyring = Keyring(Table("keys", aws=own, endpoint_url=server.url))
    found = await asyncio.gather(
        *(keyring.authenticate("Bearer sk-unknown") for _ in range(MAX_CONNECTIONS)), return_exceptions=True
    )
    assert [type(each) for each in found] == [KeyRefused] * MAX_CONNECTIONS
    assert len(server.received) == 1
    own.drain()


@pytest.mark.anyio
async def test_many_requests_with_keys_of_their_own_look_them_up_together(server: Server) -> None:
    own = aws()
    server.together = threading.Barrier(MAX_CONNECTIONS)
    keyring = Keyring(Table("keys", aws=own, endpoint_url=server.url))
    tried = (keyring.authenticate(f"Bearer sk-{number}") for number in range(MAX_CONNECTIONS))
    found = await asyncio.gather(*tried, return_exceptions=True)
    assert [type(each) for each in found] == [KeyRefused] * MAX_CONNECTIONS
    own.drain()


@pytest.mark.anyio
async def test_many_requests_that_need_a_secret_fetch_it_once(server: Server) -> None:
    server.body = b'{"SecretString": "one"}'
    own = aws(AWS_ENDPOINT_URL_SECRETS_MANAGER=server.url)
    secrets = Secrets(own)
    assert set(await asyncio.gather(*(secrets.value("arn") for _ in range(MAX_CONNECTIONS)))) == {"one"}
    assert len(server.received) == 1
    own.drain()
