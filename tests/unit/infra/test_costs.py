"""The tables of docs/deploy.md are computed, and count what the templates have."""

from infra import costs
from infra.inference.capacity import DISK_GIB

from .templates import ROOT, Deployment

KINDS = {
    "NAT gateways, with their addresses": "AWS::EC2::EIP",
    "load balancer of the engine": "AWS::ElasticLoadBalancingV2::LoadBalancer",
    "DNS zone of the engine": "AWS::ServiceDiscovery::PrivateDnsNamespace",
    "secrets": "AWS::SecretsManager::Secret",
    "firewall": "AWS::WAFv2::WebACL",
    "dashboard": "AWS::CloudWatch::Dashboard",
}


def test_the_document_has_the_computed_tables() -> None:
    document = (ROOT / "docs/deploy.md").read_text()
    assert costs.written(document) == document, "run `.venv/bin/python -m infra.costs --write`"
    assert costs.DISK_GB == DISK_GIB


def test_a_bill_counts_what_the_templates_have(deployment: Deployment) -> None:
    found = {what: len(deployment.all(kind)) for what, kind in KINDS.items()}
    endpoints = [each.properties for each in deployment.all("AWS::EC2::VPCEndpoint")]
    zones = [len(each["SubnetIds"]) for each in endpoints if each["VpcEndpointType"] == "Interface"]
    alarms = [each.properties.get("Metrics", []) for each in deployment.all("AWS::CloudWatch::Alarm")]
    policies = [each.properties for each in deployment.all("AWS::ApplicationAutoScaling::ScalingPolicy")]
    found["interface endpoints"] = sum(zones)
    found["rules of the firewall"] = sum(
        len(acl.properties["Rules"]) for acl in deployment.all("AWS::WAFv2::WebACL")
    )
    found["metrics of alarms"] = sum(sum("MetricStat" in part for part in each) or 1 for each in alarms)
    found["metrics of the queue's alarms"] = 2 * sum(
        p["PolicyType"] == "TargetTrackingScaling" for p in policies
    )
    bill = costs.idle_month(deployment.stage)
    assert {what: bill[what][0] for what in found} == found
