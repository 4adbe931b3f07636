"""The inference engine: vLLM on GPU machines, reachable only for the chat function."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_autoscaling as autoscaling
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.constructs.log_groups import log_group
from infra.inference import endpoint, timeouts
from infra.inference.arguments import PORT
from infra.inference.capacity import add_capacity
from infra.inference.ordering import Order
from infra.inference.scaling import Scaling
from infra.inference.task import task
from infra.stacks.network import NetworkStack
from infra.stacks.supply import SupplyStack
from infra.stages import Engine, Stage


class EngineStack(Stack):
    """A cluster with GPU machines, the service on it, its order, its endpoint and its scaling.

    Shape:  `base_url`: where OpenAI's paths begin.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        engine: Engine,
        network: NetworkStack,
        supply: SupplyStack,
        engine_key: secretsmanager.ISecret,
    ) -> None:
        super().__init__(scope, construct_id, description=f"Chatbot API, {stage.name}: the inference engine")
        # The network's stack has all rules: these copies of its groups accept no more.
        security_group = self._immutable("Group", network.engine_group)
        log = log_group(self, "Log", stage=stage)
        self.cluster = ecs.Cluster(
            self, "Cluster", vpc=network.vpc, container_insights_v2=ecs.ContainerInsights.ENHANCED
        )
        definition = task(
            self,
            "Task",
            stage=stage,
            engine=engine,
            vpc=network.vpc,
            supply=supply.supply,
            order=Order(self, "Order", stage=stage, engine=engine, build=supply.supply.build),
            key=engine_key,
            log=log,
        )
        self.service = self._service(definition, stage, engine, network, security_group)
        host = endpoint.host_name(stage)
        if network.balancer_group:
            host = endpoint.add_load_balancer(
                self,
                "Balancer",
                service=self.service,
                vpc=network.vpc,
                subnets=network.subnets,
                security_group=self._immutable("BalancerGroup", network.balancer_group),
            ).load_balancer_dns_name
        machines = self.cluster.node.find_child("Machines")
        assert isinstance(machines, autoscaling.AutoScalingGroup)
        self.machines = machines
        self.base_url = f"http://{host}:{PORT}/v1"
        self.service_arn = self.format_arn(
            service="ecs",
            resource="service",
            resource_name=f"{self.cluster.cluster_name}/{self.service.service_name}",
        )
        # TODO(engine owner): the scaler function; its ARN, None where the engine always runs.
        self.scaler_arn: str | None = None
        Scaling(self, "Scaling", stage=stage, engine=engine, cluster=self.cluster, service=self.service)

    def _service(
        self,
        definition: ecs.TaskDefinition,
        stage: Stage,
        engine: Engine,
        network: NetworkStack,
        security_group: ec2.ISecurityGroup,
    ) -> ecs.BaseService:
        """Make the service.

        Without a number of tasks, CloudFormation starts one at the first deployment, and later keeps as many
        as there are. A service that scales to zero has the number 0: a first deployment neither waits for a
        GPU nor fails without one, and a later one that replaces the task leaves none, until a request.
        """
        provider = add_capacity(
            self.cluster,
            engine=engine,
            vpc=network.vpc,
            subnets=network.subnets,
            security_group=self._immutable("MachinesGroup", network.machines_group),
        )
        zone = None if engine.balancer else endpoint.add_dns_zone(self, "Names", stage=stage, vpc=network.vpc)
        to_zero = engine.scales_to_zero
        rebalancing = ecs.AvailabilityZoneRebalancing["DISABLED" if to_zero else "ENABLED"]
        service = ecs.Ec2Service(
            self,
            "Service",
            cluster=self.cluster,
            task_definition=definition,
            capacity_provider_strategies=[ecs.CapacityProviderStrategy(capacity_provider=provider, weight=1)],
            desired_count=0 if to_zero else None,
            # A service that scales to zero has no second GPU for a deployment.
            min_healthy_percent=0 if to_zero else 100,
            max_healthy_percent=100 if to_zero else 200,
            availability_zone_rebalancing=rebalancing,
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            # ECS refuses it without a load balancer.
            health_check_grace_period=(
                Duration.seconds(timeouts.grace_period_s(engine.start_s)) if engine.balancer else None
            ),
            cloud_map_options=endpoint.cloud_map_options(zone) if zone else None,
            security_groups=[security_group],
            vpc_subnets=network.subnets,
            enable_execute_command=False,
            enable_ecs_managed_tags=True,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
        )
        service.node.add_dependency(self.cluster)
        return service

    def _immutable(self, construct_id: str, group: ec2.ISecurityGroup) -> ec2.ISecurityGroup:
        return ec2.SecurityGroup.from_security_group_id(
            self, construct_id, group.security_group_id, mutable=False
        )
