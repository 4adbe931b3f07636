import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lambda_stream import StreamingHandler
from lambda_stream._errors import Fault, MalformedEvent
from lambda_stream._events import FunctionInfo, Invocation, LambdaContext
from lambda_stream._handler import stop_after_s
from lambda_stream._requests import http_request, scope_and_body, streaming_scope

EVENTS = Path(__file__).parents[2] / "events"
FUNCTION = FunctionInfo.from_environ(
    {"AWS_LAMBDA_FUNCTION_NAME": "chat", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}
)
HEADERS = {"lambda-runtime-aws-request-id": "1", "lambda-runtime-deadline-ms": "9999999999999"}


def invocation(payload: bytes = b"{}", **headers: str) -> Invocation:
    named = {f"lambda-runtime-{name.replace('_', '-')}": value for name, value in headers.items()}
    return Invocation.parse(HEADERS | named, payload)


def golden(name: str) -> Any:
    return json.loads((EVENTS / f"{name}.json").read_text())


async def app(scope: Any, receive: Any, send: Any) -> None:
    raise NotImplementedError


@pytest.fixture
def handler() -> Iterator[StreamingHandler]:
    handler = StreamingHandler(app, lifespan="off")
    loop = asyncio.new_event_loop()
    loop.run_until_complete(handler.start())
    yield handler
    asyncio.set_event_loop(None)
    loop.close()


def test_an_invocation_without_a_deadline_has_lambdas_longest() -> None:
    parsed = Invocation.parse({"lambda-runtime-aws-request-id": "1"}, b"")
    assert 899 < parsed.seconds_left <= 900


def test_a_deadline_that_has_passed_leaves_no_time() -> None:
    late = invocation(deadline_ms=str(int(time.time() * 1000) - 5000))
    assert late.seconds_left < -4
    assert LambdaContext(late, FUNCTION).get_remaining_time_in_millis() == 0
    assert stop_after_s(late.seconds_left) == 0


@pytest.mark.parametrize(("left", "stop"), [(900, 898.5), (15, 13.5), (3, 2.7), (0.1, 0.09), (0, 0)])
def test_the_app_is_stopped_early(left: float, stop: float) -> None:
    assert stop_after_s(left) == pytest.approx(stop)


def test_the_context_has_what_the_stock_runtime_gives() -> None:
    client = {
        "client": {"app_title": "title"},
        "custom": {"a": 1},
        "w3c": {"traceparent": "00-1", "other": "x", "baggage": 5},
    }
    cognito = {"cognitoIdentityId": "id", "cognitoIdentityPoolId": "pool"}
    received = invocation(
        client_context=json.dumps(client),
        cognito_identity=json.dumps(cognito),
        invoked_function_arn="arn",
        aws_tenant_id="tenant",
    )
    context: Any = LambdaContext(received, FUNCTION)
    assert (context.function_name, context.memory_limit_in_mb) == ("chat", "512")
    assert (context.aws_request_id, context.invoked_function_arn, context.tenant_id) == ("1", "arn", "tenant")
    assert (context.client_context.client.app_title, context.client_context.custom) == ("title", {"a": 1})
    assert (context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id) == ("id", "pool")
    assert context.w3c() == {"traceparent": "00-1"}
    assert context.get_remaining_time_in_millis() > 0


def test_the_context_without_extras() -> None:
    context: Any = LambdaContext(invocation(), FUNCTION)
    assert (context.client_context, context.identity.cognito_identity_id, context.w3c()) == (None, None, {})


def test_a_broken_context_is_reported() -> None:
    with pytest.raises(Fault, match="Unable to parse Client Context JSON"):
        LambdaContext(invocation(client_context="{"), FUNCTION)


def test_payloads() -> None:
    assert invocation(b'{"a":1}').event() == {"a": 1}
    assert Invocation.parse(HEADERS | {"content-type": "text/plain"}, b"text").event() == b"text"
    with pytest.raises(Fault, match="Unable to unmarshal input"):
        invocation(b"{").event()


@pytest.mark.parametrize(
    ("name", "gateway"),
    [
        ("function_url_v2_text", "HTTPGateway"),
        ("function_url_v2_base64", "HTTPGateway"),
        ("rest_api_v1", "APIGateway"),
        ("alb", None),
    ],
)
def test_gateways_by_name(name: str, gateway: str | None) -> None:
    request = http_request(golden(name), None)
    assert request is not None
    assert request.gateway == gateway


@pytest.mark.parametrize("event", [None, [], "text", 1, {}, {"requestContext": None}])
def test_anything_else_is_no_request(event: Any) -> None:
    assert http_request(event, None) is None


@pytest.mark.parametrize(
    ("name", "prefix"),
    [("function_url_v2_text", ""), ("function_url_v2_base64", ""), ("rest_api_v1", "/prod")],
)
def test_scope_and_body(name: str, prefix: str) -> None:
    request = http_request(golden(name), None)
    assert request is not None
    scope, body = scope_and_body(request)
    assert (scope["method"], scope["path"]) == ("POST", f"{prefix}/v1/chat/completions")
    assert scope["root_path"] == prefix
    assert json.loads(body)["messages"][0]["content"] == "Grüße"
    streaming = streaming_scope(scope)
    assert streaming["asgi"] == {"version": "3.0", "spec_version": "2.4"}
    assert b"accept-encoding" not in dict(streaming["headers"])
    assert b"accept-encoding" in dict(scope["headers"])


def test_malformed_requests(handler: StreamingHandler) -> None:
    event = golden("function_url_v2_text") | {"headers": {"host": "a:b:c"}}
    request = http_request(event, None)
    assert request is not None
    with pytest.raises(MalformedEvent, match="no valid request: ValueError"):
        scope_and_body(request)
    assert handler(event, None)["statusCode"] == 400


def test_options_are_checked() -> None:
    with pytest.raises(ValueError, match=r"expected streams to name some of .* but got \['ALB'\]"):
        StreamingHandler(app, streams=["ALB"])
    with pytest.raises(ValueError, match=r"expected lifespan to be one of .* but got 'maybe'"):
        StreamingHandler(app, lifespan="maybe")  # type: ignore[arg-type]
