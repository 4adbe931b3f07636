"""Each check in the states that the two accounts do not have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from infra.doctor import Finding, examine
from infra.stages import STAGES, Domain, Engine, Hosted, ManagedInstances, Stage

from .answers import account
from .machines import HUB, WEIGHTS, GivenMachine

SERVERLESS, DEV, PROD = STAGES["serverless"], STAGES["dev"], STAGES["prod"]
CERTIFICATE = "arn:aws:acm:us-east-1:111122223333:certificate/1b2c3d4e-0000-0000-0000-000000000000"


def engine(**changes: Any) -> Stage:
    return replace(DEV, engine=replace(DEV.engine or Engine(), **changes))


def domain(name: str, arn: str = CERTIFICATE) -> Stage:
    return replace(DEV, domain=Domain(name=name, certificate_arn=arn))


def hosted(**changes: Any) -> Stage:
    return replace(SERVERLESS, hosted=(Hosted(**changes),))


def call(name: str, response: Mapping[str, Any], **parameters: str) -> dict[str, Any]:
    return {"call": name, "with": parameters, "response": response}


def refusal(name: str, code: str) -> dict[str, Any]:
    return {"call": name, "error": {"Code": code, "Message": "…"}}


def stack(name: str, status: str, **more: Any) -> dict[str, Any]:
    created = {"StackName": name, "StackStatus": status, "CreationTime": "2026-11-27T10:00:00Z", **more}
    return call("cloudformation DescribeStacks", {"Stacks": [created]}, StackName=name)


def quota(code: str, value: float) -> dict[str, Any]:
    return call("service-quotas GetServiceQuota", {"Quota": {"Value": value}}, QuotaCode=code)


def offers(*zones: str) -> dict[str, Any]:
    found = [{"InstanceType": "g6.xlarge", "Location": zone} for zone in zones]
    return call("ec2 DescribeInstanceTypeOfferings", {"InstanceTypeOfferings": found})


def lambda_limits(most: int, unreserved: int) -> dict[str, Any]:
    limits = {"ConcurrentExecutions": most, "UnreservedConcurrentExecutions": unreserved}
    return call("lambda GetAccountSettings", {"AccountLimit": limits})


def certificate(name: str, status: str) -> dict[str, Any]:
    found = {"DomainName": name, "Status": status}
    return call("acm DescribeCertificate", {"Certificate": found})


def model(**changes: str) -> dict[str, Any]:
    access = {
        "modelId": "-",
        "agreementAvailability": {"status": changes.pop("agreement", "AVAILABLE")},
        "authorizationStatus": "AUTHORIZED",
        "entitlementAvailability": "AVAILABLE",
        "regionAvailability": "AVAILABLE",
        **changes,
    }
    return call("bedrock GetFoundationModelAvailability", access)


ADDRESSES = call("ec2 DescribeAddresses", {"Addresses": [{}, {}, {}]})
NETWORKS = call("ec2 DescribeVpcs", {"Vpcs": [{}] * 5})
OPEN_REQUEST = call(
    "service-quotas ListRequestedServiceQuotaChangeHistoryByQuota",
    {"RequestedQuotas": [{"DesiredValue": 4, "Status": "CASE_OPENED"}]},
)
CLAUDE = call(
    "bedrock GetFoundationModel", {"modelDetails": {"modelArn": "arn:aws:bedrock:…", "modelId": "-"}}
)
SPOT = [quota("L-3819A6DF", 4.0)]
THEIRS = replace(DEV, gateway_role="theirs")
MANAGED = replace(DEV, managed_instances=ManagedInstances())
ALONE = replace(PROD, managed_instances=ManagedInstances(keeps_on_demand=False))
LARGE = [
    {"InstanceType": "c7g.large", "Location": f"us-east-1{letter}"} for letter in ("a", "b", "c", "d", "e")
]
ROLE = "arn:aws:iam::111122223333:role/"
# Title, stage, what the account answers instead, the status, and a part of the answer or its remedy.
ROWS: list[tuple[str, Stage, list[dict[str, Any]], str, str]] = [
    (
        *("CDK's bootstrap", DEV),
        *([call("ssm GetParameter", {"Parameter": {"Value": "5"}})], "failure", "expected 6 or newer"),
    ),
    (
        *("stacks", DEV, [stack("ChatbotDevApi", "UPDATE_ROLLBACK_FAILED")], "failure"),
        "aws cloudformation continue-update-rollback --stack-name ChatbotDevApi",
    ),
    ("stacks", DEV, [stack("ChatbotDevApi", "ROLLBACK_COMPLETE")], "ok", "1 are there"),
    (
        *("stacks", PROD),
        [stack("ChatbotProdData", "ROLLBACK_COMPLETE", EnableTerminationProtection=True)],
        *("failure", "--no-enable-termination-protection && aws cloudformation delete-stack"),
    ),
    ("stacks", DEV, [stack("ChatbotDevData", "UPDATE_IN_PROGRESS")], "warning", "is UPDATE_IN_PROGRESS"),
    ("zones", DEV, [offers()], "failure", "no zone of us-east-1 offers g6.xlarge"),
    ("zones", DEV, [offers("us-east-1f")], "warning", "us-east-1a (use1-az4), us-east-1f (use1-az5); only"),
    ("GPU quota", engine(spot=True), SPOT, "warning", "4 vCPUs of Spot at once; 8 needed for all tasks"),
    (
        "GPU quota",
        engine(machines=2),
        [quota("L-DB2E81BA", 4.0)],
        "failure",
        "the engine needs 8 to run at all",
    ),
    ("GPU quota", PROD, [quota("L-DB2E81BA", 16.0)], "warning", "32 needed for all tasks"),
    ("GPU quota", DEV, [quota("L-DB2E81BA", 0.0), OPEN_REQUEST], "failure", "4 are requested: CASE_OPENED"),
    ("GPU quota", engine(instance_type="trn1.2xlarge"), [], "warning", "is not known here"),
    ("Lambda", PROD, [lambda_limits(1000, 300)], "failure", "--desired-value 1050"),
    (
        *("Lambda", PROD, [lambda_limits(1000, 300), stack("ChatbotProdApi", "UPDATE_COMPLETE")]),
        *("ok", "250 reserved"),
    ),
    ("Lambda", ALONE, [lambda_limits(200, 200)], "ok", "200 at once; 50 reserved"),
    (
        "Lambda",
        MANAGED,
        [lambda_limits(10, 10)],
        "warning",
        "10 at once: requests of the functions on demand",
    ),
    ("managed instances", MANAGED, [offers()], "failure", "no zone of the stage offers c7g.large"),
    (
        *("managed instances", MANAGED),
        [call("ec2 DescribeInstanceTypeOfferings", {"InstanceTypeOfferings": LARGE})],
        *("warning", "us-east-1f offers no c7g.large"),
    ),
    (
        *("managed instances", MANAGED, [refusal("lambda ListCapacityProviders", "UnknownOperation")]),
        *("warning", "does not list capacity providers (UnknownOperation)"),
    ),
    ("machines' quota", MANAGED, [quota("L-1216C47A", 5.0)], "failure", "needs 6 to run at all"),
    ("machines' quota", MANAGED, [quota("L-1216C47A", 32.0)], "warning", "48 needed for all"),
    ("machines' quota", MANAGED, [quota("L-1216C47A", 64.0)], "ok", "at most 48 needed"),
    ("addresses", PROD, [ADDRESSES], "failure", "3 of 5 in use; 3 more needed"),
    ("networks", DEV, [NETWORKS], "failure", "5 of 5 in use; 1 more needed"),
    ("networks", DEV, [NETWORKS, stack("ChatbotDevNetwork", "CREATE_COMPLETE")], "ok", "5 of 5"),
    (
        *("Aurora", DEV, [call("rds DescribeDBEngineVersions", {"DBEngineVersions": []})], "failure"),
        "no version 18 of Aurora PostgreSQL that scales down to 0 ACUs",
    ),
    (
        *("Bedrock", SERVERLESS, [refusal("bedrock GetFoundationModel", "ResourceNotFoundException")]),
        *("failure", "us-east-1 does not offer openai.gpt-oss-20b-1:0"),
    ),
    (
        *("Bedrock", hosted(served_name="vendor.model-v1:0"), [CLAUDE, model(agreement="NOT_AVAILABLE")]),
        *("warning", "its terms are not agreed to yet"),
    ),
    (
        *("Bedrock", SERVERLESS, [model(regionAvailability="NOT_AVAILABLE")], "failure"),
        "does not offer",
    ),
    (
        *("keys of servers", hosted(base_url="https://llm.example/v1", key_secret="arn:aws:…:key")),
        *(
            [refusal("secretsmanager DescribeSecret", "ResourceNotFoundException")],
            "failure",
            "arn:aws:…:key",
        ),
    ),
    (
        *("API Gateway's role", DEV),
        [call("apigateway GetAccount", {"cloudwatchRoleArn": f"{ROLE}theirs"})],
        *("warning", 'gateway_role="theirs" in infra/stages.py keeps it'),
    ),
    (
        *("API Gateway's role", DEV),
        [call("apigateway GetAccount", {"cloudwatchRoleArn": f"{ROLE}ChatbotDevApi-Logs-1A2B"})],
        *("ok", "ChatbotDevApi-Logs-1A2B"),
    ),
    ("API Gateway's role", THEIRS, [], "failure", "the account has none"),
    ("domain", domain("api.example.com"), [certificate("*.example.com", "ISSUED")], "ok", "ISSUED"),
    (
        "domain",
        domain("api.example.com"),
        [certificate("api.example.com", "PENDING_VALIDATION")],
        "failure",
        "DNS",
    ),
    ("domain", domain("api.example.com"), [certificate("example.com", "ISSUED")], "failure", "it is for"),
    (
        *("domain", domain("api.example.com", CERTIFICATE.replace("us-east-1", "eu-west-1")), [], "failure"),
        "is in eu-west-1; expected one in us-east-1",
    ),
    ("mail", replace(DEV, alarm_email="me@example.com"), [], "ok", "to me@example.com"),
]
NO_NAME = frozenset({"lambda.us-east-1.api.aws"})
IMAGE = "https://public.ecr.aws/v2/deep/vllm/manifests/sha256:"
# Title, stage, the machine, the status, and a part of the answer or its remedy.
MACHINES: list[tuple[str, Stage, GivenMachine, str, str]] = [
    ("Python 3.13", DEV, GivenMachine(python_path=None), "warning", "uv python install 3.13"),
    ("Node.js", DEV, GivenMachine(node_version="20.20.2"), "warning", "20.20.2; CDK supports 22 and newer"),
    ("Node.js", DEV, GivenMachine(node_version=None), "failure", "https://nodejs.org"),
    (
        *("RDS's certificates", DEV, GivenMachine(regions=frozenset({"eu-west-1"})), "failure"),
        "us-east-1-bundle.pem as layers/prisma/rds-ca/us-east-1.pem",
    ),
    ("engine's image", DEV, GivenMachine(statuses={HUB: 404}), "failure", "has no vllm/vllm-openai:v0.32.0"),
    ("engine's image", DEV, GivenMachine(statuses={}), "warning", "cannot be reached from here"),
    (
        *("engine's image", engine(image="public.ecr.aws/deep/vllm:v1@sha256:" + 64 * "a")),
        *(GivenMachine(statuses={IMAGE: 200}), "ok", "aaaa is there"),
    ),
    ("model's weights", DEV, GivenMachine(statuses={WEIGHTS: 404}), "failure", "has no revision b968826d"),
    (
        "model's weights",
        DEV,
        GivenMachine(statuses={WEIGHTS: 401}),
        "failure",
        "Qwen/Qwen3-8B is not there, or",
    ),
    ("IPv6 names", DEV, GivenMachine(without_ipv6=NO_NAME), "failure", "no IPv6 address: lambda.us-east-1"),
    ("IPv6 names", DEV, GivenMachine(without_ipv6=None), "warning", "resolver returns no IPv6 addresses"),
    ("IPv6 names", DEV, GivenMachine(without_ipv6=frozenset()), "ok", "may not be needed"),
]


def finding(title: str, stage: Stage, folder: Path, answers: list[Any], machine: GivenMachine) -> Finding:
    report = examine(stage, account("good", *answers), machine=machine, folder=folder)
    return next(each for each in report.findings if each.title == title)


@pytest.mark.parametrize("title", dict.fromkeys(row[0] for row in ROWS))
def test_of_the_account(title: str, tmp_path: Path) -> None:
    for number, (_, stage, answers, status, part) in enumerate(row for row in ROWS if row[0] == title):
        found = finding(title, stage, tmp_path / str(number), answers, GivenMachine())
        assert (found.status, part in f"{found.answer} → {found.remedy}") == (status, True), (part, found)


@pytest.mark.parametrize("title", dict.fromkeys(row[0] for row in MACHINES))
def test_of_this_machine(title: str, tmp_path: Path) -> None:
    for _, stage, machine, status, part in (row for row in MACHINES if row[0] == title):
        found = finding(title, stage, tmp_path, [], machine)
        assert (found.status, part in f"{found.answer} → {found.remedy}") == (status, True), (part, found)
