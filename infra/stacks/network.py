"""The network, and which parts may connect to which.

All security groups are here, so that no stack needs another one for a rule:

chat ─▶ balancer ─▶ engine :8000     only where there is a balancer; without one chat ─▶ engine
todos ─▶ database :5432              the migrating function is in todos' group
chat, todos, engine ─▶ AWS :443      through endpoints, or NAT

No other connection is allowed in.
"""

from __future__ import annotations

from aws_cdk import Fn, Stack
from aws_cdk import aws_ec2 as ec2
from constructs import Construct

from infra.constructs.log_groups import log_group
from infra.inference.arguments import PORT
from infra.stages import Stage

ENGINE_PORT = PORT
DATABASE_PORT = 5432
HTTPS_PORT = 443
# What the functions and the engine call of AWS; S3 and DynamoDB have gateway endpoints.
_SERVICES = {
    "SecretsManager": ec2.InterfaceVpcEndpointAwsService.SECRETS_MANAGER,
    "Ecs": ec2.InterfaceVpcEndpointAwsService.ECS,
    "EcsAgent": ec2.InterfaceVpcEndpointAwsService.ECS_AGENT,
    "EcsTelemetry": ec2.InterfaceVpcEndpointAwsService.ECS_TELEMETRY,
    "Ecr": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrDocker": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
}
_GATEWAYS = {
    "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3),
    "DynamoDb": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.DYNAMODB),
}
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
        kinds = _PRIVATE if stage.egress == "endpoints" else _PUBLIC_AND_PRIVATE
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            # Not max_azs: a stack without a fixed region would have two zones, whatever the number.
            availability_zones=[Fn.select(zone, Fn.get_azs()) for zone in range(stage.zones)],
            subnet_configuration=kinds,
            gateway_endpoints=_GATEWAYS,
        )
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
        self.database_group = self._group("Database", "The database")
        self.balancer_group = (
            self._group("Balancer", "The load balancer of the engine") if stage.engine.balancer else None
        )
        _allow(self.todos_group, self.database_group, DATABASE_PORT, "Postgres")
        if self.balancer_group:
            _allow(self.chat_group, self.balancer_group, ENGINE_PORT, "Completions")
            _allow(self.balancer_group, self.engine_group, ENGINE_PORT, "Completions and health checks")
        else:
            _allow(self.chat_group, self.engine_group, ENGINE_PORT, "Completions")
        for group in (self.chat_group, self.todos_group, self.engine_group):
            group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS_PORT), "AWS")
        if stage.egress == "endpoints":
            # In one zone: each endpoint costs by the hour and zone, and serves all zones.
            first = ec2.SubnetSelection(subnets=[self.vpc.isolated_subnets[0]])
            endpoints = self._group("Endpoints", "The endpoints of AWS services")
            for caller in (self.chat_group, self.todos_group, self.engine_group):
                endpoints.add_ingress_rule(caller, ec2.Port.tcp(HTTPS_PORT), "AWS")
            for name, service in _SERVICES.items():
                self.vpc.add_interface_endpoint(
                    f"{name}Endpoint", service=service, subnets=first, security_groups=[endpoints], open=False
                )

    def _group(self, construct_id: str, description: str) -> ec2.SecurityGroup:
        """Make a group that allows nothing in or out by itself."""
        return ec2.SecurityGroup(
            self, construct_id, vpc=self.vpc, description=description, allow_all_outbound=False
        )


def _allow(caller: ec2.SecurityGroup, called: ec2.SecurityGroup, port: int, what: str) -> None:
    caller.add_egress_rule(called, ec2.Port.tcp(port), what)
    called.add_ingress_rule(caller, ec2.Port.tcp(port), what)
