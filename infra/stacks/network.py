"""The network, and who may speak to whom in it.

All security groups live here, so that no stack needs another one for a rule:

chat ─▶ balancer ─▶ engine :8000     only where there is a balancer; without one chat ─▶ engine
todos ─▶ database :5432              the migrating function is in todos' group
chat, todos, engine ─▶ AWS :443      through endpoints, or NAT

Nothing else comes in anywhere.
"""

from __future__ import annotations

from aws_cdk import Fn, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.constructs.retention import retention
from infra.inference.arguments import PORT
from infra.stages import Stage

ENGINE_PORT = PORT
DATABASE_PORT = 5432
HTTPS_PORT = 443
# What the functions and the engine ask of AWS; S3 and DynamoDB have gateway endpoints.
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
    """A VPC of private subnets, its doors to AWS, and the security groups of everything in it.

    Shape:  `subnets`: the private ones, one in each zone. `balancer`: None where the stage has no balancer.
    """

    def __init__(self, scope: Construct, construct_id: str, *, stage: Stage) -> None:
        super().__init__(
            scope, construct_id, description=f"Chatbot API, {stage.name}: network and security groups"
        )
        kinds = _PRIVATE if stage.egress == "endpoints" else _PUBLIC_AND_PRIVATE
        self.vpc = ec2.Vpc(
            self,
            "Vpc",
            # Not max_azs: a stack of no certain region is given two zones, whatever is asked.
            availability_zones=[Fn.select(zone, Fn.get_azs()) for zone in range(stage.zones)],
            subnet_configuration=kinds,
            gateway_endpoints=_GATEWAYS,
        )
        self.subnets = ec2.SubnetSelection(subnet_type=kinds[-1].subnet_type)
        _log_refusals(self.vpc, stage)
        self.chat = self._group("Chat", "The chat function")
        self.todos = self._group("Todos", "The todo function and the migrating function")
        self.engine = self._group("Engine", "The inference engine")
        self.database = self._group("Database", "The database")
        self.balancer = (
            self._group("Balancer", "The load balancer of the engine") if stage.engine.balancer else None
        )
        self._let_speak()
        if stage.egress == "endpoints":
            self._open_endpoints()

    def _group(self, construct_id: str, description: str) -> ec2.SecurityGroup:
        """Make a group that lets nothing in or out by itself."""
        return ec2.SecurityGroup(
            self, construct_id, vpc=self.vpc, description=description, allow_all_outbound=False
        )

    def _let_speak(self) -> None:
        _allow(self.todos, self.database, DATABASE_PORT, "Postgres")
        if self.balancer:
            _allow(self.chat, self.balancer, ENGINE_PORT, "Completions")
            _allow(self.balancer, self.engine, ENGINE_PORT, "Completions and health checks")
        else:
            _allow(self.chat, self.engine, ENGINE_PORT, "Completions")
        for group in (self.chat, self.todos, self.engine):
            group.add_egress_rule(ec2.Peer.any_ipv4(), ec2.Port.tcp(HTTPS_PORT), "AWS")

    def _open_endpoints(self) -> None:
        """Open the interface endpoints in one zone only: each costs by the hour and zone, and serves all."""
        group = self._group("Endpoints", "The endpoints of AWS services")
        for caller in (self.chat, self.todos, self.engine):
            group.add_ingress_rule(caller, ec2.Port.tcp(HTTPS_PORT), "AWS")
        first = ec2.SubnetSelection(subnets=[self.vpc.isolated_subnets[0]])
        for name, service in _SERVICES.items():
            self.vpc.add_interface_endpoint(
                f"{name}Endpoint", service=service, subnets=first, security_groups=[group], open=False
            )


def _log_refusals(vpc: ec2.Vpc, stage: Stage) -> None:
    """Log what the security groups turn away; what they let in is in the logs of whoever was asked."""
    group = logs.LogGroup(
        vpc, "Refusals", retention=retention(stage.log_days), removal_policy=RemovalPolicy.DESTROY
    )
    vpc.add_flow_log(
        "FlowLog",
        destination=ec2.FlowLogDestination.to_cloud_watch_logs(group),
        traffic_type=ec2.FlowLogTrafficType.REJECT,
    )


def _allow(caller: ec2.SecurityGroup, called: ec2.SecurityGroup, port: int, what: str) -> None:
    caller.add_egress_rule(called, ec2.Port.tcp(port), what)
    called.add_ingress_rule(caller, ec2.Port.tcp(port), what)
