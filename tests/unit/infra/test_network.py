"""Which part can reach which: none from outside, and inside only the edges of the design."""

import re
from collections.abc import Iterator, Mapping

import pytest

from .templates import Deployment, Json

GROUP = "AWS::EC2::SecurityGroup"
# Caller, called, port: all that can be reached at all.
WITH_ENDPOINTS = {
    ("Chat", "Engine", 8000),
    ("Todos", "Database", 5432),
    ("Chat", "Endpoints", 443),
    ("Todos", "Endpoints", 443),
    ("Engine", "Endpoints", 443),
}
WITH_BALANCER = {("Chat", "Balancer", 8000), ("Balancer", "Engine", 8000), ("Todos", "Database", 5432)}


def _name(reference: Json) -> str:
    """Return the construct id of a group, without the hash in its logical id."""
    return re.sub(r"[0-9A-F]{8}$", "", str(reference["Fn::GetAtt"][0]))


def _ingress(deployment: Deployment) -> Iterator[tuple[str, Json]]:
    """Yield every rule that lets something in, with the group that it is for."""
    for group in deployment.all(GROUP):
        for rule in group.properties.get("SecurityGroupIngress", ()):
            yield group.id, rule
    for rule in deployment.all(f"{GROUP}Ingress"):
        yield _name(rule.properties["GroupId"]), rule.properties


def _outward(deployment: Deployment) -> Iterator[tuple[str, Json]]:
    """Yield every rule that lets something out to addresses."""
    for each in deployment.all(GROUP):
        for rule in each.properties.get("SecurityGroupEgress", ()):
            if "CidrIp" in rule or "CidrIpv6" in rule:
                yield re.sub(r"[0-9A-F]{8}$", "", each.id), rule


def test_no_address_is_allowed_in(deployment: Deployment) -> None:
    rules = list(_ingress(deployment))
    assert rules
    for group, rule in rules:
        assert "CidrIp" not in rule, group
        assert "CidrIpv6" not in rule, group
        assert "SourcePrefixListId" not in rule, group


@pytest.mark.parametrize(("stage", "edges"), [("dev", WITH_ENDPOINTS), ("prod", WITH_BALANCER)])
def test_only_these_can_reach_each_other(
    deployments: Mapping[str, Deployment], stage: str, edges: set[tuple[str, str, int]]
) -> None:
    found = {
        (_name(rule["SourceSecurityGroupId"]), called, rule["FromPort"])
        for called, rule in _ingress(deployments[stage])
    }
    assert found == edges
    assert all(rule["FromPort"] == rule["ToPort"] for _, rule in _ingress(deployments[stage]))


def test_each_egress_rule_has_its_ingress_rule(dev: Deployment, prod: Deployment) -> None:
    for deployment in (dev, prod):
        out = {
            (_name(each.properties["GroupId"]), _name(each.properties["DestinationSecurityGroupId"]))
            for each in deployment.all(f"{GROUP}Egress")
        }
        let_in = {(_name(rule["SourceSecurityGroupId"]), called) for called, rule in _ingress(deployment)}
        assert out == {(caller, called) for caller, called in let_in if called != "Endpoints"}


def test_only_https_leaves_and_only_from_what_calls_aws(deployment: Deployment) -> None:
    out = {(group, rule["FromPort"], rule["ToPort"]) for group, rule in _outward(deployment)}
    # CDK's way to say that nothing may leave: a rule that fits no packet.
    nothing = {(group, *ports) for group, *ports in out if ports == [252, 86]}
    assert out - nothing == {("Chat", 443, 443), ("Todos", 443, 443), ("Engine", 443, 443)}


def test_all_groups_and_rules_are_in_the_network(deployment: Deployment) -> None:
    for kind in (GROUP, f"{GROUP}Ingress", f"{GROUP}Egress"):
        assert deployment.all(kind) == deployment.all(kind, "Network")


def test_every_group_and_rule_says_what_it_is_for(deployment: Deployment) -> None:
    for group in deployment.all(GROUP):
        assert group.properties["GroupDescription"] != "", group.id
        assert "/" not in group.properties["GroupDescription"], "CDK's own words"
    for called, rule in _ingress(deployment):
        assert not rule["Description"].startswith("from "), called


def test_dev_has_no_way_to_the_internet(dev: Deployment) -> None:
    for kind in ("NatGateway", "InternetGateway", "EgressOnlyInternetGateway", "EIP", "Route"):
        assert not dev.all(f"AWS::EC2::{kind}"), kind
    endpoints = dev.all("AWS::EC2::VPCEndpoint")
    interfaces = {_service(each.properties) for each in endpoints if _is_interface(each.properties)}
    assert interfaces == {"secretsmanager", "ecs", "ecs-agent", "ecs-telemetry", "ecr.api", "ecr.dkr", "logs"}
    for each in endpoints:
        assert len(each.properties.get("SubnetIds", ())) <= 1, "each zone of an endpoint costs"
        assert not _is_interface(each.properties) or each.properties["PrivateDnsEnabled"] is True


def test_dynamodb_and_s3_are_reached_without_nat(deployment: Deployment) -> None:
    gateways = [
        each.properties
        for each in deployment.all("AWS::EC2::VPCEndpoint")
        if not _is_interface(each.properties)
    ]
    assert {_service(each) for each in gateways} == {"s3", "dynamodb"}
    for each in gateways:
        assert len(each["RouteTableIds"]) >= deployment.stage.zones


def test_prod_has_three_zones(prod: Deployment) -> None:
    private = [each for each in prod.all("AWS::EC2::Subnet") if _subnet_type(each.properties) == "Private"]
    zones = [each.properties["AvailabilityZone"]["Fn::Select"][0] for each in private]
    assert sorted(zones) == [0, 1, 2]
    assert len(prod.all("AWS::EC2::NatGateway")) == 3
    for each in prod.all("AWS::EC2::Subnet"):
        assert each.properties["MapPublicIpOnLaunch"] is False


def test_rejected_connections_are_logged(deployment: Deployment) -> None:
    (flow,) = deployment.all("AWS::EC2::FlowLog")
    assert flow.properties["TrafficType"] == "REJECT"
    log = deployment.one("AWS::Logs::LogGroup", "Network")
    assert log.properties["RetentionInDays"] == deployment.stage.log_days


def _is_interface(endpoint: Json) -> bool:
    return bool(endpoint["VpcEndpointType"] == "Interface")


def _service(endpoint: Json) -> str:
    """Return the last part of a service's name, as in "ecr.api"."""
    name = endpoint["ServiceName"]
    text = name if isinstance(name, str) else str(name["Fn::Join"][1][-1])
    return text.removeprefix("com.amazonaws.").lstrip(".")


def _subnet_type(subnet: Json) -> str:
    (kind,) = [tag["Value"] for tag in subnet["Tags"] if tag["Key"] == "aws-cdk:subnet-type"]
    return str(kind)
