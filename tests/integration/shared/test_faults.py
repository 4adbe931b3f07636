"""DynamoDB down, slow, full or refusing: which calls are retried, how long it takes, what is reported."""

import asyncio
import json
import logging
import socket
import socketserver
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from functions.keys.store import KeyTable, outputs_of
from functions.shared import aws as aws_module
from functions.shared import dynamodb
from functions.shared.aws import Aws
from functions.shared.boto import Boto
from functions.shared.keys import Key, KeysRefused, KeysUnavailable, KeyThrottled
from functions.shared.limits import Running
from functions.shared.usage import UsageRecord
from tests.aws import boto_of
from tests.integration.shared.conftest import NAME, serving

KEY = Key(id="key_1", digest="d" * 64, name="canary", requests_per_minute=3, created_at=0)
RUNNING = Running(
    request_id="canary", model="tiny", tokens=10, most=10, prompt=10, started_at=0, expires_at=900
)
RECORD = UsageRecord(request_id="canary", key_id="key_1", duration_ms=1, outcome="ok", started_at=0)

Scripted = tuple[int, dict[str, Any] | str] | None
BUSY: Scripted = (500, {"__type": "InternalServerError", "message": "canary"})
FULL: Scripted = (400, {"__type": "ThrottlingException", "message": "canary"})
CONFLICT: Scripted = (
    400,
    {
        "__type": "TransactionCanceledException",
        "CancellationReasons": [{"Code": "TransactionConflict"}, {"Code": "None"}],
    },
)
DENIED: Scripted = (400, {"__type": "AccessDeniedException", "message": "canary"})
HANGING_UP: Scripted = None


class ScriptedDynamoDb(socketserver.ThreadingTCPServer):
    """Responds to each call with the next of its responses, to more with the last one; None hangs up."""

    daemon_threads = True

    def __init__(self, *responses: Scripted) -> None:
        self.responses = list(responses)
        self.calls: list[str] = []
        self.bodies: list[bytes] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: ScriptedDynamoDb
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.server.bodies.append(self.rfile.read(int(self.headers["content-length"])))
        self.server.calls.append(self.headers.get("x-amz-target", "").partition(".")[2])
        responses = self.server.responses
        response = responses.pop(0) if len(responses) > 1 else responses[0]
        if response is None:
            self.close_connection = True
            return
        status, value = response
        body = (value if isinstance(value, str) else json.dumps(value)).encode()
        self.send_response(status)
        self.send_header(
            "content-type", "text/xml" if isinstance(value, str) else "application/x-amz-json-1.0"
        )
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        pass


def scripted(*responses: Scripted) -> AbstractContextManager[ScriptedDynamoDb]:
    return serving(ScriptedDynamoDb(*responses))


@contextmanager
def closing(table: KeyTable) -> Iterator[KeyTable]:
    """Close what a table opened."""
    try:
        yield table
    finally:
        table.close()


@pytest.fixture
def silent() -> Iterator[tuple[str, socket.socket]]:
    """A server that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", listener


@pytest.fixture(autouse=True)
def short_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aws_module, "_PAUSE_S", 0.001)


def unavailable(call: Any) -> str:
    with pytest.raises(KeysUnavailable) as raised:
        asyncio.run(call)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__
    return str(raised.value)


@pytest.mark.parametrize(
    ("response", "code", "calls"),
    [
        (BUSY, "InternalServerError", 2),
        (FULL, "ThrottlingException", 2),
        (DENIED, "AccessDeniedException", 1),
        (HANGING_UP, "ConnectionClosedError", 2),
    ],
)
def test_idempotent_calls_are_retried(any_aws: Aws, response: Scripted, code: str, calls: int) -> None:
    with scripted(response) as server, closing(KeyTable(NAME, aws=any_aws, endpoint_url=server.url)) as table:
        for call, name in (
            (lambda: table.key(KEY.digest), "GetItem"),
            (lambda: table.reserve(KEY, RUNNING, 0.0), "UpdateItem"),
            (lambda: table.peek(KEY, 0.0), "GetItem"),
            (lambda: table.settle(RECORD, RUNNING), "TransactWriteItems"),
        ):
            assert unavailable(call()) == code
            assert server.calls == [name] * calls
            server.calls.clear()


CANCELLED: list[tuple[str, type[KeysUnavailable]]] = [
    ("TransactionConflict", KeyThrottled),
    ("ThrottlingError", KeyThrottled),
    ("ProvisionedThroughputExceeded", KeyThrottled),
    ("ValidationError", KeysRefused),
]


def cancelled(code: str) -> Scripted:
    """Return a transaction's refusal: the code is that of its second write."""
    reasons = [{"Code": "None"}, {"Code": code}]
    return 400, {"__type": "TransactionCanceledException", "CancellationReasons": reasons}


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        *((cancelled(code), kind) for code, kind in CANCELLED),
        *(
            ((400, {"__type": code}), kind)
            for code, kind in [
                ("ProvisionedThroughputExceededException", KeyThrottled),
                ("ThrottlingException", KeyThrottled),
                ("RequestLimitExceeded", KeyThrottled),
                ("TransactionConflictException", KeyThrottled),
                ("TransactionInProgressException", KeyThrottled),
                ("AccessDeniedException", KeysRefused),
                ("ResourceNotFoundException", KeysRefused),
                ("ValidationException", KeysRefused),
            ]
        ),
        (BUSY, KeysUnavailable),
        (HANGING_UP, KeysUnavailable),
    ],
    ids=str,
)
def test_a_throttled_key_a_refused_call_and_an_unreachable_table_differ(
    any_aws: Aws, response: Scripted, kind: type[KeysUnavailable], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamodb, "_CONFLICT_S", 0.001)
    with scripted(response) as server, closing(KeyTable(NAME, aws=any_aws, endpoint_url=server.url)) as table:
        with pytest.raises(KeysUnavailable) as raised:
            asyncio.run(table.settle(RECORD, RUNNING))
        assert type(raised.value) is kind


def test_a_conflict_with_another_transaction_is_tried_again_a_few_times(
    any_aws: Aws,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dynamodb, "_CONFLICT_S", 0.001)
    item: Scripted = (200, {"Attributes": {}})
    with (
        scripted(*[CONFLICT] * 6, item) as server,
        closing(KeyTable(NAME, aws=any_aws, endpoint_url=server.url)) as table,
    ):
        asyncio.run(table.settle(RECORD, RUNNING))
        assert server.calls == ["TransactWriteItems"] * 7 + ["UpdateItem"]
    with scripted(CONFLICT) as server, closing(KeyTable(NAME, aws=any_aws, endpoint_url=server.url)) as table:
        assert unavailable(table.settle(RECORD, RUNNING)) == "TransactionConflict"
        assert len(server.calls) == 7


def test_a_key_that_another_process_writes_just_now_is_not_taken(any_aws: Aws) -> None:
    with (
        scripted(CONFLICT) as server,
        closing(KeyTable(NAME, aws=any_aws, endpoint_url=server.url)) as table,
        pytest.raises(KeysUnavailable, match="TransactionConflict"),
    ):
        table.add(KEY)


def test_a_key_that_is_added_twice_without_a_response_is_added_once(any_aws: Aws) -> None:
    """Both calls bear the same token."""
    with (
        scripted(BUSY, (200, {})) as server,
        closing(KeyTable(NAME, aws=any_aws, endpoint_url=server.url)) as table,
    ):
        table.add(KEY)
        first, second = (json.loads(body)["ClientRequestToken"] for body in server.bodies)
        assert first == second


@pytest.mark.parametrize("response", [BUSY, FULL, HANGING_UP], ids=str)
def test_the_second_response_counts(any_aws: Aws, response: Scripted) -> None:
    with (
        scripted(response, (200, {})) as server,
        closing(KeyTable(NAME, aws=any_aws, endpoint_url=server.url)) as table,
    ):
        assert asyncio.run(table.key(KEY.digest)) is None
        assert len(server.calls) == 2
        assert all(json.loads(body)["ConsistentRead"] for body in server.bodies), "revoked is revoked"


@pytest.mark.parametrize(
    ("first", "code"), [(BUSY, "InternalServerError"), (HANGING_UP, "ConnectionClosedError")]
)
def test_what_may_have_been_done_is_not_said_to_be_throttled(
    any_aws: Aws, first: Scripted, code: str
) -> None:
    """Else what it has reserved would not be released."""
    with (
        scripted(first, FULL) as server,
        closing(KeyTable(NAME, aws=any_aws, endpoint_url=server.url)) as table,
    ):
        assert unavailable(table.reserve(KEY, RUNNING, 0.0)) == code
        assert server.calls == ["UpdateItem"] * 2


def test_a_table_that_is_down_is_reported_at_once(any_aws: Aws) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with closing(KeyTable(NAME, aws=any_aws, endpoint_url=f"http://127.0.0.1:{port}")) as table:
        _ = table._service.client
        began = time.monotonic()
        assert unavailable(table.key(KEY.digest)) == "EndpointConnectionError"
        assert unavailable(table.settle(RECORD, RUNNING)) == "EndpointConnectionError"
        assert time.monotonic() - began < 1


def test_a_table_that_is_slow_is_waited_for_twice(
    any_aws: Aws, silent: tuple[str, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws_module, "READ_TIMEOUT_S", 0.2)
    with closing(KeyTable(NAME, aws=any_aws, endpoint_url=silent[0])) as table:
        _ = table._service.client
        calls: list[tuple[Any, int]] = [
            (lambda: table.key(KEY.digest), 2),
            (lambda: table.settle(RECORD, RUNNING), 2),
        ]
        for call, waits in calls:
            began = time.monotonic()
            assert unavailable(call()) == "ReadTimeoutError"
            assert 0.2 * waits <= time.monotonic() - began < 0.2 * waits + 0.3


def test_a_slow_table_does_not_hold_up_the_loop(
    any_aws: Aws, silent: tuple[str, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def play() -> None:
        lookup = asyncio.create_task(table.key(KEY.digest))
        turns = 0
        while not lookup.done():
            await asyncio.sleep(0.001)
            turns += 1
        assert turns > 20
        with pytest.raises(KeysUnavailable):
            await lookup

    monkeypatch.setattr(aws_module, "READ_TIMEOUT_S", 0.1)
    with closing(KeyTable(NAME, aws=any_aws, endpoint_url=silent[0])) as table:
        _ = table._service.client
        asyncio.run(play())


def test_the_times_are_those_that_are_documented() -> None:
    config = boto_of(KeyTable(NAME)).meta.config
    assert (config.connect_timeout, config.read_timeout) == (1, 2)
    assert config.retries == {"total_max_attempts": 1, "mode": "standard"}
    assert config.max_pool_connections == 64
    assert config.tcp_keepalive


@pytest.mark.parametrize("response", [BUSY, FULL, DENIED, HANGING_UP], ids=str)
def test_the_log_holds_the_code_alone(
    any_aws: Aws, response: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    with (
        caplog.at_level(logging.DEBUG),
        scripted(response) as server,
        closing(KeyTable(NAME, aws=any_aws, endpoint_url=server.url)) as table,
    ):
        code = unavailable(table.key(KEY.digest))
        unavailable(table.settle(RECORD, RUNNING))
    ours = [record.getMessage() for record in caplog.records if record.name == "table"]
    assert ours == [f"AWS: {code}"] * 2
    assert KEY.digest not in caplog.text
    assert "canary" not in caplog.text


@pytest.mark.parametrize(
    ("missing", "code"),
    [("AWS_DEFAULT_REGION", "NoRegionError"), ("AWS_SECRET_ACCESS_KEY", "PartialCredentialsError")],
)
def test_what_is_missing_in_the_environment_is_reported(
    any_aws: Aws, missing: str, code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(missing)
    table = KeyTable(NAME, aws=any_aws)
    table.warm()
    assert unavailable(table.key(KEY.digest)) == code


STACK = """<DescribeStacksResponse><DescribeStacksResult><Stacks><member>
<StackName>chatbot</StackName><StackStatus>CREATE_COMPLETE</StackStatus>
<CreationTime>2026-11-25T02:00:00Z</CreationTime><Outputs><member>
<OutputKey>Url</OutputKey><OutputValue>https://example.com</OutputValue></member><member>
<OutputKey>{output}</OutputKey><OutputValue>keys-ABC</OutputValue></member></Outputs>
</member></Stacks></DescribeStacksResult></DescribeStacksResponse>"""
NO_STACK = """<ErrorResponse><Error><Type>Sender</Type><Code>ValidationError</Code>
<Message>Stack with id chatbot does not exist</Message></Error></ErrorResponse>"""


def test_a_stack_names_its_table() -> None:
    with scripted((200, STACK.format(output="KeysTable"))) as server:
        assert outputs_of("chatbot", aws=Aws(Boto()), endpoint_url=server.url)["KeysTable"] == "keys-ABC"


@pytest.mark.parametrize(
    ("response", "code"),
    [
        ((200, STACK.format(output="Other")), "OutputNotFound"),
        ((400, NO_STACK), "ValidationError"),
        (HANGING_UP, "ConnectionClosedError"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_stack_that_names_no_table_is_reported(response: Scripted, code: str) -> None:
    with scripted(response) as server, pytest.raises(KeysUnavailable) as raised:
        outputs_of("chatbot", aws=Aws(Boto()), endpoint_url=server.url)
    assert str(raised.value) == code
