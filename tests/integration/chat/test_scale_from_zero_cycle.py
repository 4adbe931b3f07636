"""From zero to tokens and back, twice: the function as Lambda runs it, the scaler, AWS's services in moto, an
engine that runs only while its service wants a task, and OpenAI's own client."""

import io
import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
import openai
import pytest
from anyio.from_thread import start_blocking_portal

from infra.local.console import Console
from infra.local.lambda_service.function import LambdaFunction
from infra.local.lambda_service.service import run_lambda_service
from infra.local.processes import Guardian
from tests.engines import schema
from tests.integration.chat.cold_engine import (
    CREDENTIALS,
    REGION,
    SCALER_ARN,
    ColdEngine,
    Keyed,
    cold_engine,
    moto_server,
    scaler_function,
)

ENGINE_KEY = "canary-engine-key"
MESSAGES: Any = [{"role": "user", "content": "Tell me a joke"}]
START_S = 2.0
COMMENT = b": keep-alive\n\n"


@dataclass
class Output(Console):
    """The terminal, with all that the function prints."""

    lines: list[str] = field(default_factory=list)

    def output_of(self, name: str) -> Callable[[str], None]:  # noqa: ARG002
        return self.lines.append


@dataclass(frozen=True)
class Deployed:
    """The function, its engine, and what the function printed."""

    url: str
    cold: ColdEngine
    output: Output

    @property
    def starts(self) -> int:
        """Return how often the metric reported a request that waits for a start."""
        records = [json.loads(line) for line in self.output.lines if line.startswith('{"_aws":')]
        return sum(record.get("starts", 0) for record in records)


@pytest.fixture
def aws_url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    with moto_server() as url:
        yield url


@pytest.fixture
def deployed(aws_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployed]:
    secret = _secret(aws_url)
    with (
        scaler_function(aws_url, monkeypatch),
        cold_engine(aws_url, Keyed(ENGINE_KEY), start_s=START_S) as cold,
    ):
        entry = {
            "base_url": cold.base_url,
            "key_secret": secret,
            "scaler": SCALER_ARN,
            "start_s": START_S,
        }
        variables = {
            **CREDENTIALS,
            "AWS_ENDPOINT_URL_LAMBDA": os.environ["AWS_ENDPOINT_URL_LAMBDA"],
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": aws_url,
            "MODELS": json.dumps({"tiny": entry}),
            "METRICS": "ChatbotApi/test",
            "KEEP_ALIVE_S": "0.5",
        }
        with _gateway(variables) as (url, output):
            yield Deployed(url, cold, output)


def _secret(aws_url: str) -> str:
    client = boto3.client("secretsmanager", endpoint_url=aws_url, region_name=REGION)
    try:
        return str(client.create_secret(Name="engine", SecretString=ENGINE_KEY)["ARN"])
    finally:
        client.close()


@contextmanager
def _gateway(variables: dict[str, str]) -> Iterator[tuple[str, Output]]:
    function = LambdaFunction("chat", "functions/chat/handler.handler", variables)
    output = Output(out=io.StringIO(), log=io.StringIO())
    with Guardian() as guardian, start_blocking_portal() as portal:
        opening = run_lambda_service([("/", function)], guardian=guardian, console=output)
        with portal.wrap_async_context_manager(opening) as gateway:
            yield gateway.url, output


@pytest.mark.nightly
def test_the_whole_cycle_twice(deployed: Deployed) -> None:
    cold = deployed.cold
    replies: list[Any] = []
    url, hooks = f"{deployed.url}/v1", {"response": [replies.append]}
    with (
        openai.DefaultHttpxClient(base_url=url, trust_env=False, timeout=30, event_hooks=hooks) as http,
        openai.OpenAI(base_url=url, api_key="any", http_client=http) as client,
    ):
        assert cold.desired == (0, 0)

        # A whole reply: refused with a time to retry, which the client does by itself.
        response = client.chat.completions.with_raw_response.create(model="tiny", messages=MESSAGES)
        assert response.parse().choices[0].message.content == "The capital of France is Paris."
        assert response.retries_taken == 1
        assert [reply.status_code for reply in replies] == [503, 200]
        assert replies[0].headers["retry-after"] == "5"
        assert (cold.desired, deployed.starts) == ((1, 1), 1)
        assert len(cold.engine.requests) == 1

        # A stream, after scaling to zero: held, with comments, until the engine is up.
        cold.scale_to_zero()
        request = {"model": "tiny", "messages": MESSAGES, "stream": True}
        with http.stream("POST", "/chat/completions", json=request) as reply:
            pieces = [(time.monotonic(), piece) for piece in reply.iter_raw()]
        assert reply.status_code == 200
        assert {piece for at, piece in pieces if at < cold.up_at[-1]} == {COMMENT}
        schema.validate_stream(b"".join(piece for _, piece in pieces))
        assert (cold.desired, deployed.starts) == ((1, 1), 2)

        # And again, as the official client reads it.
        cold.scale_to_zero()
        stream = client.chat.completions.create(model="tiny", messages=MESSAGES, stream=True)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices)
        assert text
        assert [reply.status_code for reply in replies] == [503, 200, 200, 200]

        # While it runs, it answers at once, without a call to the scaler.
        client.chat.completions.create(model="tiny", messages=MESSAGES)
        assert [reply.status_code for reply in replies] == [503, 200, 200, 200, 200]
    assert cold.changes == [1, 0, 1, 0, 1]
    assert deployed.starts == 3
    assert all(request.headers["authorization"] == f"Bearer {ENGINE_KEY}" for request in cold.engine.requests)
    assert ENGINE_KEY not in "".join(deployed.output.lines)
