"""What stages cost: the sums, and that they count what the templates have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from infra.costs import at_rest, engine
from infra.costs.__main__ import BEGIN, END, written
from infra.costs.lines import Line, total
from infra.costs.per_request import Assumptions, per_million_requests
from infra.costs.prices import HOURS, PRICES, usd
from infra.costs.tables import report
from infra.inference.capacity import DISK_GIB
from infra.stages import DEV, PROD, STAGES, Database, Engine, Stage

from .templates import Deployment

ROOT = Path(__file__).resolve().parents[3]


def _usd(lines: list[Line], what: str) -> float:
    (line,) = (line for line in lines if line.what == what)
    return line.usd


def test_the_document_says_what_the_code_computes() -> None:
    document = (ROOT / "docs/deploy.md").read_text()
    assert written(document) == document, "run `.venv/bin/python -m infra.costs --write`"


@pytest.mark.parametrize(
    "document",
    ["", BEGIN, END, END + BEGIN, BEGIN + END + BEGIN + END],
    ids=["no-mark", "no-end", "no-begin", "wrong-order", "twice"],
)
def test_a_document_without_its_marks_is_left_alone(document: str) -> None:
    with pytest.raises(ValueError, match=r"once each\.$"):
        written(document)


def test_what_is_around_the_marks_stays() -> None:
    document = written(f"before\n{BEGIN}{END}after\n")
    assert document == f"before\n{BEGIN}\n{report()}\n\n{END}after\n"
    assert written(document) == document


def test_the_report_has_each_stage_and_says_of_what_day_it_is() -> None:
    text = report()
    assert all(f" {name} |" in text for name in STAGES)
    assert "read on 2026-" in text


def test_dev_at_rest_pays_for_its_endpoints_above_all() -> None:
    lines = at_rest.at_rest(DEV)
    assert _usd(lines, "interface endpoints") == pytest.approx(7 * 0.01 * HOURS)
    assert _usd(lines, "GPU machines that never sleep") == 0
    assert total(lines) < 70


def test_a_machine_that_never_sleeps_is_paid_for_all_the_month() -> None:
    awake = replace(DEV, engine=replace(DEV.engine, tasks=(2, 2)))
    paid = _usd(at_rest.at_rest(awake), "GPU machines that never sleep")
    assert paid == pytest.approx(2 * HOURS * engine.gpu_hour(DEV.engine))


def test_each_database_instance_has_the_fewest_units() -> None:
    stage = replace(DEV, database=Database(capacity=(0.5, 2), readers=2))
    assert _usd(at_rest.at_rest(stage), "Aurora, its fewest ACUs") == pytest.approx(3 * 0.5 * 0.12 * HOURS)


def test_nat_costs_by_zone() -> None:
    two, three = (replace(DEV, egress="nat", zones=zones) for zones in (2, 3))
    assert total(at_rest.network(three)) == pytest.approx(1.5 * total(at_rest.network(two)))


def test_the_function_is_paid_for_while_it_waits() -> None:
    lines = per_million_requests(DEV, Assumptions(duration_s=10))
    assert _usd(lines, "Lambda, while it waits") == pytest.approx(133.33, abs=0.01)
    half = per_million_requests(replace(DEV, memory_mb=(512, 512)), Assumptions(duration_s=10))
    assert _usd(half, "Lambda, while it waits") == pytest.approx(133.33 / 2, abs=0.01)


def test_other_processors_have_other_prices() -> None:
    lines = per_million_requests(replace(DEV, architecture="x86_64"), Assumptions())
    assert _usd(lines, "Lambda, while it waits") == pytest.approx(10e6 * 0.0000166667)


def test_the_firewall_is_paid_for_where_there_is_one() -> None:
    assert total(per_million_requests(PROD, Assumptions())) - total(
        per_million_requests(replace(PROD, waf=False), Assumptions())
    ) == pytest.approx(0.60)


def test_a_machine_without_management_costs_less() -> None:
    own = replace(DEV.engine, capacity="auto_scaling_group")
    assert engine.gpu_hour(DEV.engine) == pytest.approx(1.12 * 0.8048)
    assert engine.gpu_hour(own) == pytest.approx(0.8048 + DISK_GIB * 0.08 / HOURS)


def test_one_wake_is_the_start_and_the_quiet_time() -> None:
    assert engine.wake(Engine(start_s=600, quiet_minutes=20)) == pytest.approx(engine.gpu_hour(Engine()) / 2)


def test_at_the_break_even_a_million_tokens_cost_the_price() -> None:
    rate = engine.break_even(DEV.engine, 0.5)
    assert engine.million_tokens(DEV.engine, rate) == pytest.approx(0.5)


def test_a_machine_without_a_price_says_where_to_add_it() -> None:
    with pytest.raises(LookupError, match=r"a price of p5\.48xlarge in infra/costs/prices\.py"):
        engine.gpu_hour(replace(DEV.engine, instance_type="p5.48xlarge"))


@pytest.mark.parametrize("stage", STAGES.values(), ids=lambda stage: stage.name)
def test_every_stage_runs_on_a_machine_with_a_price(stage: Stage) -> None:
    assert stage.engine.instance_type in PRICES


def test_a_price_is_multiplied() -> None:
    assert usd("secret", 3) == pytest.approx(1.2)


# ── the templates have what is paid for


def _quantity(deployment: Deployment, what: str) -> float:
    """Return how many of something the bill counts, by the first number of its line; none: 0."""
    lines = [line.quantity for line in at_rest.at_rest(deployment.stage) if line.what == what]
    return float(lines[0].split()[0].strip(",")) if lines else 0


@pytest.mark.parametrize(
    ("what", "kind"),
    [
        ("NAT gateways", "AWS::EC2::NatGateway"),
        ("their public addresses", "AWS::EC2::EIP"),
        ("load balancer", "AWS::ElasticLoadBalancingV2::LoadBalancer"),
        ("private DNS name of the engine", "AWS::ServiceDiscovery::PrivateDnsNamespace"),
        ("secrets", "AWS::SecretsManager::Secret"),
        ("firewall", "AWS::WAFv2::WebACL"),
        ("dashboard", "AWS::CloudWatch::Dashboard"),
        ("key of the alarms' topic", "AWS::KMS::Key"),
    ],
    ids=lambda each: each.replace(" ", "-"),
)
def test_the_bill_counts_what_the_templates_have(deployment: Deployment, what: str, kind: str) -> None:
    assert _quantity(deployment, what) == len(deployment.all(kind))


def test_the_bill_counts_each_endpoint_in_each_of_its_zones(deployment: Deployment) -> None:
    endpoints = [each.properties for each in deployment.all("AWS::EC2::VPCEndpoint")]
    zones = [len(each["SubnetIds"]) for each in endpoints if each["VpcEndpointType"] == "Interface"]
    assert _quantity(deployment, "interface endpoints") == sum(zones)


def test_the_bill_counts_the_firewall_s_rules(deployment: Deployment) -> None:
    rules = [len(acl.properties["Rules"]) for acl in deployment.all("AWS::WAFv2::WebACL")]
    assert _quantity(deployment, "its rules") == sum(rules)


def test_the_bill_counts_the_metrics_of_each_alarm(deployment: Deployment) -> None:
    alarms = [each.properties for each in deployment.all("AWS::CloudWatch::Alarm")]
    metrics = [sum("MetricStat" in part for part in each.get("Metrics", [])) or 1 for each in alarms]
    assert _quantity(deployment, "alarms") == sum(metrics)


def test_the_bill_counts_the_alarms_that_scaling_makes(deployment: Deployment) -> None:
    policies = [each.properties for each in deployment.all("AWS::ApplicationAutoScaling::ScalingPolicy")]
    following = [each for each in policies if each["PolicyType"] == "TargetTrackingScaling"]
    assert _quantity(deployment, "alarms of the scaling") == 2 * len(following)


def test_the_bill_counts_the_functions_that_are_kept_as_snapshots(deployment: Deployment) -> None:
    functions = [each.properties for each in deployment.all("AWS::Lambda::Function")]
    kept = [each for each in functions if each.get("SnapStart", {}).get("ApplyOn") == "PublishedVersions"]
    assert _quantity(deployment, "snapshots of the functions") == len(kept)


def test_nothing_else_of_the_templates_is_paid_for_by_the_hour(deployment: Deployment) -> None:
    """Types that cost by being there, and have no line; a new one of them needs its line."""
    paid = {
        "AWS::EC2::Instance",
        "AWS::EFS::FileSystem",
        "AWS::ElastiCache::ReplicationGroup",
        "AWS::EC2::TransitGateway",
        "AWS::EC2::VPNConnection",
        "AWS::RDS::DBProxy",
        "AWS::NetworkFirewall::Firewall",
        "AWS::KinesisFirehose::DeliveryStream",
        "AWS::Synthetics::Canary",
    }
    assert [kind for kind in paid if deployment.all(kind)] == []
    provisioned = [
        each
        for each in deployment.all("AWS::Lambda::Alias")
        if "ProvisionedConcurrencyConfig" in each.properties
    ]
    assert provisioned == []
