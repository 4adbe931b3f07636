"""Starting an ECS service: with ECS in moto, and with one that refuses."""

import asyncio
import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from functions.chat.engines.scale_from_zero import EcsServices, StartFailed
from functions.shared.aws import Aws
from tests.integration.chat.cold_engine import CREDENTIALS, REGION
from tests.integration.keys.aws import ScriptedAws, scripted_aws

ARN = f"arn:aws:ecs:{REGION}:123456789012:service/engines/tiny"


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No call reaches a real AWS account."""
    for variable in [*os.environ]:
        if variable.startswith("AWS_"):
            monkeypatch.delenv(variable)
    for variable, value in CREDENTIALS.items():
        monkeypatch.setenv(variable, value)


@pytest.fixture
def ecs() -> Iterator[Any]:
    with mock_aws():
        ecs = boto3.client("ecs")
        ecs.create_cluster(clusterName="engines")
        ecs.register_task_definition(
            family="vllm", containerDefinitions=[{"name": "vllm", "image": "vllm", "memory": 1}]
        )
        for name in ("tiny", "other"):
            ecs.create_service(cluster="engines", serviceName=name, taskDefinition="vllm", desiredCount=0)
        yield ecs


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedAws]:
    with scripted_aws() as aws:
        monkeypatch.setenv("AWS_ENDPOINT_URL_ECS", aws.url)
        yield aws


def desired(ecs: Any, name: str = "tiny") -> int:
    count: int = ecs.describe_services(cluster="engines", services=[name])["services"][0]["desiredCount"]
    return count


def start(service: str = ARN) -> bool:
    return asyncio.run(EcsServices(Aws()).start(service))


def failure(service: str = ARN) -> str:
    with pytest.raises(StartFailed) as raised:
        start(service)
    assert raised.value.__cause__ is None
    return str(raised.value)


def test_a_service_that_is_scaled_to_zero_gets_one_task(ecs: Any) -> None:
    assert start()
    assert (desired(ecs), desired(ecs, "other")) == (1, 0)


@pytest.mark.parametrize("count", [1, 3])
def test_a_service_that_runs_is_not_changed(ecs: Any, count: int) -> None:
    ecs.update_service(cluster="engines", service="tiny", desiredCount=count)
    assert not start()
    assert desired(ecs) == count


def test_every_call_names_this_service_and_no_other(ecs: Any) -> None:
    """The function's role allows two operations on one ARN."""
    calls: list[tuple[str, Any]] = []
    services = EcsServices(Aws())
    services._ecs.client.meta.events.register(
        "before-parameter-build.ecs", lambda model, params, **_: calls.append((model.name, params))
    )
    asyncio.run(services.start(ARN))
    asyncio.run(services.start(ARN))
    describe = ("DescribeServices", {"cluster": "engines", "services": [ARN]})
    update = ("UpdateService", {"cluster": "engines", "service": ARN, "desiredCount": 1})
    assert calls == [describe, update, describe]
    assert desired(ecs) == 1


@pytest.mark.parametrize(
    ("arn", "code"),
    [
        (ARN.replace("tiny", "nope"), "ServiceNotFoundException"),
        (ARN.replace("engines", "nope"), "ClusterNotFoundException"),
    ],
)
def test_a_missing_service_is_reported(ecs: Any, arn: str, code: str) -> None:  # noqa: ARG001
    assert failure(arn) == code


@pytest.mark.parametrize(
    ("code", "status", "attempts"),
    [("AccessDeniedException", 400, 1), ("ThrottlingException", 400, 2), ("ServerException", 500, 2)],
)
def test_a_refusal_of_ecs_is_reported_by_its_code(
    refusing: ScriptedAws, code: str, status: int, attempts: int
) -> None:
    refusing.fails(code, status)
    assert failure() == code
    assert refusing.calls == ["AmazonEC2ContainerServiceV20141113.DescribeServices"] * attempts


def test_a_missing_region_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    assert failure() == "NoRegionError"
