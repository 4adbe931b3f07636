"""The tables of docs/deploy.md are computed, and count what the templates have."""

import json
from dataclasses import replace

import pytest

from infra import costs
from infra.inference import machine
from infra.stages import DEV, STAGES, Engine

from .templates import ROOT, Deployment, Resource

FUNCTION = "AWS::Lambda::Function"
KINDS = {
    "NAT gateways, with their addresses": "AWS::EC2::EIP",
    "load balancer of the engine": "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "DNS zone of the engine": "AWS::ServiceDiscovery::PrivateDnsNamespace",
    "secrets": "AWS::SecretsManager::Secret",
    "firewall": "AWS::WAFv2::WebACL",
    "dashboard, free among an account's first three": "AWS::CloudWatch::Dashboard",
    "disk of the stopped machine": "AWS::AutoScaling::WarmPool",
}


def test_the_document_has_the_computed_tables() -> None:
    document = (ROOT / "docs/deploy.md").read_text()
    assert costs.written(document) == document, "run `.venv/bin/python -m infra.costs --write`"


def test_the_disks_are_those_of_the_machines() -> None:
    for warm_pool, numbers in costs.DISKS.items():
        disk = machine.disk(Engine(warm_pool=warm_pool))
        assert (disk.gib, disk.mib_s, disk.iops) == numbers


def test_dev_costs_5_dollars_without_requests_and_15_with_a_warm_pool() -> None:
    assert costs.total(costs.idle_month(STAGES["serverless"])) < costs.total(costs.idle_month(DEV)) <= 5
    assert costs.total(costs.idle_month(costs.with_pool())) <= 15


def test_an_engine_that_always_runs_costs_its_hours_and_one_with_nat_no_address() -> None:
    engine = Engine(tasks=(2, 4))
    machines, usd = costs.idle_month(replace(DEV, engine=engine))["GPU machines that always run"]
    assert machines * usd == pytest.approx(2 * 730 * costs.gpu_hour(engine))
    through_nat = costs.idle_month(replace(DEV, engine=engine, egress="nat"))["GPU machines that always run"]
    assert usd - through_nat[1] == pytest.approx(730 * 0.005)
    with pytest.raises(KeyError, match=r"p5\.48xlarge"):
        costs.gpu_hour(Engine(instance_type="p5.48xlarge"))


def test_bedrock_s_tokens_are_a_line_of_their_own_where_it_answers_all() -> None:
    for stage in STAGES.values():
        bill = costs.million_completions(stage)
        tokens = [bill[f"Bedrock, million tokens of {what}"][0] for what in ("prompts", "completions")]
        assert tokens == ([0, 0] if stage.engine else [500, 300])


def test_the_dashboard_is_one_of_the_free_ones(deployment: Deployment) -> None:
    """CloudWatch's free tier, by public copies of its page: three dashboards of up to 50 metrics each."""
    (dashboard,) = deployment.all("AWS::CloudWatch::Dashboard")
    parts = dashboard.properties["DashboardBody"]["Fn::Join"][1]
    body = json.loads("".join(part if isinstance(part, str) else "-" for part in parts))
    metrics = [metric for each in body["widgets"] for metric in each["properties"].get("metrics", [])]
    assert 0 < sum(not isinstance(metric[0], dict) for metric in metrics) <= 50


def test_a_bill_counts_what_the_templates_have(deployment: Deployment) -> None:
    found = {what: len(deployment.all(kind)) for what, kind in KINDS.items()}
    alarms = [each.properties.get("Metrics", []) for each in deployment.all("AWS::CloudWatch::Alarm")]
    policies = [each.properties for each in deployment.all("AWS::ApplicationAutoScaling::ScalingPolicy")]
    found["rules of the firewall"] = sum(
        len(acl.properties["Rules"]) for acl in deployment.all("AWS::WAFv2::WebACL")
    )
    found["metrics of alarms"] = sum(sum("MetricStat" in part for part in each) or 1 for each in alarms)
    found["metrics of the queue's alarms"] = 2 * sum(
        p["PolicyType"] == "TargetTrackingScaling" for p in policies
    )
    bill = costs.idle_month(deployment.stage)
    assert {what: bill[what][0] for what in found} == found
    for cluster in deployment.all("AWS::ECS::Cluster"):
        values = [each["Value"] for each in cluster.properties["ClusterSettings"]]
        assert values == ["disabled"], "container insights are not in the bill"
    memory = sum(each.properties["MemorySize"] for each in deployment.all(FUNCTION) if _streams(each))
    assert bill["snapshots of the functions, GB"][0] == deployment.stage.snap_start * memory / 1024


def _streams(function: Resource) -> bool:
    variables = function.properties.get("Environment", {}).get("Variables", {})
    return "AWS_LAMBDA_EXEC_WRAPPER" in variables
