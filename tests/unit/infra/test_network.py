"""Which part can reach which: none from outside, and inside only the edges of the design."""

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network

import pytest
from aws_cdk import App
from aws_cdk.assertions import Template

from infra.stacks.network import NetworkStack
from infra.stages import DEV, PROD, Stage

from .policies import Policies, Request, resolved
from .templates import Deployment, Json

GROUP, ENDPOINT, ROUTE = "AWS::EC2::SecurityGroup", "AWS::EC2::VPCEndpoint", "AWS::EC2::Route"
# Caller, called, port: all that can be reached at all.
TODOS = {("Todos", "Database", 5432)}
WITH_ENGINE = TODOS | {("Chat", "Engine", 8000)}
WITH_BALANCER = TODOS | {("Chat", "Balancer", 8000), ("Balancer", "Engine", 8000)}


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


@pytest.mark.parametrize(
    ("stage", "edges"), [("serverless", TODOS), ("dev", WITH_ENGINE), ("prod", WITH_BALANCER)]
)
def test_only_these_can_reach_each_other(
    deployments: Mapping[str, Deployment], stage: str, edges: set[tuple[str, str, int]]
) -> None:
    found = {
        (_name(rule["SourceSecurityGroupId"]), called, rule["FromPort"])
        for called, rule in _ingress(deployments[stage])
    }
    assert found == edges
    assert all(rule["FromPort"] == rule["ToPort"] for _, rule in _ingress(deployments[stage]))


def test_each_egress_rule_has_its_ingress_rule(deployment: Deployment) -> None:
    out = {
        (_name(each.properties["GroupId"]), _name(each.properties["DestinationSecurityGroupId"]))
        for each in deployment.all(f"{GROUP}Egress")
    }
    assert out == {(_name(rule["SourceSecurityGroupId"]), called) for called, rule in _ingress(deployment)}


def test_only_https_leaves_and_only_from_what_calls_aws(deployment: Deployment) -> None:
    out = {(group, rule["FromPort"], rule["ToPort"]) for group, rule in _outward(deployment)}
    # CDK's way to say that nothing may leave: a rule that fits no packet.
    nothing = {(group, *ports) for group, *ports in out if ports == [252, 86]}
    callers = ("Chat", "Todos", "Engine", "Machines") if deployment.stage.engine else ("Todos",)
    assert out - nothing == {(caller, 443, 443) for caller in callers}


def test_only_the_functions_call_by_ipv6_and_only_where_there_is_no_nat(deployment: Deployment) -> None:
    by_ipv6 = {group for group, rule in _outward(deployment) if "CidrIpv6" in rule}
    functions = {"Chat", "Todos"} if deployment.stage.engine else {"Todos"}
    assert by_ipv6 == (functions if deployment.stage.egress == "ipv6" else set())


def test_the_engine_reaches_public_addresses_only(with_engine: Deployment) -> None:
    (group,) = [each for each in with_engine.all(GROUP) if each.id.startswith("Engine")]
    rules = group.properties["SecurityGroupEgress"]
    assert not [rule for rule in rules if "CidrIpv6" in rule], "a prompt may name any address"
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


def test_no_endpoint_has_a_price(deployment: Deployment) -> None:
    assert {each.properties["VpcEndpointType"] for each in deployment.all(ENDPOINT)} == {"Gateway"}
    gateways = {_service(each.properties) for each in deployment.all(ENDPOINT)}
    assert gateways == ({"s3", "dynamodb"} if deployment.stage.engine else {"dynamodb"})
    for each in deployment.all(ENDPOINT):
        assert len(each.properties["RouteTableIds"]) >= deployment.stage.zones


@pytest.mark.parametrize("stage", ["serverless", "dev"])
def test_private_subnets_without_nat_reach_the_internet_by_ipv6_alone(
    deployments: Mapping[str, Deployment], stage: str
) -> None:
    deployment = deployments[stage]
    (gateway,) = deployment.all("AWS::EC2::EgressOnlyInternetGateway")
    routes = [each.properties for each in deployment.all(ROUTE) if "EgressOnly" in str(each.properties)]
    private = _subnets(deployment, "Private")
    assert [(each["DestinationIpv6CidrBlock"], each["EgressOnlyInternetGatewayId"]) for each in routes] == [
        ("::/0", {"Ref": gateway.id})
    ] * len(private)
    assert {_name_of_subnet(each["RouteTableId"]["Ref"]) for each in routes} == set(private)
    for subnet in private.values():
        assert subnet["AssignIpv6AddressOnCreation"] is True
        assert subnet["MapPublicIpOnLaunch"] is False
    for kind in ("NatGateway", "EIP"):
        assert not deployment.all(f"AWS::EC2::{kind}"), kind
    others = [each.properties for each in deployment.all(ROUTE) if "EgressOnly" not in str(each.properties)]
    assert {_name_of_subnet(each["RouteTableId"]["Ref"]) for each in others} == set(
        _subnets(deployment, "Public")
    )


def test_the_machines_subnets_are_public_and_give_no_address_by_themselves(dev: Deployment) -> None:
    public = _subnets(dev, "Public")
    assert len(public) == dev.stage.zones
    for subnet in public.values():
        assert subnet["MapPublicIpOnLaunch"] is False, "the launch template's to give"
        assert not subnet.get("AssignIpv6AddressOnCreation")


def test_a_network_without_an_engine_has_no_public_subnet(serverless: Deployment) -> None:
    assert not _subnets(serverless, "Public")
    for kind in ("InternetGateway", "VPCGatewayAttachment"):
        assert not serverless.all(f"AWS::EC2::{kind}"), kind
    assert {re.sub(r"[0-9A-F]{8}$", "", each.id) for each in serverless.all(GROUP)} == {"Todos", "Database"}


def test_nothing_is_in_the_default_group_which_lets_its_members_call_each_other(
    deployment: Deployment,
) -> None:
    for kind, name in {
        "AWS::Lambda::Function": "VpcConfig",
        "AWS::ECS::Service": "NetworkConfiguration",
    }.items():
        for each in deployment.all(kind):
            network = each.properties.get(name, {}).get("AwsvpcConfiguration", each.properties.get(name))
            assert not network or network.get("SecurityGroupIds") or network.get("SecurityGroups"), each.id
    for each in deployment.all("AWS::RDS::DBCluster"):
        assert each.properties["VpcSecurityGroupIds"]
    for each in deployment.all("AWS::EC2::LaunchTemplate"):
        data = each.properties["LaunchTemplateData"]
        interfaces = data.get("NetworkInterfaces", [])
        assert data.get("SecurityGroupIds") or (all(one["Groups"] for one in interfaces) and interfaces)
    for each in deployment.all("AWS::ElasticLoadBalancingV2::LoadBalancer"):
        assert each.properties["SecurityGroups"]


@pytest.mark.parametrize("stage", [DEV, PROD], ids=lambda stage: str(stage.name))
def test_zones_are_those_that_are_named(stage: Stage) -> None:
    names = ["eu-central-1c", "eu-central-1a", "eu-central-1b"][: stage.zones]
    network = NetworkStack(App(), "Network", stage=stage, zones=names)
    subnets = Template.from_stack(network).find_resources("AWS::EC2::Subnet").values()
    zones = [each["Properties"]["AvailabilityZone"] for each in subnets]
    assert sorted(zones) == sorted(names * 2)


OURS, THEIRS = "111122223333", "444455556666"
LAYERS = "arn:aws:s3:::prod-eu-central-1-starport-layer-bucket/a"
ROWS = "arn:aws:dynamodb:eu-central-1:{}:table/Keys-1ABC"
CACHE = "arn:aws:s3:::weights/cache/Qwen/a.tar.gz"
# The last part of a service's name, an action, its resource, whether it is allowed to our own account.
THROUGH: list[tuple[str, str, str, bool]] = [
    ("s3", "s3:GetObject", "arn:aws:s3:::weights/models/a", True),
    ("s3", "s3:ListBucket", "arn:aws:s3:::weights", True),
    ("s3", "s3:PutObject", CACHE, True),
    ("s3", "s3:PutObject", "arn:aws:s3:::weights/models/a", False),
    ("s3", "s3:DeleteObject", CACHE, False),
    *(
        ("dynamodb", f"dynamodb:{action}", ROWS, True)
        for action in ("GetItem", "PutItem", "Query", "UpdateItem")
    ),
    *(("dynamodb", f"dynamodb:{action}", ROWS, False) for action in ("Scan", "BatchGetItem", "DeleteItem")),
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


def test_every_endpoint_has_a_policy(deployment: Deployment) -> None:
    assert all(endpoint_policies(deployment).values())


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


def _subnets(deployment: Deployment, kind: str) -> dict[str, Json]:
    """Return the subnets of a kind, as in "Public", by their construct ids."""
    return {
        re.sub(r"Subnet[0-9A-F]{8}$", "", each.id): each.properties
        for each in deployment.all("AWS::EC2::Subnet")
        if _subnet_type(each.properties) == kind
    }


def _name_of_subnet(route_table: str) -> str:
    return re.sub(r"RouteTable[0-9A-F]{8}$", "", route_table)


def _service(endpoint: Json) -> str:
    """Return the last part of a service's name, as in "ecr.api"."""
    name = endpoint["ServiceName"]
    text = name if isinstance(name, str) else str(name["Fn::Join"][1][-1])
    return text.removeprefix("com.amazonaws.").lstrip(".")


def _subnet_type(subnet: Json) -> str:
    (kind,) = [tag["Value"] for tag in subnet["Tags"] if tag["Key"] == "aws-cdk:subnet-type"]
    return str(kind)
