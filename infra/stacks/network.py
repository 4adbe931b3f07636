"""The network, and which parts may connect to which.

All security groups are here, so that no stack needs another one for a rule:

chat ─▶ balancer ─▶ engine :8000     only where there is a balancer; without one chat ─▶ engine
todos ─▶ database :5432              the migrating function is in todos' group
chat, todos, machines ─▶ AWS :443    by IPv6, or NAT; S3 and DynamoDB by the network's own gateways
engine ─▶ public addresses :443      S3; without NAT there is no way to any other

An engine on several machines may connect to itself. No other connection is allowed in. A prompt may name an
address to the engine, which therefore reaches no private one, and nothing by IPv6. Its machines have a group
of their own, since the agent that starts tasks, pulls images and writes logs is theirs. No security group can
bar a machine's link-local addresses: see SECURITY.md. Why there are no endpoints with a price:
docs/decisions/0025-a-network-without-endpoints.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network

from aws_cdk import Fn, Stack
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra.constructs.endpoint_policies import endpoint_policy
from infra.constructs.log_groups import log_group
from infra.inference.arguments import PORT
from infra.stages import Engine, Stage

ENGINE_PORT = PORT
DATABASE_PORT = 5432
HTTPS_PORT = 443
# Reached within the network, at no price; the prefix of their actions.
_GATEWAYS = {
    "S3": (ec2.GatewayVpcEndpointAwsService.S3, "s3"),
    "DynamoDb": (ec2.GatewayVpcEndpointAwsService.DYNAMODB, "dynamodb"),
}
_NOT_PUBLIC = [
    IPv4Network(text) for text in ("10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16")
]
_PRIVATE = ec2.SubnetConfiguration(name="Private", subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)


class NetworkStack(Stack):
    """A VPC, its gateways, and the security groups of everything in it.

    Shape:  `zones`: the names of its zones; None: the region's first ones. `subnets`: the private ones, one
            in each zone. Only where the stage has an engine: `machine_subnets`, those of its machines, which
            are public ones without NAT; `engine_group` and `machines_group`. `chat_group`: there, and with
            NAT, by which the chat function can be in the network. `balancer_group`: None where it has no load
            balancer.
    """

    chat_group: ec2.SecurityGroup
    engine_group: ec2.SecurityGroup
    machines_group: ec2.SecurityGroup
    machine_subnets: ec2.SubnetSelection

    def __init__(
        self, scope: Construct, construct_id: str, *, stage: Stage, zones: Sequence[str] | None = None
    ) -> None:
        super().__init__(
            scope, construct_id, description=f"Chatbot API, {stage.name}: network and security groups"
        )
        self._ipv6 = stage.egress == "ipv6"
        self.vpc = self._network(stage, zones)
        self.subnets = ec2.SubnetSelection(subnet_type=ec2.SubnetType.PRIVATE_WITH_EGRESS)
        # Only what is rejected: accepted requests are in the logs of what served them.
        self.vpc.add_flow_log(
            "FlowLog",
            destination=ec2.FlowLogDestination.to_cloud_watch_logs(
                log_group(self.vpc, "Refusals", stage=stage)
            ),
            traffic_type=ec2.FlowLogTrafficType.REJECT,
        )
        self.todos_group = self._group("Todos", "The todo function and the migrating function")
        self.database_group = self._group("Database", "The database")
        self.balancer_group: ec2.SecurityGroup | None = None
        _allow(self.todos_group, self.database_group, DATABASE_PORT, "Postgres")
        self._allow_aws(self.todos_group)
        if stage.engine or stage.egress == "nat":
            self.chat_group = self._group("Chat", "The chat function")
            self._allow_aws(self.chat_group)
        if stage.engine:
            self._add_engine(stage.engine)
        elif stage.egress == "nat":
            # Whether the function uses it or not: this stack is updated first, and could not take it away.
            self.export_value(self.chat_group.security_group_id)

    def _network(self, stage: Stage, zones: Sequence[str] | None) -> ec2.Vpc:
        has_public = bool(stage.engine) or not self._ipv6
        # A machine gets a public address by its launch template, where it needs one, and none by IPv6.
        public = ec2.SubnetConfiguration(
            name="Public",
            subnet_type=ec2.SubnetType.PUBLIC,
            cidr_mask=26,
            map_public_ip_on_launch=False,
            ipv6_assign_address_on_creation=False if self._ipv6 else None,
        )
        vpc = ec2.Vpc(
            self,
            "Vpc",
            # Not max_azs: a stack without a fixed region would have two zones, whatever the number.
            availability_zones=list(zones or [Fn.select(zone, Fn.get_azs()) for zone in range(stage.zones)]),
            ip_protocol=ec2.IpProtocol.DUAL_STACK if self._ipv6 else ec2.IpProtocol.IPV4_ONLY,
            # By IPv6 private subnets have an egress-only internet gateway.
            nat_gateways=0 if self._ipv6 else stage.zones,
            create_internet_gateway=has_public,
            subnet_configuration=[public, _PRIVATE] if has_public else [_PRIVATE],
        )
        for name, (gateway, prefix) in _GATEWAYS.items():
            if prefix == "s3" and not stage.engine:
                continue  # only the engine reads from S3
            endpoint = vpc.add_gateway_endpoint(name, service=gateway)
            for statement in endpoint_policy(prefix):
                endpoint.add_to_policy(statement)
        return vpc

    def _add_engine(self, engine: Engine) -> None:
        self.engine_group = self._group("Engine", "The inference engine")
        self.machines_group = self._group("Machines", "The machines of the inference engine")
        self.machine_subnets = (
            ec2.SubnetSelection(subnet_type=ec2.SubnetType.PUBLIC) if self._ipv6 else self.subnets
        )
        called = self.engine_group
        if engine.balancer:
            self.balancer_group = called = self._group("Balancer", "The load balancer of the engine")
            _allow(called, self.engine_group, ENGINE_PORT, "Completions and health checks")
        _allow(self.chat_group, called, ENGINE_PORT, "Completions")
        if engine.machines > 1:
            self.engine_group.connections.allow_internally(ec2.Port.all_tcp(), "The machines of one engine")
        # The agent of ECS uses IPv4 in a network that has both.
        self.machines_group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS_PORT), "AWS")
        for network in public_networks():
            self.engine_group.add_egress_rule(
                ec2.Peer.ipv4(str(network)), ec2.Port.tcp(HTTPS_PORT), "Weights, and media of allowed hosts"
            )

    def _allow_aws(self, function: ec2.SecurityGroup) -> None:
        """Allow a function AWS's services: the two that have gateways, and others by NAT, by IPv4."""
        function.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS_PORT), "AWS")
        if self._ipv6:
            function.add_egress_rule(ec2.Peer.any_ipv6(), ec2.Port.tcp(HTTPS_PORT), "AWS, by IPv6")

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
