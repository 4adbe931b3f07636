"""Which part can reach which: none from outside, and inside only the edges of the design."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network

import pytest

from .policies import Policies, Request, resolved
from .templates import Deployment, Json

GROUP = "AWS::EC2::SecurityGroup"
# Caller, called, port: all that can be reached at all.
WITH_ENDPOINTS = {
    ("Chat", "Engine", 8000),
    ("Todos", "Database", 5432),
    ("Chat", "Endpoints", 443),
    ("Todos", "Endpoints", 443),
    ("Machines", "Endpoints", 443),
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
    callers = ("Chat", "Todos", "Engine", "Machines")
    assert out - nothing == {(caller, 443, 443) for caller in callers}


def test_the_engine_reaches_public_addresses_only(deployment: Deployment) -> None:
    (group,) = [each for each in deployment.all(GROUP) if each.id.startswith("Engine")]
    rules = group.properties["SecurityGroupEgress"]
    reached = [IPv4Network(rule["CidrIp"]) for rule in rules]
    assert len(reached) <= 60, "AWS's quota for a group"
    for private in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16"):
        assert not any(each.overlaps(IPv4Network(private)) for each in reached), private
    missing = 2**32 - sum(each.num_addresses for each in reached)
    assert missing == 2**24 + 2**22 + 2**20 + 2**16, "expected all other addresses, S3's among them"


def test_the_network_itself_is_private(deployment: Deployment) -> None:
    (vpc,) = deployment.all("AWS::EC2::VPC")
    assert IPv4Network(vpc.properties["CidrBlock"]).subnet_of(IPv4Network("10.0.0.0/8"))


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


OURS, THEIRS = "111122223333", "444455556666"
PULL = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
LAYERS = "arn:aws:s3:::prod-eu-central-1-starport-layer-bucket/a"
SECRET, ROWS, LOG = (
    f"arn:aws:{kind}"
    for kind in (
        "secretsmanager:eu-central-1:{}:secret:Name-AbCdEf",
        "dynamodb:eu-central-1:{}:table/Keys-1ABC",
        "logs:eu-central-1:{}:log-group:Log-1ABC:log-stream:a",
    )
)
# The last part of a service's name, an action, its resource, whether it is allowed to our own account.
THROUGH: list[tuple[str, str, str, bool]] = [
    ("s3", "s3:GetObject", "arn:aws:s3:::weights/models/a", True),
    ("s3", "s3:ListBucket", "arn:aws:s3:::weights", True),
    ("s3", "s3:PutObject", "arn:aws:s3:::weights/models/a", False),
    ("s3", "s3:DeleteObject", "arn:aws:s3:::weights/models/a", False),
    *(
        ("dynamodb", f"dynamodb:{action}", ROWS, True)
        for action in ("GetItem", "PutItem", "Query", "UpdateItem")
    ),
    *(("dynamodb", f"dynamodb:{action}", ROWS, False) for action in ("Scan", "BatchGetItem", "DeleteItem")),
    ("secretsmanager", "secretsmanager:GetSecretValue", SECRET, True),
    ("secretsmanager", "secretsmanager:PutSecretValue", SECRET, False),
    *(
        (service, action, "arn:aws:ecr:eu-central-1:{}:repository/engines", True)
        for service in ("ecr.api", "ecr.dkr")
        for action in PULL
    ),
    ("ecr.dkr", "ecr:PutImage", "arn:aws:ecr:eu-central-1:{}:repository/engines", False),
    ("logs", "logs:PutLogEvents", LOG, True),
    ("logs", "logs:FilterLogEvents", LOG, False),
]


@pytest.mark.parametrize(("service", "action", "resource", "allowed"), THROUGH)
def test_endpoints_let_through_what_is_used_and_only_of_this_account(
    dev: Deployment, service: str, action: str, resource: str, allowed: bool
) -> None:
    policy = endpoint_policies(dev)[service]
    for caller, owner in ((OURS, OURS), (THEIRS, OURS), (OURS, THEIRS), (THEIRS, THEIRS)):
        context = {"aws:PrincipalAccount": caller, "aws:ResourceAccount": owner}
        request = Request(action, resource.format(owner), context)
        assert policy.allow(request) is (allowed and caller == owner == OURS), (caller, owner)


def test_the_layers_of_images_are_in_a_bucket_of_aws(dev: Deployment) -> None:
    s3 = endpoint_policies(dev)["s3"]
    theirs = {"aws:PrincipalAccount": THEIRS, "aws:ResourceAccount": THEIRS}
    assert s3.allow(Request("s3:GetObject", LAYERS, theirs))
    assert not s3.allow(Request("s3:PutObject", LAYERS, theirs))
    assert not s3.allow(Request("s3:GetObject", LAYERS.replace("prod-", "other-"), theirs))


@pytest.mark.parametrize("stage", ["dev", "prod"])
def test_every_endpoint_has_a_policy_where_its_service_takes_one(
    deployments: Mapping[str, Deployment], stage: str
) -> None:
    without = {service for service, policy in endpoint_policies(deployments[stage]).items() if not policy}
    assert without <= {"ecs", "ecs-agent", "ecs-telemetry"}


def endpoint_policies(deployment: Deployment) -> dict[str, Policies]:
    """Return the policies of all endpoints, by the last part of their service's name."""
    return {
        _service(each.properties): Policies(
            resolved(each.properties.get("PolicyDocument", {"Statement": []}))["Statement"]
        )
        for each in deployment.all("AWS::EC2::VPCEndpoint")
    }


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
