"""The inference engine: vLLM on GPU machines, reachable only for the chat function."""

from __future__ import annotations

from dataclasses import replace

from aws_cdk import Aws, Duration, Stack
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_ecs as ecs
from aws_cdk import aws_logs as logs
from aws_cdk import aws_secretsmanager as secretsmanager
from constructs import Construct

from infra import nag
from infra.bundles import Bundles
from infra.constructs.log_groups import log_group
from infra.inference import endpoint, timeouts
from infra.inference.arguments import PORT, Place
from infra.inference.capacity import Capacity, add_capacity
from infra.inference.fit import check
from infra.inference.ordering import Order
from infra.inference.scaler import ScalerFunction
from infra.inference.scaling import QueueScaling
from infra.inference.task import Task
from infra.stacks.network import NetworkStack
from infra.stacks.supply import SupplyStack
from infra.stages import Engine, Stage

_WITHOUT_INSIGHTS = {
    "ECS4": "They cost $2 a month, and $11 for each task; the group's own metrics, of machines, are free."
}


class EngineStack(Stack):
    """A cluster with GPU machines, the service on it, its order, its endpoint, and what scales it.

    Shape:  `base_url`: where OpenAI's paths begin. `service`: of the tasks that answer requests.
            `machines`: the group of its machines. `scaler_arn`: of the function that starts the engine; None:
            it always runs.
    """

    base_url: str

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
        table: dynamodb.Table,
        bundles: Bundles,
    ) -> None:
        super().__init__(scope, construct_id, description=f"Chatbot API, {stage.name}: the inference engine")
        check(engine)
        self._stage, self._engine, self._network = stage, engine, network
        order = Order(self, "Order", stage=stage, engine=engine, supply=supply.supply)
        self.cluster = ecs.Cluster(
            self, "Cluster", vpc=network.vpc, container_insights_v2=ecs.ContainerInsights.DISABLED
        )
        nag.acknowledge(self.cluster, _WITHOUT_INSIGHTS)
        # The network's stack has all rules: these copies of its groups accept no more.
        self._group = self._immutable("Group", network.engine_group)
        capacity = add_capacity(
            self.cluster,
            engine=engine,
            vpc=network.vpc,
            subnets=self._near(network.machine_subnets),
            security_group=self._immutable("MachinesGroup", network.machines_group),
            # ECS's agent, image pulls and logs use the machine's way out: without NAT a public address.
            public=stage.egress == "ipv6",
            repository=supply.supply.repository,
            image=order.image,
        )
        self.machines = capacity.group
        lines = log_group(self, "Lines", stage=stage)
        task = Task(
            stage=stage,
            engine=engine,
            vpc=network.vpc,
            supply=supply.supply,
            order=order,
            key=engine_key,
            log=log_group(self, "Log", stage=stage),
            lines=lines,
        )
        self.service = self._services(task, capacity)
        self.scaler_arn = self._scaling(table, bundles, lines)

    def _services(self, task: Task, capacity: Capacity) -> ecs.Ec2Service:
        """Make a service for each machine of one engine and their address; return that of the head."""
        stage, network = self._stage, self._network
        services = []
        for rank in range(self._engine.machines):
            place = Place(rank=rank, head=endpoint.host_name(stage))
            names = None
            if place.is_head and not self._engine.balancer:
                zone = endpoint.add_dns_zone(self, "Names", stage=stage, vpc=network.vpc)
                names = endpoint.cloud_map_options(zone)
            definition = replace(task, place=place).define(self, f"Task{rank or ''}")
            services.append(self._service(f"Service{rank or ''}", definition, capacity, names))
        self.base_url = f"http://{endpoint.host_name(stage)}:{PORT}/v1"
        if network.balancer_group:
            balancer = endpoint.add_load_balancer(
                self,
                "Balancer",
                service=services[0],
                vpc=network.vpc,
                subnets=network.subnets,
                security_group=self._immutable("BalancerGroup", network.balancer_group),
            )
            self.base_url = f"http://{balancer.load_balancer_dns_name}:{PORT}/v1"
        return services[0]

    def _scaling(self, table: dynamodb.Table, bundles: Bundles, lines: logs.LogGroup) -> str | None:
        """Add what sets the number of tasks; return the ARN of the scaler, if that is what does."""
        stage, engine = self._stage, self._engine
        least, most = engine.tasks
        if engine.scales_to_zero:
            name = f"{self.stack_name}-Scaler"
            ScalerFunction(
                self,
                "Scaler",
                stage=stage,
                engine=engine,
                code=bundles.scaler(),
                table=table,
                cluster=self.cluster,
                service=self.service,
                group=self.machines,
                lines=lines,
                name=name,
            )
            # Not an export: the API's stack, which is deployed later, would keep the function from going.
            return f"arn:{Aws.PARTITION}:lambda:{Aws.REGION}:{Aws.ACCOUNT_ID}:function:{name}"
        if most > least:
            QueueScaling(
                self, "Scaling", stage=stage, engine=engine, cluster=self.cluster, service=self.service
            )
        return None

    def _service(
        self,
        construct_id: str,
        definition: ecs.TaskDefinition,
        capacity: Capacity,
        names: ecs.CloudMapOptions | None,
    ) -> ecs.Ec2Service:
        """Make a service.

        Without a number of tasks, CloudFormation starts one at the first deployment, and later keeps as many
        as there are: those that the queue has required. A service that scales to zero has the number 0: a
        first deployment neither waits for a GPU nor fails without one, and a later one that replaces the task
        leaves none, until a request.
        """
        engine = self._engine
        least, most = engine.tasks
        # An engine that scales to zero, or has several machines, has no second ones for a deployment.
        alone = engine.scales_to_zero or engine.machines > 1
        service = ecs.Ec2Service(
            self,
            construct_id,
            cluster=self.cluster,
            task_definition=definition,
            capacity_provider_strategies=[
                ecs.CapacityProviderStrategy(capacity_provider=capacity.provider, weight=1)
            ],
            desired_count=0 if engine.scales_to_zero else least if least == most else None,
            min_healthy_percent=0 if alone else 100,
            max_healthy_percent=100 if alone else 200,
            availability_zone_rebalancing=ecs.AvailabilityZoneRebalancing["DISABLED" if alone else "ENABLED"],
            circuit_breaker=ecs.DeploymentCircuitBreaker(enable=True, rollback=True),
            # ECS refuses it without a load balancer.
            health_check_grace_period=(
                Duration.seconds(timeouts.grace_period_s(engine.start_s)) if engine.balancer else None
            ),
            cloud_map_options=names,
            security_groups=[self._group],
            vpc_subnets=self._near(self._network.subnets),
            enable_execute_command=False,
            enable_ecs_managed_tags=True,
            propagate_tags=ecs.PropagatedTagSource.SERVICE,
        )
        service.node.add_dependency(self.cluster)
        return service

    def _near(self, subnets: ec2.SubnetSelection) -> ec2.SubnetSelection:
        """Return subnets of one zone, for machines that need each other."""
        if self._engine.machines == 1:
            return subnets
        return ec2.SubnetSelection(
            subnets=self._network.vpc.select_subnets(subnet_type=subnets.subnet_type).subnets[:1]
        )

    def _immutable(self, construct_id: str, group: ec2.ISecurityGroup) -> ec2.ISecurityGroup:
        return ec2.SecurityGroup.from_security_group_id(
            self, construct_id, group.security_group_id, mutable=False
        )
