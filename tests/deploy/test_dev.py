"""The stage dev: its engine, what answers while that starts, and what starts it. In this order.

What it has in common with serverless is tested there.
"""

import base64
import gzip
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.deploy.account import Account
from tests.deploy.deployment import Deployment, deploy
from tests.deploy.toolkit import Toolkit
from tests.engines.scripted import ScriptedEngine, scripted_engine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("deploy")]
MODEL, FALLBACK, SERVED = "Qwen/Qwen3-8B", "gpt-oss-20b", "openai.gpt-oss-20b-1:0"
CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Which is the capital?"}]}
CHAT_OUTPUTS = ("ApiUrl", "ChatUrl")


@pytest.fixture(scope="module")
def dev(account: Account, dev_toolkit: Toolkit) -> Deployment:
    return deploy(account, dev_toolkit, "dev")


@pytest.fixture(scope="module")
def bedrock(bedrock_port: int) -> Iterator[ScriptedEngine]:
    with scripted_engine(models=(SERVED,), port=bedrock_port) as bedrock:
        yield bedrock


@pytest.fixture
def engine(engine_port: int) -> Iterator[ScriptedEngine]:
    with scripted_engine(models=(MODEL,), port=engine_port) as engine:
        yield engine


def test_every_resource_of_the_templates_is_there(dev: Deployment) -> None:
    dev.assert_complete()


def test_the_task_runs_its_image_by_digest(dev: Deployment) -> None:
    ecs = dev.account.client("ecs")
    (arn,) = ecs.list_task_definitions()["taskDefinitionArns"]
    containers = ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]["containerDefinitions"]
    assert {each["image"].partition("@")[2] for each in containers} == {f"sha256:{'0' * 64}"}


@pytest.mark.parametrize("output", CHAT_OUTPUTS)
def test_a_completion(dev: Deployment, engine: ScriptedEngine, output: str) -> None:
    with dev.client(output, dev.key) as client:
        assert [model["id"] for model in client.get("v1/models").json()["data"]] == [MODEL]
        reply = client.post("v1/chat/completions", json=CHAT)
    assert (reply.status_code, reply.headers["x-model"]) == (200, MODEL), reply.text
    assert engine.requests[-1].headers["authorization"] == f"Bearer {dev.engine_key()}"


@pytest.mark.parametrize("stream", [False, True])
def test_bedrock_answers_while_the_engine_starts(
    dev: Deployment, bedrock: ScriptedEngine, stream: bool
) -> None:
    """The chat function calls the scaler, and signs for the function outside the network."""
    with dev.client("ApiUrl", dev.key) as client:
        reply = client.post("v1/chat/completions", json=CHAT | {"stream": stream})
    assert (reply.status_code, reply.headers["x-model"]) == (200, FALLBACK), reply.text
    assert bedrock.requests[-1].fields["model"] == SERVED
    wait_until(lambda: dev.desired() == (1, 1), within_s=20)


def test_the_function_that_answers_for_the_engine_takes_no_other_callers(dev: Deployment) -> None:
    (url,) = [url for url in dev.function_urls() if url not in dev.outputs.values()]
    with dev.client_of(url, dev.key) as client:
        assert client.get("v1/models").status_code == 403


def test_a_stream_without_a_fallback_is_held_until_the_engine_responds(
    dev: Deployment, engine_port: int
) -> None:
    refusing = {"x-fallback": "none"}
    with ThreadPoolExecutor() as threads, dev.client("ChatUrl", dev.key) as client:
        pending = threads.submit(
            client.post, "v1/chat/completions", json=CHAT | {"stream": True}, headers=refusing
        )
        refused = client.post("v1/chat/completions", json=CHAT, headers=refusing)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "model_warming")
        assert 5 <= int(refused.headers["retry-after"]) <= 120
        with scripted_engine(models=(MODEL,), port=engine_port):
            streamed = pending.result(20)
    assert (streamed.status_code, streamed.headers["x-model"]) == (200, MODEL)
    assert streamed.text.endswith("data: [DONE]\n\n")


def test_the_smoke_test_says_who_answers(dev: Deployment, bedrock: ScriptedEngine) -> None:  # noqa: ARG001
    status, printed = dev.toolkit.program("infra.smoke")
    assert status == 0, printed
    assert f"answered by {FALLBACK}" in printed


def test_the_scaler_reads_the_engine_s_log_and_stops_nothing_that_is_wanted(dev: Deployment) -> None:
    (log,) = [name for name in dev.resources("AWS::Logs::LogGroup") if "/Lines" in name]
    filters = dev.account.client("logs").describe_subscription_filters(logGroupName=log)
    (subscription,) = filters["subscriptionFilters"]
    assert subscription["filterPattern"] == "{ $.idle_s >= 1200 }"
    line = {"id": "1", "timestamp": int(time.time() * 1000), "message": json.dumps({"idle_s": 1260})}
    data = {"messageType": "DATA_MESSAGE", "logStream": "engine/reporter/0123", "logEvents": [line]}
    packed = base64.b64encode(gzip.compress(json.dumps(data).encode())).decode()
    invoked = dev.account.client("lambda").invoke(
        FunctionName=subscription["destinationArn"], Payload=json.dumps({"awslogs": {"data": packed}})
    )
    assert json.loads(invoked["Payload"].read()) == {"stopped": False}
    assert dev.desired() == (1, 1)


def wait_until(condition: Callable[[], object], within_s: float) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, f"expected it within {within_s} s"
        time.sleep(0.1)


def test_destroying_leaves_only_what_was_there_before(dev: Deployment) -> None:
    dev.toolkit.run("destroy", "--all", "--force")
    assert list(dev.account.stacks()) == ["CDKToolkit"]
    left = dev.account.inventory("dev")
    assert {kind: names for kind, names in left.items() if names} == {
        # API Gateway's role for logs belongs to the account; Lambda itself made the log of CDK's function.
        "roles": [name for name in left["roles"] if "CloudWatchRole" in name],
        "logs": [name for name in left["logs"] if "AWSCDKTrigger" in name],
    }
