"""The network, and which parts may connect to which.

All security groups are here, so that no stack needs another one for a rule:

chat ─▶ balancer ─▶ engine :8000     only where there is a balancer; without one chat ─▶ engine
todos ─▶ database :5432              the migrating function is in todos' group
chat, todos, machines ─▶ AWS :443    through endpoints, or NAT
engine ─▶ public addresses :443      S3; with endpoints there is no way to any other

No other connection is allowed in. A prompt may name an address to the engine, which therefore reaches no
private one. Its machines have a group of their own, since the agent that starts tasks, pulls images and
writes logs is theirs. No security group can bar a machine's link-local addresses: see SECURITY.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from aws_cdk import Fn, Stack
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra.constructs.endpoint_policies import endpoint_policy
from infra.constructs.log_groups import log_group
from infra.inference.arguments import PORT
from infra.stages import Stage

ENGINE_PORT = PORT
DATABASE_PORT = 5432
HTTPS_PORT = 443
# What the functions and the engine's machines call of AWS, and the prefix of its actions.
_SERVICES = {
    "SecretsManager": (ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER, "secretsmanager"),
    "Ecs": (ec2.InterfaceVpcEndpointAwsService.ECS, "ecs"),
    "EcsAgent": (ec2.InterfaceVpcEndpointAwsService.ECS_AGENT, "ecs"),
    "EcsTelemetry": (ec2.InterfaceVpcEndpointAwsService.ECS_TELEMETRY, "ecs"),
    "Ecr": (ec2.InterfaceVpcEndpointAwsService.ECR, "ecr"),
    "EcrDocker": (ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER, "ecr"),
    "Logs": (ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS, "logs"),
}
_GATEWAYS = {
    "S3": (ec2.GatewayVpcEndpointAwsService.S3, "s3"),
    "DynamoDb": (ec2.GatewayVpcEndpointAwsService.DYNAMODB, "dynamodb"),
}
_NOT_PUBLIC = [
    IPv4Network(text) for text in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
]
_PRIVATE = [ec2.SubnetConfiguration(name="Private", subnet_type=ec2.SubnetType.PRIVATE_ISOLATED)]
_PUBLIC_AND_PRIVATE = [
    ec2.SubnetConfiguration(
        name="Public", subnet_type=ec2.SubnetType.PUBLIC, cidr_mask=26, map_public_ip_on_launch=False
    ),
    ec2.SubnetConfiguration(name="Private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS),
]


class NetworkStack(Stack):
    """A VPC of private subnets, its endpoints of AWS services, and the security groups of everything in it.

    Shape:  `subnets`: the private ones, one in each zone. `balancer_group`: None where the stage has no load
            balancer.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage) -> None:
        super().__init__(
            scope, construct_id, description=f"Chatbot API, {stage.name}: network and security groups"
        )
        kinds = _PRIVATE if stage.egress == "ipv6" else _PUBLIC_AND_PRIVATE
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            # Not max_azs: a stack without a fixed region would have two zones, whatever the number.
            availability_zones=[Fn.select(zone, Fn.get_azs()) for zone in range(stage.zones)],
            subnet_configuration=kinds,
        )
        for name, (gateway, prefix) in _GATEWAYS.items():
            endpoint = self.vpc.add_gateway_endpoint(name, service=gateway)
            for statement in endpoint_policy(prefix):
                endpoint.add_to_policy(statement)
        self.subnets = ec2.SubnetSelection(subnet_type=kinds[-1].subnet_type)
        # Only what is rejected: accepted requests are in the logs of what served them.
        self.vpc.add_flow_log(
            "FlowLog",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(
                log_group(self.vpc, "Refusals", stage=stage)
            ),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )
        self.chat_group = self._group("Chat", "The chat function")
        self.todos_group = self._group("Todos", "The todo function and the migrating function")
        self.engine_group = self._group("Engine", "The inference engine")
        self.machines_group = self._group("Machines", "The machines of the inference engine")
        self.database_group = self._group("Database", "The database")
        self.balancer_group = (
            self._group("Balancer", "The load balancer of the engine")
            if stage.engine and stage.engine.balancer
            else None
        )
        _allow(self.todos_group, self.database_group, DATABASE_PORT, "Postgres")
        if self.balancer_group:
            _allow(self.chat_group, self.balancer_group, ENGINE_PORT, "Completions")
            _allow(self.balancer_group, self.engine_group, ENGINE_PORT, "Completions and health checks")
        else:
            _allow(self.chat_group, self.engine_group, ENGINE_PORT, "Completions")
        callers = (self.chat_group, self.todos_group, self.machines_group)
        for group in callers:
            group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS_PORT), "AWS")
        for network in public_networks():
            self.engine_group.add_egress_rule(
                ec2.Peer.ipv4(str(network)), ec2.Port.tcp(HTTPS_PORT), "Weights, and media of allowed hosts"
            )
        if stage.egress == "ipv6":
            self._add_endpoints(callers)

    def _add_endpoints(self, callers: tuple[ec2.SecurityGroup, ...]) -> None:
        # In one zone: each endpoint costs by the hour and zone, and serves all zones.
        first = ec2.SubnetSelection(subnets=[self.vpc.isolated_subnets[0]])
        endpoints = self._group("Endpoints", "The endpoints of AWS services")
        for caller in callers:
            endpoints.add_ingress_rule(caller, ec2.Port.tcp(HTTPS_PORT), "AWS")
        for name, (service, prefix) in _SERVICES.items():
            endpoint = self.vpc.add_interface_endpoint(
                f"{name}Endpoint", service=service, subnets=first, security_groups=[endpoints], open=False
            )
            for statement in endpoint_policy(prefix):
                endpoint.add_to_policy(statement)

    def _group(self, construct_id: str, description: str) -> ec2.SecurityGroup:
        """Make a group that allows nothing in or out by itself."""
        return ec2.SecurityGroup(
            self, construct_id, vpc=self.vpc, description=description, allow_all_outbound=False
        )


def public_networks() -> Iterator[IPv4Network]:
    """Yield networks that together are all addresses but the private and the shared ones, in order."""
    left = [IPv4Network("0.0.0.0/0")]
    for private in _NOT_PUBLIC:
        left = [
            part
            for network in left
            for part in (network.address_exclude(private) if private.subnet_of(network) else [network])
        ]
    yield from sorted(left)


def _allow(caller: ec2.SecurityGroup, called: ec2.SecurityGroup, port: int, what: str) -> None:
    caller.add_egress_rule(called, ec2.Port.tcp(port), what)
    called.add_ingress_rule(caller, ec2.Port.tcp(port), what)
