"""The inference engine: vLLM on GPU machines, which only the chat function reaches."""

from __future__ import annotations

from aws_cdk import Duration, RemovalPolicy, Stack
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_elasticloadbalancingv2 as elb
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra.constructs.retention import retention
from infra.inference import endpoint, timeouts
from infra.inference.arguments import PORT
from infra.inference.capacity import add_capacity
from infra.inference.scaling import Scaling
from infra.inference.supply import Supply
from infra.inference.task import task
from infra.stacks.network import NetworkStack
from infra.stages import Stage


class EngineStack(Stack):
    """A cluster with GPU machines, the service on it, and what feeds, fronts and scales it.

    Shape:  `base_url`: where OpenAI's paths begin. `balancer`: None where the stage has none.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        network: NetworkStack,
        engine_key: secretsmanager.ISecret,
    ) -> None:
        super().__init__(scope, construct_id, description=f"Chatbot API, {stage.name}: the inference engine")
        self._stage, self._network = stage, network
        # The rules are the network's: these copies take no more.
        self._group = self._borrow("Group", network.engine)
        self.log_group = logs.LogGroup(
            self, "Log", retention=retention(stage.log_days), removal_policy=RemovalPolicy.DESTROY
        )
        self.cluster = ecs.Cluster(
            self, "Cluster", vpc=network.vpc, container_insights_v2=ecs.ContainerInsights.ENHANCED
        )
        supply = Supply(self, "Supply", stage=stage)
        definition = task(self, "Task", stage=stage, supply=supply, key=engine_key, log=self.log_group)
        self.service = self._service(definition)
        self.balancer = self._balancer()
        self.base_url = f"http://{self._host()}:{PORT}/v1"
        self.service_arn = self.format_arn(
            service="ecs",
            resource="service",
            resource_name=f"{self.cluster.cluster_name}/{self.service.service_name}",
        )
        Scaling(self, "Scaling", stage=stage, cluster=self.cluster, service=self.service)

    def _service(self, definition: ecs.TaskDefinition) -> ecs.BaseService:
        """Make the service.

        CloudFormation takes "no number" for one task at the first deployment, and for "as many as there are"
        later. A service that rests at none starts at none, so that a first deployment neither waits for a GPU
        nor fails without one; a later one that replaces the task leaves it at none, to be woken.
        """
        engine = self._stage.engine
        rests = engine.rests
        provider = add_capacity(self.cluster, engine=engine, network=self._network, group=self._group)
        kind = ecs.FargateService if engine.capacity == "managed_instances" else ecs.Ec2Service
        zone = (
            None
            if engine.balancer
            else endpoint.namespace(self, "Names", stage=self._stage, network=self._network)
        )
        service = kind(
            self,
            "Service",
            cluster=self.cluster,
            task_definition=definition,
            capacity_provider_strategies=[ecs.CapacityProviderStrategy(capacity_provider=provider, weight=1)],
            desired_count=0 if rests else None,
            # A second GPU is not to be had for one that rests.
            min_healthy_percent=0 if rests else 100,
            max_healthy_percent=100 if rests else 200,
            availability_zone_rebalancing=(
                ecs.AvailabilityZoneRebalancing.DISABLED if rests else ecs.AvailabilityZoneRebalancing.ENABLED
            ),
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            # ECS refuses it without a balancer.
            health_check_grace_period=(
                Duration.seconds(timeouts.patience_s(engine.start_s)) if engine.balancer else None
            ),
            cloud_map_options=endpoint.name_in(zone) if zone else None,
            security_groups=[self._group],
            vpc_subnets=self._network.subnets,
            enable_execute_command=False,
            enable_ecs_managed_tags=True,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
        )
        service.node.add_dependency(self.cluster)
        return service

    def _balancer(self) -> elb.ApplicationLoadBalancer | None:
        if self._network.balancer is None:
            return None
        group = self._borrow("BalancerGroup", self._network.balancer)
        balancer = endpoint.balancer(self, "Balancer", network=self._network, group=group)
        endpoint.put_before(balancer, self.service)
        return balancer

    def _host(self) -> str:
        if self.balancer:
            return self.balancer.load_balancer_dns_name
        return endpoint.host(self._stage)

    def _borrow(self, construct_id: str, group: ec2.ISecurityGroup) -> ec2.ISecurityGroup:
        return ec2.SecurityGroup.from_security_group_id(
            self, construct_id, group.security_group_id, mutable=False
        )
